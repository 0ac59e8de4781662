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

/** How a failed key is added again. */
export interface RetryOptions {
  /** The shortest delay, in milliseconds; default 0. */
  readonly atLeastMs?: number;
  /** The longest delay of the key's own backoff, in milliseconds; default {@link WorkQueueOptions.maxDelayMs}. */
  readonly atMostMs?: number;
  /**
   * The cause may be one that all keys share, such as a server that is down: once other keys succeed, this one does not wait for the
   * rest of its delay, but never less than {@link RetryOptions.atLeastMs}. Default false.
   */
  readonly isOutage?: boolean;
}

/** A queue of keys with delays and retries. */
export interface WorkQueue {
  /**
   * Queues `key` unless it waits already; a key in progress is handed out again afterwards. A waiting key of low priority
   * is promoted by an add of normal priority, the default.
   */
  readonly add: (key: string, priority?: Priority) => void;
  /** Adds `key` after `delayMs`; of several pending delays of one key the earliest counts. */
  readonly addAfter: (key: string, delayMs: number, priority?: Priority) => void;
  /** Adds `key` after its own backoff, with the priority with which it was taken. @returns the delay in milliseconds */
  readonly retry: (key: string, options?: RetryOptions) => number;
  /** Resets the backoff of `key`, which was handled: its next failure starts from the first delay. Ends an outage step by step. */
  readonly forget: (key: string) => void;
  /** The priority with which a key in progress was taken; `normal` for every other key. */
  readonly priorityOf: (key: string) => Priority;
  /** Consecutive failures of `key`. */
  readonly attempts: (key: string) => number;
  /** The next key; undefined when the queue is closed or `signal` aborts. Each key taken must be passed to {@link WorkQueue.done}. */
  readonly take: (signal: AbortSignal) => Promise<string | undefined>;
  readonly done: (key: string) => void;
  /** True when `key` waits, is delayed or is in progress. */
  readonly holds: (key: string) => boolean;
  /** True when `key` is in progress. */
  readonly isRunning: (key: string) => boolean;
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
    addAfter: (key, delayMs, priority = 'normal') => queue.addAfter(key, delayMs, priority),
    retry: (key, retryOptions = {}) => queue.retry(key, retryOptions),
    forget: (key) => queue.forget(key),
    priorityOf: (key) => queue.started.get(key)?.priority ?? 'normal',
    attempts: (key) => queue.failures.get(key) ?? 0,
    take: (signal) => queue.take(signal),
    done: (key) => queue.done(key),
    holds: (key) => queue.holds(key),
    isRunning: (key) => queue.started.has(key),
    depth: () => queue.waiting.size(),
    running: () => [...queue.started.values()].map(({ startedMs }) => options.clock.nowMs() - startedMs),
    close: () => queue.close(),
  };
}

interface Delayed {
  readonly dueMs: number;
  readonly cancel: () => void;
}

interface Started {
  readonly startedMs: number;
  readonly priority: Priority;
}

/** With fewer keys than this in an outage, each waits for its own backoff. */
const OUTAGE_KEYS = 8;
/** Keys that the success of one key releases: a server that has recovered gets its load back step by step, but soon. */
const RELEASED_BY_SUCCESS = 2;

class KeyQueue {
  readonly waiting: FairKeys;
  /** Keys that are to be handed out: those that wait, and those in progress that were added again. */
  readonly #dirty = new Map<string, Priority>();
  /** Keys in progress. */
  readonly started = new Map<string, Started>();
  readonly failures = new Map<string, number>();
  readonly #options: WorkQueueOptions;
  readonly #delayed = new Map<string, Delayed>();
  /** Keys that failed in what may be an outage, oldest failure first: when they may be tried again at the earliest, and how. */
  readonly #inOutage = new Map<string, { readonly atLeastMs: number; readonly priority: Priority }>();
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
    this.#inOutage.delete(key);
    if (this.#closed) return;
    const queuedAs = this.#dirty.get(key);
    if (queuedAs === undefined) {
      this.#options.observer?.onAdd();
      this.#dirty.set(key, priority);
      if (!this.started.has(key)) this.#push(key, priority);
    } else if (queuedAs === 'low' && priority === 'normal') {
      this.#dirty.set(key, priority);
      this.waiting.promote(key);
    }
  }

  addAfter(key: string, delayMs: number, priority: Priority): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key, priority);
      return;
    }
    const { clock } = this.#options;
    const dueMs = clock.nowMs() + delayMs;
    const pending = this.#delayed.get(key);
    if (pending !== undefined && pending.dueMs <= dueMs) return;
    pending?.cancel();
    this.#delayed.set(key, { dueMs, cancel: clock.after(delayMs, () => this.add(key, priority)) });
  }

  retry(key: string, { atLeastMs = 0, atMostMs, isOutage = false }: RetryOptions): number {
    const { baseDelayMs = 5, maxDelayMs = 1_000_000, observer, clock } = this.#options;
    const failed = this.failures.get(key) ?? 0;
    this.failures.set(key, failed + 1);
    const priority = this.started.get(key)?.priority ?? 'normal';
    const backoffMs = Math.min(baseDelayMs * 2 ** Math.min(failed, 40), atMostMs ?? maxDelayMs);
    const delayMs = Math.max(backoffMs, atLeastMs, this.#reserveRetry());
    observer?.onRetry();
    this.addAfter(key, delayMs, priority);
    if (isOutage) this.#inOutage.set(key, { atLeastMs: clock.nowMs() + atLeastMs, priority });
    return delayMs;
  }

  forget(key: string): void {
    this.failures.delete(key);
    if (this.#inOutage.size < OUTAGE_KEYS) return;
    const nowMs = this.#options.clock.nowMs();
    let released = 0;
    for (const [failed, { atLeastMs, priority }] of this.#inOutage) {
      // Servers ask all clients to wait for about the same time.
      if (atLeastMs > nowMs || released === RELEASED_BY_SUCCESS) return;
      this.add(failed, priority);
      released += 1;
    }
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
    const started = this.started.get(key);
    if (started === undefined) return;
    this.started.delete(key);
    this.#options.observer?.onDone(this.#options.clock.nowMs() - started.startedMs);
    const addedAs = this.#dirty.get(key);
    if (addedAs !== undefined && !this.#closed) this.#push(key, addedAs);
  }

  holds(key: string): boolean {
    return this.#dirty.has(key) || this.started.has(key) || this.#delayed.has(key);
  }

  close(): void {
    this.#closed = true;
    for (const pending of this.#delayed.values()) pending.cancel();
    this.#delayed.clear();
    this.#inOutage.clear();
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
    this.started.set(next.key, { startedMs: nowMs, priority: next.priority });
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
