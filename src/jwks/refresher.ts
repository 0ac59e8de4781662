/*
 * Fetches the keys of sources again and again: after max-age, and after a failure with growing delays. A source that fails keeps its keys.
 */
import type { Clock } from '../clock.ts';
import { TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { CachedSource } from './cached-sources.ts';
import type { FetchLimits } from './fetch-document.ts';
import { type FetchedKeys, fetchKeys } from './fetch-keys.ts';

/** Counts fetches. */
export interface FetchObserver {
  /** `url` is the source as configured; policies decide how many there are. */
  readonly onFetch: (result: 'success' | 'failure', url: string) => void;
}

/** How sources are fetched, and how often. */
export interface RefreshOptions {
  readonly limits: FetchLimits;
  readonly clock: Clock;
  /** Returns a random number, uniform in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly observer?: FetchObserver;
  /** Longest time between two fetches of a healthy source, in milliseconds; default 20 minutes. */
  readonly refreshMs?: number;
  /** Shortest such time, whatever Cache-Control says; default 1 minute. */
  readonly minRefreshMs?: number;
  /** First delay after a failure, doubled after each further one; default 1 s. */
  readonly retryMs?: number;
  /** Longest delay after failures; default 5 minutes. */
  readonly maxRetryMs?: number;
}

/** Called after a fetch that changed a source. `keys` false: only its state changed. */
export type NotifyChange = (cached: CachedSource, keys: boolean) => void;

const MAX_TIMEOUT_MS = 30_000;

/** Schedules and runs the fetches of all sources, each with its own timer. */
export class Refresher {
  readonly #options: RefreshOptions;
  readonly #notify: NotifyChange;
  /** `undefined`: not started. */
  #running: AbortSignal | undefined;

  constructor(options: RefreshOptions, notify: NotifyChange) {
    this.#options = options;
    this.#notify = notify;
  }

  /** Fetches `sources()` until `signal` aborts. Resolves when no fetch is in progress. */
  async run(sources: () => readonly CachedSource[], signal: AbortSignal): Promise<void> {
    this.#running = signal;
    for (const cached of sources()) this.schedule(cached, 0);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    for (const cached of sources()) cached.cancel();
    await Promise.all(sources().flatMap(({ fetching }) => fetching ?? []));
  }

  /** Fetches a source after `delayMs`, instead of any fetch that is scheduled. Does nothing unless running and wanted. */
  schedule(cached: CachedSource, delayMs: number): void {
    cached.cancel();
    if (this.#running === undefined || this.#running.aborted || cached.wantedBy.size === 0) return;
    cached.cancel = this.#options.clock.after(delayMs, () => {
      const signal = this.#running;
      if (signal === undefined || signal.aborted || cached.fetching !== undefined) return;
      cached.fetching = this.#refresh(cached, signal).finally(() => {
        cached.fetching = undefined;
      });
    });
  }

  async #refresh(cached: CachedSource, signal: AbortSignal): Promise<void> {
    try {
      const fetched = await fetchWithin(this.#options, cached, signal);
      this.#succeed(cached, fetched);
    } catch (error) {
      if (!signal.aborted) this.#fail(cached, error);
    }
  }

  #succeed(cached: CachedSource, { keySet, leftOut, maxAgeSeconds }: FetchedKeys): void {
    const { clock, logger, observer } = this.#options;
    const wasHealthy = cached.failures === 0 && cached.fetchedAtMs !== undefined;
    const changed = JSON.stringify(keySet) !== JSON.stringify(cached.keySet);
    const isNewlyLeftOut = JSON.stringify(leftOut) !== JSON.stringify(cached.leftOut);
    Object.assign(cached, { keySet, leftOut, fetchedAtMs: clock.nowMs(), failures: 0, reason: undefined });
    cached.seeds.clear();
    observer?.onFetch('success', cached.source.url);
    if (changed) logger.info({ url: keySet.source, keys: keySet.keys.length }, 'keys changed');
    if (isNewlyLeftOut && leftOut.length > 0) {
      logger.warn({ code: 'SP_JWKS', url: keySet.source, leftOut }, 'keys of the set are not used');
    }
    if (changed || isNewlyLeftOut || !wasHealthy) this.#notify(cached, changed);
    this.schedule(cached, refreshDelayMs(this.#options, maxAgeSeconds));
  }

  #fail(cached: CachedSource, error: unknown): void {
    const { logger, observer } = this.#options;
    const reason = error instanceof TransientError ? error.message : 'the response cannot be read';
    const isNew = cached.reason !== reason;
    Object.assign(cached, { failures: cached.failures + 1, reason });
    observer?.onFetch('failure', cached.source.url);
    if (!(error instanceof TransientError)) logger.error({ err: error, attempt: cached.failures }, 'bug while fetching keys');
    else if (isNew) logger.warn({ code: error.code, attempt: cached.failures, err: error }, 'keys cannot be fetched');
    if (isNew) this.#notify(cached, false);
    this.schedule(cached, retryDelayMs(this.#options, cached.failures));
  }
}

async function fetchWithin({ clock, limits }: RefreshOptions, cached: CachedSource, signal: AbortSignal): Promise<FetchedKeys> {
  const timeoutMs = Math.min(Math.max(...cached.wantedBy.values(), 1), MAX_TIMEOUT_MS);
  const deadline = new AbortController();
  const cancel = clock.after(timeoutMs, () => deadline.abort());
  try {
    return await fetchKeys(cached.source, limits, AbortSignal.any([signal, deadline.signal]));
  } finally {
    cancel();
  }
}

function refreshDelayMs(options: RefreshOptions, maxAgeSeconds: number | undefined): number {
  const longest = options.refreshMs ?? 20 * 60_000;
  const shortest = Math.min(options.minRefreshMs ?? 60_000, longest);
  const wanted = maxAgeSeconds === undefined ? longest : Math.min(longest, Math.max(shortest, maxAgeSeconds * 1000));
  // Spreads sources that were first fetched at the same time.
  return wanted * (0.9 + 0.1 * options.random());
}

function retryDelayMs(options: RefreshOptions, failures: number): number {
  const delayMs = Math.min((options.retryMs ?? 1_000) * 2 ** Math.min(failures - 1, 30), options.maxRetryMs ?? 300_000);
  return delayMs * (0.5 + 0.5 * options.random());
}
