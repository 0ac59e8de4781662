/*
 * The ext_authz server of the records (Istio's sample server) as real servers over HTTP and gRPC. It allows requests with
 * `x-ext-authz: allow`; without that header the gRPC server also allows one service account. A response header contains the
 * check request; a request can ask for answers that the sample server does not give. Used by the runner through the proxy.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type ServiceDefinition, type sendUnaryData } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ExtAuthzClient } from '../../src/agent/context.ts';
import { createExtAuthzClient } from '../../src/agent/ext-authz/client.ts';
import type { ExtensionProvider } from '../../src/api/mesh-config.ts';
import { systemClock } from '../../src/clock.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { ALLOWED_ACCOUNT, DENIAL, LARGE_DENIAL, NO_SUCH_SERVICE, ODD_ANSWER, OTHER_TARGET, REPLACED } from './authorizer.ts';

const CHECK = 'x-ext-authz';
const LARGE_BODY = 'x'.repeat((1 << 20) + 1);
const OVERRIDE = 'x-ext-authz-additional-header-override';

/** An ext_authz client that calls the sample servers regardless of the address in the case. */
export interface SampleAuthorizer {
  readonly authorize: ExtAuthzClient;
  close(): Promise<void>;
}

/** Both servers, on free loopback ports. */
export interface SampleServers {
  readonly ports: { readonly http: number; readonly grpc: number };
  close(): Promise<void>;
}

/** Starts both servers. */
export async function startSampleServers(): Promise<SampleServers> {
  const http = createServer((request, response) => void serveHttp(request, response));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const grpc = new Server();
  const ports = { http: (http.address() as AddressInfo).port, grpc: await listenGrpc(grpc) };
  return {
    ports,
    async close() {
      grpc.forceShutdown();
      http.close();
      http.closeAllConnections();
      await once(http, 'close');
    },
  };
}

/** Starts both servers and Sallyport's ext_authz client for them. */
export async function startSampleAuthorizer(): Promise<SampleAuthorizer> {
  const servers = await startSampleServers();
  const { ports } = servers;
  const stop = new AbortController();
  const authorize = createExtAuthzClient({
    logger: createLogger({ level: 'silent', component: 'conformance' }),
    clock: systemClock,
    signal: stop.signal,
  });
  const here = (provider: ExtensionProvider): ExtensionProvider => {
    if (provider.service.startsWith(NO_SUCH_SERVICE)) return { ...provider, service: 'authz/no-such.invalid' };
    return { ...provider, service: 'authz/127.0.0.1', port: ports[provider.protocol] };
  };
  return {
    authorize: (check, body, signal) => authorize({ ...check, provider: here(check.provider) }, body, signal),
    async close() {
      stop.abort();
      await servers.close();
    },
  };
}

async function serveHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const { method = '', url = '', headers } = request;
  const fields = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
  const asked = `${describeRequest('http', { method, host: headers.host ?? '', path: url, headers: fields })} body=${Buffer.concat(chunks).toString('latin1')}`;
  if (headers[ODD_ANSWER] === LARGE_DENIAL) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end(LARGE_BODY);
    return;
  }
  const allowed = headers[CHECK] === 'allow';
  response.setHeader('x-ext-authz-check-result', allowed ? 'allowed' : 'denied');
  response.setHeader('x-ext-authz-check-received', asked);
  if (headers[OVERRIDE] !== undefined) response.setHeader(OVERRIDE, headers[OVERRIDE]);
  if (allowed) response.writeHead(200).end();
  else response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' }).end(DENIAL);
}

interface GrpcCheck {
  readonly attributes: {
    readonly source: { readonly principal: string };
    /** Absent or without `http` for a TCP connection. */
    readonly request: {
      readonly http: {
        readonly method: string;
        readonly host: string;
        readonly path: string;
        readonly headers: Readonly<Record<string, string>>;
      } | null;
    } | null;
  };
}

function listenGrpc(server: Server): Promise<number> {
  const proto = join(import.meta.dirname, '../unit/agent/ext-authz/authorization.proto');
  const service = loadSync(proto, { keepCase: true, defaults: true })['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
  server.addService(service, {
    Check: (call: ServerUnaryCall<GrpcCheck, object>, answer: sendUnaryData<object>) => answer(null, grpcAnswer(call.request)),
  });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

const NO_REQUEST = { method: '', host: '', path: '', headers: {} as Readonly<Record<string, string>> };

function grpcAnswer({ attributes: { source, request } }: GrpcCheck): object {
  const http = request?.http ?? NO_REQUEST;
  const asked = `${describeRequest('grpc', { ...http, headers: Object.entries(http.headers) })} principal=${source.principal}`;
  const said = http.headers[CHECK];
  const allowed = said === undefined ? source.principal.endsWith(ALLOWED_ACCOUNT) : said === 'allow';
  const headers = [option('x-ext-authz-check-result', allowed ? 'allowed' : 'denied'), option('x-ext-authz-check-received', asked)];
  const replaced = http.headers[ODD_ANSWER] === OTHER_TARGET ? REPLACED.map(([name, value]) => option(name, value)) : [];
  return allowed
    ? {
        status: { code: 0 },
        ok_response: { headers: [...headers, option(OVERRIDE, 'grpc-additional-header-override-value'), ...replaced] },
      }
    : { status: { code: 7 }, denied_response: { status: { code: 403 }, headers, body: DENIAL } };
}

function option(key: string, value: string): object {
  return { header: { key, value } };
}

interface DescribedRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** Headers that the proxy adds, or that only frame a message. */
const UNTOLD = /^(?::|x-forwarded-|x-envoy-|x-request-id$|host$|content-length$|connection$)/;

function describeRequest(kind: string, { method, host, path, headers }: DescribedRequest): string {
  const told = headers.filter(([name]) => !UNTOLD.test(name)).map(([name, value]) => `${name}=${value}`);
  return `${kind} ${method} ${host}${path} [${told.sort().join('; ')}]`;
}
