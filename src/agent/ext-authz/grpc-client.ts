/*
 * Asks authorizers over gRPC, one channel per address. In: questions. Out: answers, or a TransientError. Made when the first
 * gRPC provider is asked; the gRPC library is loaded then, not when the agent starts.
 */
import type { Client, ClientOptions, ServiceError } from '@grpc/grpc-js';
import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import type { Clock } from '../../clock.ts';
import { InvariantError, TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { CHECK_DESCRIPTOR, CHECK_METHOD } from './check-descriptor.ts';
import { checkRequestOf } from './check-request.ts';
import { hostOf, type Question } from './check-verdict.ts';
import type { Asker } from './client.ts';
import { type GrpcCheckResponse, grpcAnswerOf } from './grpc-check-response.ts';

const SERVICE = 'envoy.service.auth.v3.Authorization';
/** Proxies from the environment and configuration in DNS are for other clients; a dead authorizer is tried again soon. */
const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 5000,
  'grpc.client_idle_timeout_ms': 300_000,
  'grpc.use_local_subchannel_pool': 1,
};

type CheckMethod = MethodDefinition<object, GrpcCheckResponse>;

/** An asker for all gRPC providers of an agent. */
export async function createGrpcAsker(clock: Clock): Promise<Asker> {
  const { Client: GrpcClient, credentials, fromJSON } = await import('./grpc-library.ts');
  const method = checkMethod(fromJSON(CHECK_DESCRIPTOR, { keepCase: true, longs: Number }));
  const clients = new Map<string, Client>();
  const clientFor = (address: string): Client => {
    const client = clients.get(address) ?? new GrpcClient(`dns:${address}`, credentials.createInsecure(), CHANNEL_OPTIONS);
    clients.set(address, client);
    return client;
  };
  return {
    ask: async (question, signal): Promise<CheckResponse> => {
      // Encoded here: an exception now is no failure of the authorizer.
      const request = method.requestSerialize(checkRequestOf(question, clock.wallMs()));
      const deadline = clock.wallMs() + question.provider.timeoutMs;
      const call: Call = { client: clientFor(addressOf(question)), method, request, deadline };
      return grpcAnswerOf(await checkOver(call, signal));
    },
    close() {
      for (const client of clients.values()) client.close();
    },
  };
}

function checkMethod(definition: PackageDefinition): CheckMethod {
  const service = definition[SERVICE];
  if (service === undefined || !('Check' in service)) throw new InvariantError('the descriptor of Check is not what it was');
  return service['Check'] as CheckMethod;
}

function addressOf({ provider }: Question): string {
  const host = hostOf(provider.service);
  return host.includes(':') ? `[${host}]:${provider.port}` : `${host}:${provider.port}`;
}

interface Call {
  readonly client: Client;
  readonly method: CheckMethod;
  readonly request: Buffer;
  /** Milliseconds since 1970. */
  readonly deadline: number;
}

function checkOver({ client, method, request, deadline }: Call, signal: AbortSignal): Promise<GrpcCheckResponse> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, response?: GrpcCheckResponse): void => {
      signal.removeEventListener('abort', cancel);
      if (response !== undefined) resolve(response);
      else reject(new TransientError('SP_AUTHORIZER', 'the authorizer cannot be reached', { cause: error }));
    };
    const asIs = (bytes: Buffer): Buffer => bytes;
    const call = client.makeUnaryRequest(CHECK_METHOD, asIs, method.responseDeserialize, request, { deadline }, done);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}
