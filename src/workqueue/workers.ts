/*
 * Workers that handle the keys of a queue. A transient error is retried with backoff, and so is a refusal by the API server,
 * which a change of a quota, an admission policy or a role ends without any event; after every other refusal the key waits for
 * the next change; a bug is retried a few times and then parked.
 */
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { type ErrorCode, RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WorkQueue } from './queue.ts';

/** Outcome of handling a key. */
export interface HandleResult {
  /** Time until the key is handled again although nothing changed, in milliseconds; absent: it waits for a change. */
  readonly requeueAfterMs?: number;
}

/** How handling a key ended; the values are those of controller-runtime's metrics, and `bug`. */
export type WorkResult = 'success' | 'requeue_after' | 'error' | 'terminal_error' | 'bug';

/** Receives measurements of the workers. */
export interface WorkerObserver {
  readonly onActive: (change: 1 | -1) => void;
  readonly onResult: (result: WorkResult, durationMs: number) => void;
}

/** The queue of the workers, and what they do with a key. */
export interface WorkersOptions {
  readonly queue: WorkQueue;
  /** Handles one key; reads the newest state itself. */
  readonly handle: (key: string, signal: AbortSignal) => Promise<HandleResult | undefined>;
  /** Keys handled at the same time; default 4. */
  readonly concurrency?: number;
  readonly logger: Logger;
  readonly observer?: WorkerObserver;
  /** Passed to `handle`; absent: the signal that stops the workers. One that aborts later lets keys in progress finish. */
  readonly handleSignal?: AbortSignal;
  /** How often a key is retried after a bug before it is parked until the next change; default 5. */
  readonly bugRetries?: number;
}

/** Longest delay between two attempts that suits refusals, whose end no event reports, in milliseconds. */
export const MAX_RETRY_DELAY_MS = 180_000;
/** Longest delay of a key after a transient error, in milliseconds: what caused it may be over at any time. */
const MAX_TRANSIENT_DELAY_MS = 4_000;
/** Shortest delay after a refusal, in milliseconds. */
const MIN_REFUSAL_DELAY_MS = 2_000;
/** Refusals that others can end: a quota, an admission policy or webhook, a missing right, an object of the same name. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['SP_KUBE_FORBIDDEN', 'SP_KUBE_INVALID', 'SP_NAME_TAKEN']);

/** Whether others can end a refusal without any event, so that it is retried. */
export function mayPass(error: RefusedError): boolean {
  return PASSING.has(error.code);
}

/** Handles keys until `signal` aborts; resolves when the keys in progress are finished. */
export async function runWorkers(options: WorkersOptions, signal: AbortSignal): Promise<void> {
  const worker = async (): Promise<void> => {
    for (;;) {
      const key = await options.queue.take(signal);
      if (key === undefined) return;
      options.observer?.onActive(1);
      const startedMs = performance.now();
      const result = await handleKey(options, key, options.handleSignal ?? signal);
      options.queue.done(key);
      options.observer?.onActive(-1);
      options.observer?.onResult(result, performance.now() - startedMs);
      // Lets the process renew its lease and respond to probes between two keys, however many wait.
      await yieldToLoop();
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 4 }, worker));
}

async function handleKey(options: WorkersOptions, key: string, signal: AbortSignal): Promise<WorkResult> {
  const { queue } = options;
  try {
    const result = await options.handle(key, signal);
    queue.forget(key);
    if (result?.requeueAfterMs === undefined) return 'success';
    queue.addAfter(key, result.requeueAfterMs, queue.priorityOf(key));
    return 'requeue_after';
  } catch (error) {
    return handleFailure(options, { key, error }, signal);
  }
}

function handleFailure(
  options: WorkersOptions,
  failure: { readonly key: string; readonly error: unknown },
  signal: AbortSignal,
): WorkResult {
  const { queue, logger } = options;
  const { key, error } = failure;
  // An aborted call is not a failure of the key.
  if (signal.aborted) return 'error';
  const attempt = queue.attempts(key) + 1;
  if (error instanceof TransientError) {
    const atLeastMs = error.retryAfterMs ?? 0;
    const delayMs = queue.retry(key, { atLeastMs, atMostMs: MAX_TRANSIENT_DELAY_MS, isOutage: true });
    logger.warn({ key, attempt, code: error.code, delayMs, err: error }, 'handling failed; retrying');
    return 'error';
  }
  if (error instanceof RefusedError && mayPass(error)) {
    const delayMs = queue.retry(key, { atLeastMs: MIN_REFUSAL_DELAY_MS });
    logger.warn({ key, attempt, code: error.code, delayMs, err: error }, 'refused by the API server; retrying');
    return 'error';
  }
  if (error instanceof RefusedError) {
    queue.forget(key);
    logger.warn({ key, code: error.code, err: error }, 'refused; waiting for a change');
    return 'terminal_error';
  }
  if (attempt > (options.bugRetries ?? 5)) {
    queue.forget(key);
    logger.error({ key, attempt, err: error }, 'bug; parked until a change');
    return 'bug';
  }
  queue.retry(key);
  logger.error({ key, attempt, err: error }, 'bug; retrying');
  return 'bug';
}
