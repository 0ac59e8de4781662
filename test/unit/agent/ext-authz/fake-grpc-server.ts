/*
 * A real gRPC server that responds to checks. Not a test itself.
 */
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type ServiceDefinition, type sendUnaryData } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A CheckRequest as the fake decodes it, everything present. */
export interface SeenMessage {
  readonly attributes: {
    readonly source: {
      readonly address: { readonly socket_address: { readonly address: string; readonly port_value: number } };
      readonly principal: string;
    };
    readonly destination: {
      readonly principal: string;
      readonly address: { readonly socket_address: { readonly address: string; readonly port_value: number } };
    };
    readonly request: {
      readonly time: { readonly seconds: number; readonly nanos: number };
      readonly http: {
        readonly id: string;
        readonly method: string;
        readonly headers: Readonly<Record<string, string>>;
        readonly path: string;
        readonly host: string;
        readonly scheme: string;
        readonly size: number;
        readonly protocol: string;
        readonly body: string;
        readonly raw_body: Buffer;
      };
    };
  };
}

export interface GrpcFake {
  readonly port: number;
  readonly seen: SeenMessage[];
  close(): void;
}

/** Answers one check: with a message, an error, or not at all. */
export type GrpcReply = (message: SeenMessage, answer: sendUnaryData<object>, call: ServerUnaryCall<SeenMessage, object>) => void;

export async function startGrpcFake(reply: GrpcReply): Promise<GrpcFake> {
  const definition = loadSync(join(import.meta.dirname, 'authorization.proto'), { keepCase: true, longs: Number, defaults: true });
  const check = definition['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
  const seen: SeenMessage[] = [];
  const server = new Server();
  server.addService(check, {
    Check(call: ServerUnaryCall<SeenMessage, object>, answer: sendUnaryData<object>) {
      seen.push(call.request);
      reply(call.request, answer, call);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, seen, close: () => server.forceShutdown() };
}
