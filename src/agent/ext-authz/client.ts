/*
 * The ext_authz client: sends the check of a verdict to its provider, within the provider's timeout. It never allows by mistake:
 * only a provider with `failOpen` that cannot be reached allows.
 */
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import type { Clock } from '../../clock.ts';
import { InvariantError, TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import { startDeadline } from '../../limits/timers.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ExtAuthzClient } from '../context.ts';
import { type AnyCheck, carriedBody, hostOf } from './check-request.ts';
import { BODY_TOO_LARGE, errorResponse, failureResponse } from './check-responses.ts';
import type { CheckTransport } from './check-transport.ts';
import { FailureLog } from './failure-log.ts';
import { HostNames, type LookUp } from './host-names.ts';

/** What the client of an agent needs. */
export interface ExtAuthzOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Aborting it closes all connections to ext_authz servers. */
  readonly signal: AbortSignal;
  /** Looks up host names; absent: as the system does. */
  readonly lookUp?: LookUp;
}

/** The transport of a protocol, created when it is first needed. */
type Transports = (protocol: string) => Promise<CheckTransport>;

/** The client of one agent. It opens no connection and loads no HTTP or gRPC library before the first check. */
export function createExtAuthzClient({ logger, clock, signal: stop, lookUp }: ExtAuthzOptions): ExtAuthzClient {
  const hosts = new HostNames(lookUp);
  const transportOf = lazyTransports({ clock, hosts }, stop);
  const failures = new FailureLog(logger);
  return async (check, body, signal) => {
    const { provider } = check;
    const carried = carriedBody(provider, body);
    if (carried === 'too-large') return BODY_TOO_LARGE;
    const deadline = new Deadline(clock, provider.timeoutMs, signal);
    try {
      const transport = await transportOf(provider.protocol);
      const response = await sendInTime(transport, { provider, check, body: carried } as AnyCheck, deadline.signal);
      failures.onResponse(provider.name);
      return response;
    } catch (error) {
      if (signal.aborted) return errorResponse(provider);
      failures.onFailure(provider.name, error);
      return error instanceof TransientError && !(await isUnknown(provider, { clock, hosts }))
        ? failureResponse(provider)
        : errorResponse(provider);
    } finally {
      deadline.end();
    }
  };
}

/** What checks of every protocol need. */
interface CheckParts {
  readonly clock: Clock;
  readonly hosts: HostNames;
}

/**
 * Does the host name of the service not exist? That is a misspelt name, not an outage, and must not fail open; Istio denies as well. A
 * lookup that takes longer than a check may take is an outage.
 */
async function isUnknown({ failOpen, service, timeoutMs }: ExtensionProvider, { clock, hosts }: CheckParts): Promise<boolean> {
  if (!failOpen) return false;
  const known = hosts.addressesOf(hostOf(service)).then(
    () => true,
    (error: unknown) => !(error instanceof Error && Reflect.get(error, 'code') === 'ENOTFOUND'),
  );
  const late = Promise.withResolvers<boolean>();
  const cancel = startDeadline(LIMITS.checkTime, () => late.resolve(true), { ms: timeoutMs, clock });
  try {
    return !(await Promise.race([known, late.promise]));
  } finally {
    cancel();
  }
}

async function sendInTime(transport: CheckTransport, request: AnyCheck, signal: AbortSignal): Promise<CheckResponse> {
  signal.throwIfAborted();
  return await transport.send(request, signal);
}

function lazyTransports(parts: CheckParts, stop: AbortSignal): Transports {
  const transports = new BoundedMap<string, Promise<CheckTransport>>(LIMITS.checkTransports);
  const load = async (protocol: string): Promise<CheckTransport> => {
    const transport = await loadTransport(protocol, parts);
    if (stop.aborted) transport.close();
    else stop.addEventListener('abort', () => transport.close(), { once: true });
    return transport;
  };
  return (protocol) => {
    const transport = transports.get(protocol) ?? load(protocol);
    transports.set(protocol, transport);
    return transport;
  };
}

async function loadTransport(protocol: string, { clock, hosts }: CheckParts): Promise<CheckTransport> {
  switch (protocol) {
    case 'http':
      return await (await import('./http-transport.ts')).createHttpTransport(hosts.forSocket);
    case 'grpc':
      return await (await import('./grpc-transport.ts')).createGrpcTransport(clock);
    default:
      throw new InvariantError(`unknown ext_authz protocol: ${protocol}`);
  }
}

/** Aborts `signal` when time is up or the client is gone. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;
  readonly #client: AbortSignal;
  readonly #onClientGone = (): void => this.#controller.abort();

  constructor(clock: Clock, timeoutMs: number, client: AbortSignal) {
    this.#client = client;
    this.#cancel = startDeadline(LIMITS.checkTime, () => this.#controller.abort(), { ms: timeoutMs, clock });
    if (client.aborted) this.#controller.abort();
    else client.addEventListener('abort', this.#onClientGone, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    this.#cancel();
    this.#client.removeEventListener('abort', this.#onClientGone);
  }
}
