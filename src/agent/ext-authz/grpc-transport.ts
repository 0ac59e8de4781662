/*
 * Sends checks over gRPC, one channel per address. Loaded with the first gRPC provider, as is the gRPC library.
 */
import type { Client, ClientOptions, ServiceError } from '@grpc/grpc-js';
import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import type { Clock } from '../../clock.ts';
import { InvariantError, TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import { type AnyCheck, hostOf } from './check-request.ts';
import type { CheckTransport } from './check-transport.ts';
import { checkMessageOf } from './grpc-check-request.ts';
import { type CheckResponseMessage, checkResponseOf } from './grpc-check-response.ts';
import { CHECK_DESCRIPTOR, CHECK_METHOD } from './grpc-descriptor.ts';

const SERVICE = 'envoy.service.auth.v3.Authorization';
/** Proxies from the environment and service configuration in DNS do not apply; a dead server is retried soon. */
const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 5000,
  'grpc.client_idle_timeout_ms': 300_000,
  'grpc.use_local_subchannel_pool': 1,
};

type CheckMethod = MethodDefinition<object, CheckResponseMessage>;

/** The transport for all gRPC providers of an agent. */
export async function createGrpcTransport(clock: Clock): Promise<CheckTransport> {
  const { Client: GrpcClient, credentials, fromJSON } = await import('./grpc-library.ts');
  const method = checkMethod(fromJSON(CHECK_DESCRIPTOR, { keepCase: true, longs: Number }));
  const clients = new BoundedMap<string, Client>(LIMITS.checkChannels, undefined, (client) => client.close());
  const clientFor = (address: string): Client => {
    const client = clients.get(address) ?? new GrpcClient(`dns:${address}`, credentials.createInsecure(), CHANNEL_OPTIONS);
    clients.set(address, client);
    return client;
  };
  return {
    send: async (check, signal): Promise<CheckResponse> => {
      // Encoded here: an exception now is not a failure of the server.
      const request = method.requestSerialize(checkMessageOf(check, clock.wallMs()));
      const deadline = clock.wallMs() + check.provider.timeoutMs;
      const call: Call = { client: clientFor(addressOf(check)), method, request, deadline };
      return checkResponseOf(await checkOver(call, signal));
    },
    close() {
      for (const client of clients.values()) client.close();
    },
  };
}

function checkMethod(definition: PackageDefinition): CheckMethod {
  const service = definition[SERVICE];
  if (service === undefined || !('Check' in service)) throw new InvariantError('the descriptor has no method Check');
  return service['Check'] as CheckMethod;
}

function addressOf({ provider }: AnyCheck): string {
  const host = hostOf(provider.service);
  return host.includes(':') ? `[${host}]:${provider.port}` : `${host}:${provider.port}`;
}

/** One call of Check. */
interface Call {
  readonly client: Client;
  readonly method: CheckMethod;
  readonly request: Buffer;
  /** Milliseconds since 1970. */
  readonly deadline: number;
}

function checkOver({ client, method, request, deadline }: Call, signal: AbortSignal): Promise<CheckResponseMessage> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, response?: CheckResponseMessage): void => {
      signal.removeEventListener('abort', cancel);
      if (response !== undefined) resolve(response);
      else reject(new TransientError('SP_AUTHORIZER', 'the ext_authz server cannot be reached', { cause: error }));
    };
    const asIs = (bytes: Buffer): Buffer => bytes;
    const call = client.makeUnaryRequest(CHECK_METHOD, asIs, method.responseDeserialize, request, { deadline }, done);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}
