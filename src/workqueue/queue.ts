/*
 * A queue of keys, not of events: whoever takes a key reads the newest state itself. In: keys to look at, now, later or
 * after a failure. Out: one key at a time, never the same key twice at once, namespaces in turn. Workers take from it.
 */
import type { Clock } from '../clock.ts';

/** What the queue tells of itself; durations in milliseconds. */
export interface QueueObserver {
  readonly onDepth: (depth: number) => void;
  readonly onAdd: () => void;
  readonly onTake: (queuedMs: number) => void;
  readonly onDone: (workedMs: number) => void;
  readonly onRetry: () => void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Keys of one group wait for each other, groups take turns; a key's namespace. */
  readonly groupOf: (key: string) => string;
  readonly observer?: QueueObserver;
  /** First delay after a failure in milliseconds, doubled at each further one; default 5. */
  readonly baseDelayMs?: number;
  /** Longest delay after a failure; default 1 000 000 (1000 s). */
  readonly maxDelayMs?: number;
  /** Retries per second over all keys in the long run; default 10. */
  readonly retriesPerSecond?: number;
  /** Retries at once; default 100. */
  readonly retryBurst?: number;
}

export interface WorkQueue {
  /** Queues `key` unless it waits already; while it is worked on, it comes again afterwards. */
  readonly add: (key: string) => void;
  /** Adds `key` after `delayMs`; of several pending delays of one key the earliest counts. */
  readonly addAfter: (key: string, delayMs: number) => void;
  /** Adds `key` after its own backoff, and not before `atLeastMs`; returns the delay. */
  readonly retry: (key: string, atLeastMs?: number) => number;
  /** Ends the backoff of `key`: its next failure starts from the first delay. */
  readonly forget: (key: string) => void;
  /** Failures of `key` in a row. */
  readonly attempts: (key: string) => number;
  /** The next key; undefined when the queue is closed or `signal` aborts. Each taken key must be given to `done`. */
  readonly take: (signal: AbortSignal) => Promise<string | undefined>;
  readonly done: (key: string) => void;
  /** Keys that wait now (delayed ones not counted). */
  readonly depth: () => number;
  /** How long each key under work has been so, in milliseconds. */
  readonly running: () => readonly number[];
  /** Nothing is handed out any more; waiting takers get undefined. */
  readonly close: () => void;
}

interface Delayed {
  readonly dueMs: number;
  readonly cancel: () => void;
}

/** An empty queue. Memory is bounded by the number of different keys; every operation is O(1). */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, observer } = options;
  const ready = new Map<string, Map<string, number>>();
  const dirty = new Set<string>();
  const working = new Map<string, number>();
  const delayed = new Map<string, Delayed>();
  const failures = new Map<string, number>();
  const takers: (() => void)[] = [];
  const reserve = createRetryBucket(options);
  let depth = 0;
  let closed = false;

  const push = (key: string): void => {
    const group = options.groupOf(key);
    const keys = ready.get(group);
    if (keys === undefined) ready.set(group, new Map([[key, clock.nowMs()]]));
    else keys.set(key, clock.nowMs());
    depth += 1;
    observer?.onDepth(depth);
    takers.shift()?.();
  };
  const add = (key: string): void => {
    delayed.get(key)?.cancel();
    delayed.delete(key);
    if (closed || dirty.has(key)) return;
    observer?.onAdd();
    dirty.add(key);
    if (!working.has(key)) push(key);
  };
  const addAfter = (key: string, delayMs: number): void => {
    if (closed) return;
    if (delayMs <= 0) {
      add(key);
      return;
    }
    const dueMs = clock.nowMs() + delayMs;
    const pending = delayed.get(key);
    if (pending !== undefined && pending.dueMs <= dueMs) return;
    pending?.cancel();
    delayed.set(key, { dueMs, cancel: clock.after(delayMs, () => add(key)) });
  };
  const pop = (): string | undefined => {
    for (const [group, keys] of ready) {
      ready.delete(group);
      for (const [key, addedMs] of keys) {
        keys.delete(key);
        if (keys.size > 0) ready.set(group, keys);
        depth -= 1;
        dirty.delete(key);
        working.set(key, clock.nowMs());
        observer?.onDepth(depth);
        observer?.onTake(clock.nowMs() - addedMs);
        return key;
      }
    }
    return undefined;
  };

  return {
    add,
    addAfter,
    retry: (key, atLeastMs = 0) => {
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      const backoffMs = Math.min((options.baseDelayMs ?? 5) * 2 ** Math.min(failed, 40), options.maxDelayMs ?? 1_000_000);
      const delayMs = Math.max(backoffMs, atLeastMs, reserve());
      observer?.onRetry();
      addAfter(key, delayMs);
      return delayMs;
    },
    forget: (key) => void failures.delete(key),
    attempts: (key) => failures.get(key) ?? 0,
    take: async (signal) => {
      for (;;) {
        if (closed || signal.aborted) return undefined;
        const key = pop();
        if (key !== undefined) return key;
        await waitForKey(takers, signal);
      }
    },
    done: (key) => {
      const startedMs = working.get(key);
      if (startedMs === undefined) return;
      working.delete(key);
      observer?.onDone(clock.nowMs() - startedMs);
      if (dirty.has(key) && !closed) push(key);
    },
    depth: () => depth,
    running: () => [...working.values()].map((startedMs) => clock.nowMs() - startedMs),
    close: () => {
      closed = true;
      for (const pending of delayed.values()) pending.cancel();
      delayed.clear();
      for (const wake of takers.splice(0)) wake();
    },
  };
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

/** Milliseconds until a retry may run, taking its place in the common bucket. */
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
