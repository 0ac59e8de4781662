/*
 * A queue of keys, not of events: a worker that takes a key reads the newest state itself. A key waits at most once and is
 * never handed out twice at the same time; namespaces take turns.
 */
import type { Clock } from '../clock.ts';
import { createFairKeys, type FairKeys, type Priority } from './fair-keys.ts';

/** Measurements of the queue; durations in milliseconds. */
export interface QueueObserver {
  readonly onDepth: (depth: number) => void;
  readonly onAdd: () => void;
  readonly onTake: (queuedMs: number) => void;
  readonly onDone: (workedMs: number) => void;
  readonly onRetry: () => void;
}

/** Settings of a queue. */
export interface WorkQueueOptions {
  readonly clock: Clock;
  /** The group of a key: keys of one group keep their order, groups take turns. Here a group is a namespace. */
  readonly groupOf: (key: string) => string;
  readonly observer?: QueueObserver;
  /** First delay after a failure in milliseconds, doubled at each further one; default 5. */
  readonly baseDelayMs?: number;
  /** Longest delay after a failure in milliseconds; default 1 000 000 (1000 s). */
  readonly maxDelayMs?: number;
  /** Sustained retries per second over all keys; default 10. */
  readonly retriesPerSecond?: number;
  /** Retries that may run before {@link WorkQueueOptions.retriesPerSecond} limits them; default 100. */
  readonly retryBurst?: number;
}

/** A queue of keys with delays and retries. */
export interface WorkQueue {
  /**
   * Queues `key` unless it waits already; a key in progress is handed out again afterwards. A waiting key of low priority
   * is promoted by an add of normal priority, the default.
   */
  readonly add: (key: string, priority?: Priority) => void;
  /** Adds `key` after `delayMs`; of several pending delays of one key the earliest counts. */
  readonly addAfter: (key: string, delayMs: number) => void;
  /** Adds `key` after its own backoff, and not before `atLeastMs`. @returns the delay in milliseconds */
  readonly retry: (key: string, atLeastMs?: number) => number;
  /** Resets the backoff of `key`: its next failure starts from the first delay. */
  readonly forget: (key: string) => void;
  /** Consecutive failures of `key`. */
  readonly attempts: (key: string) => number;
  /** The next key; undefined when the queue is closed or `signal` aborts. Each key taken must be passed to {@link WorkQueue.done}. */
  readonly take: (signal: AbortSignal) => Promise<string | undefined>;
  readonly done: (key: string) => void;
  /** True when `key` waits, is delayed or is in progress. */
  readonly holds: (key: string) => boolean;
  /** Number of keys that wait, without those that are delayed. */
  readonly depth: () => number;
  /** How long each key in progress has been worked on, in milliseconds. */
  readonly running: () => readonly number[];
  /** Stops handing out keys; waiting takers get undefined. */
  readonly close: () => void;
}

/** An empty queue. Memory is bounded by the number of different keys; every operation is O(1). */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const queue = new KeyQueue(options);
  return {
    add: (key, priority = 'normal') => queue.add(key, priority),
    addAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    retry: (key, atLeastMs = 0) => queue.retry(key, atLeastMs),
    forget: (key) => void queue.failures.delete(key),
    attempts: (key) => queue.failures.get(key) ?? 0,
    take: (signal) => queue.take(signal),
    done: (key) => queue.done(key),
    holds: (key) => queue.holds(key),
    depth: () => queue.waiting.size(),
    running: () => [...queue.startedMsByKey.values()].map((startedMs) => options.clock.nowMs() - startedMs),
    close: () => queue.close(),
  };
}

interface Delayed {
  readonly dueMs: number;
  readonly cancel: () => void;
}

class KeyQueue {
  readonly waiting: FairKeys;
  /** Keys that are to be handed out: those that wait, and those in progress that were added again. */
  readonly #dirty = new Map<string, Priority>();
  /** Keys in progress. */
  readonly startedMsByKey = new Map<string, number>();
  readonly failures = new Map<string, number>();
  readonly #options: WorkQueueOptions;
  readonly #delayed = new Map<string, Delayed>();
  readonly #takers: (() => void)[] = [];
  readonly #reserveRetry: () => number;
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.waiting = createFairKeys(options.groupOf);
    this.#reserveRetry = createRetryBucket(options);
  }

  add(key: string, priority: Priority): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
    if (this.#closed) return;
    const queuedAs = this.#dirty.get(key);
    if (queuedAs === undefined) {
      this.#options.observer?.onAdd();
      this.#dirty.set(key, priority);
      if (!this.startedMsByKey.has(key)) this.#push(key, priority);
    } else if (queuedAs === 'low' && priority === 'normal') {
      this.#dirty.set(key, priority);
      this.waiting.promote(key);
    }
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key, 'normal');
      return;
    }
    const { clock } = this.#options;
    const dueMs = clock.nowMs() + delayMs;
    const pending = this.#delayed.get(key);
    if (pending !== undefined && pending.dueMs <= dueMs) return;
    pending?.cancel();
    this.#delayed.set(key, { dueMs, cancel: clock.after(delayMs, () => this.add(key, 'normal')) });
  }

  retry(key: string, atLeastMs: number): number {
    const { baseDelayMs = 5, maxDelayMs = 1_000_000, observer } = this.#options;
    const failed = this.failures.get(key) ?? 0;
    this.failures.set(key, failed + 1);
    const backoffMs = Math.min(baseDelayMs * 2 ** Math.min(failed, 40), maxDelayMs);
    const delayMs = Math.max(backoffMs, atLeastMs, this.#reserveRetry());
    observer?.onRetry();
    this.addAfter(key, delayMs);
    return delayMs;
  }

  async take(signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      if (this.#closed || signal.aborted) return undefined;
      const key = this.#pop();
      if (key !== undefined) return key;
      await waitForKey(this.#takers, signal);
    }
  }

  done(key: string): void {
    const startedMs = this.startedMsByKey.get(key);
    if (startedMs === undefined) return;
    this.startedMsByKey.delete(key);
    this.#options.observer?.onDone(this.#options.clock.nowMs() - startedMs);
    const addedAs = this.#dirty.get(key);
    if (addedAs !== undefined && !this.#closed) this.#push(key, addedAs);
  }

  holds(key: string): boolean {
    return this.#dirty.has(key) || this.startedMsByKey.has(key) || this.#delayed.has(key);
  }

  close(): void {
    this.#closed = true;
    for (const pending of this.#delayed.values()) pending.cancel();
    this.#delayed.clear();
    for (const wake of this.#takers.splice(0)) wake();
  }

  #push(key: string, priority: Priority): void {
    this.waiting.push(key, this.#options.clock.nowMs(), priority);
    this.#options.observer?.onDepth(this.waiting.size());
    this.#takers.shift()?.();
  }

  #pop(): string | undefined {
    const next = this.waiting.pop();
    if (next === undefined) return undefined;
    const nowMs = this.#options.clock.nowMs();
    this.#dirty.delete(next.key);
    this.startedMsByKey.set(next.key, nowMs);
    this.#options.observer?.onDepth(this.waiting.size());
    this.#options.observer?.onTake(nowMs - next.sinceMs);
    return next.key;
  }
}

function waitForKey(takers: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    const leave = (): void => {
      const at = takers.indexOf(wake);
      if (at >= 0) takers.splice(at, 1);
      resolve();
    };
    signal.addEventListener('abort', leave, { once: true });
    takers.push(wake);
  });
}

/** Reserves a retry in the bucket that all keys share, and returns the milliseconds until it may run. */
function createRetryBucket(options: WorkQueueOptions): () => number {
  const perSecond = options.retriesPerSecond ?? 10;
  const burst = options.retryBurst ?? 100;
  let tokens = burst;
  let filledAtMs = options.clock.nowMs();
  return () => {
    const nowMs = options.clock.nowMs();
    tokens = Math.min(burst, tokens + ((nowMs - filledAtMs) / 1000) * perSecond) - 1;
    filledAtMs = nowMs;
    return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
  };
}
