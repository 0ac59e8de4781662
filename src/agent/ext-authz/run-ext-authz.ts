/*
 * Asks the external authorizer that a check verdict names, in time, and never opens by mistake: only a provider that says
 * `failOpen` consents when it cannot be reached. In: check verdicts with the body read so far. Out: answers for the judge.
 * Made once per agent.
 */
import { lookup } from 'node:dns/promises';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import type { Clock } from '../../clock.ts';
import { InvariantError, TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Authorizer } from '../context.ts';
import { BODY_TOO_LARGE, failureOf, refusalOf } from './check-responses.ts';
import { carriedBody, hostOf, type Question } from './check-verdict.ts';
import type { Asker } from './client.ts';
import { FailureLog } from './failure-log.ts';

export interface AuthorizerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Aborting it closes all connections to authorizers. */
  readonly signal: AbortSignal;
}

/** A timer of Node that is set for longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One way per protocol, made when it is first needed. */
type Askers = (protocol: string) => Promise<Asker>;

/**
 * The authorizer of an agent. It holds no connection and loads no HTTP or gRPC client until a request must be checked. The
 * promise it returns never rejects.
 */
export function createAuthorizer({ logger, clock, signal: stop }: AuthorizerOptions): Authorizer {
  const askerFor = lazyAskers(clock, stop);
  const failures = new FailureLog(logger);
  return async (check, body, signal) => {
    const { provider } = check;
    const carried = carriedBody(provider, body);
    if (carried === 'too-large') return BODY_TOO_LARGE;
    const deadline = new Deadline(clock, provider.timeoutMs, signal);
    try {
      const asker = await askerFor(provider.protocol);
      const answer = await askInTime(asker, { provider, check, body: carried }, deadline.signal);
      failures.onAnswer(provider.name);
      return answer;
    } catch (error) {
      if (signal.aborted) return refusalOf(provider);
      failures.onFailure(provider.name, error);
      return error instanceof TransientError && !(await isUnknown(provider)) ? failureOf(provider) : refusalOf(provider);
    } finally {
      deadline.end();
    }
  };
}

/** Does the name of the service not exist? That is a misspelt name, not an outage, and must not open; Istio denies then, too. */
async function isUnknown({ failOpen, service }: ExtensionProvider): Promise<boolean> {
  if (!failOpen) return false;
  try {
    await lookup(hostOf(service));
    return false;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'ENOTFOUND';
  }
}

async function askInTime(asker: Asker, question: Question, signal: AbortSignal): Promise<CheckResponse> {
  signal.throwIfAborted();
  return await asker.ask(question, signal);
}

function lazyAskers(clock: Clock, stop: AbortSignal): Askers {
  const askers = new Map<string, Promise<Asker>>();
  const load = async (protocol: string): Promise<Asker> => {
    const asker = await loadAsker(protocol, clock);
    if (stop.aborted) asker.close();
    else stop.addEventListener('abort', () => asker.close(), { once: true });
    return asker;
  };
  return (protocol) => {
    const asker = askers.get(protocol) ?? load(protocol);
    askers.set(protocol, asker);
    return asker;
  };
}

async function loadAsker(protocol: string, clock: Clock): Promise<Asker> {
  switch (protocol) {
    case 'http':
      return await (await import('./http-client.ts')).createHttpAsker();
    case 'grpc':
      return await (await import('./grpc-client.ts')).createGrpcAsker(clock);
    default:
      throw new InvariantError(`unknown protocol of an authorizer: ${protocol}`);
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
    this.#cancel = clock.after(Math.min(timeoutMs, LONGEST_TIMER_MS), () => this.#controller.abort());
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
