/*
 * Workers on a queue. In: a queue and what to do with one key. Out: each key handled, failures sorted by family: what a
 * retry may mend comes again with backoff, what is refused waits for the next change, a bug is tried a few times and parked.
 */
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WorkQueue } from './queue.ts';

/** When to look at the key again although nothing changed; nothing: not until something changes. */
export interface HandleResult {
  readonly requeueAfterMs?: number;
}

export type WorkResult = 'success' | 'requeue_after' | 'error' | 'terminal_error' | 'bug';

export interface WorkerObserver {
  readonly onActive: (change: 1 | -1) => void;
  readonly onResult: (result: WorkResult, durationMs: number) => void;
}

export interface WorkersOptions {
  readonly queue: WorkQueue;
  /** Called with the newest state to be read by itself. */
  readonly handle: (key: string, signal: AbortSignal) => Promise<HandleResult | undefined>;
  /** Keys handled at the same time; default 4. */
  readonly concurrency?: number;
  readonly logger: Logger;
  readonly observer?: WorkerObserver;
  /** Given to `handle`; absent: the signal that stops the workers. A later one lets keys under work be finished. */
  readonly handleSignal?: AbortSignal;
  /** How often a bug is tried again before its key is parked until it changes; default 5. */
  readonly bugRetries?: number;
}

/** Handles keys until `signal` aborts; then ends when the keys under work are finished. */
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
      // Leases are renewed and probes answered between two keys, however many wait.
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
    queue.addAfter(key, result.requeueAfterMs);
    return 'requeue_after';
  } catch (error) {
    return sortFailure(options, { key, error }, signal);
  }
}

function sortFailure(options: WorkersOptions, failure: { readonly key: string; readonly error: unknown }, signal: AbortSignal): WorkResult {
  const { queue, logger } = options;
  const { key, error } = failure;
  // A worker that was told to stop in the middle of a call has not failed.
  if (signal.aborted) return 'error';
  const attempt = queue.attempts(key) + 1;
  if (error instanceof TransientError) {
    const delayMs = queue.retry(key, error.retryAfterMs);
    logger.warn({ key, attempt, code: error.code, delayMs, err: error }, 'try again later');
    return 'error';
  }
  if (error instanceof RefusedError) {
    queue.forget(key);
    logger.warn({ key, code: error.code, err: error }, 'refused, waiting for a change');
    return 'terminal_error';
  }
  if (attempt > (options.bugRetries ?? 5)) {
    queue.forget(key);
    logger.error({ key, attempt, err: error }, 'bug, parked until a change');
    return 'bug';
  }
  queue.retry(key);
  logger.error({ key, attempt, err: error }, 'bug, trying again');
  return 'bug';
}
