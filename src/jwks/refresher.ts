/*
 * Fetches the keys of sources again and again: after max-age, after a failure with growing delays, and when an agent lacks
 * a key. A source that fails keeps its keys.
 */
import type { KeySet } from '../bundle/bundle.ts';
import type { Clock } from '../clock.ts';
import { kidHash } from '../jwt/kid-hash.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type CachedSource, namespacesOf } from './cached-sources.ts';
import type { FetchLimits } from './fetch-document.ts';
import { FetchFailure } from './fetch-failure.ts';
import { type FetchedKeys, fetchKeys } from './fetch-keys.ts';
import { type FetchJob, FetchSlots } from './fetch-slots.ts';

/** Counts fetches. */
export interface FetchObserver {
  /** `namespaces`: of the policies that want the source. */
  readonly onFetch: (result: 'success' | 'failure', namespaces: Iterable<string>) => void;
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
  /** Shortest time between two fetches of a source that look for a key, in milliseconds; default {@link SEEK_COOLDOWN_MS}. */
  readonly seekCooldownMs?: number;
}

/** What came of {@link Refresher.seek}: a fetch now, a fetch later, or none, because the key is known. */
export type SeekResult = 'fetch' | 'held' | 'known';

/** What the refresher needs to know of the other sources. */
export interface RefreshHooks {
  /** Called after a fetch that changed a source. `keys` false: only its state changed. */
  readonly onChange: (cached: CachedSource, keys: boolean) => void;
  /** Why keys of this size cannot be kept; `undefined`: they can. */
  readonly refusalOf: (cached: CachedSource, bytes: number) => string | undefined;
}

/** Invented `kid`s cost one fetch of their source in this time. */
export const SEEK_COOLDOWN_MS = 10_000;
const MAX_TIMEOUT_MS = 30_000;
/** Longest reason that is kept, in characters. */
const MAX_REASON = 512;

/** Schedules the fetches of all sources, each with its own timer, and runs them as slots become free. */
export class Refresher {
  readonly #options: RefreshOptions;
  readonly #hooks: RefreshHooks;
  readonly #slots: FetchSlots;
  readonly #running = new Set<Promise<void>>();
  /** `undefined`: not started. */
  #stopping: AbortSignal | undefined;

  constructor(options: RefreshOptions, hooks: RefreshHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#slots = new FetchSlots(options.clock);
  }

  /** Fetches `sources()` until `signal` aborts. Resolves when no fetch is in progress. */
  async run(sources: () => readonly CachedSource[], signal: AbortSignal): Promise<void> {
    this.#stopping = signal;
    for (const cached of sources()) this.schedule(cached, 0);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    for (const cached of sources()) this.forget(cached);
    await Promise.all(this.#running);
  }

  /** Fetches a source after `delayMs`, instead of any fetch that is scheduled. Does nothing unless running and wanted. */
  schedule(cached: CachedSource, delayMs: number): void {
    cached.cancel();
    if (this.#stopping === undefined || this.#stopping.aborted || cached.wantedBy.size === 0) return;
    if (cached.sought !== undefined && hasKey(cached.keySet, cached.sought)) cached.sought = undefined;
    const soonestMs = cached.sought === undefined ? delayMs : Math.min(delayMs, this.#cooldownMs(cached));
    cached.nextAtMs = this.#options.clock.nowMs() + soonestMs;
    cached.cancel = this.#options.clock.after(soonestMs, () => this.#slots.add(this.#jobOf(cached)));
  }

  /**
   * Fetches a source soon, because a token names a key that it lacks: now, or at the end of the cooldown of an earlier such fetch.
   * @param kid hash of the `kid`; `''`: whatever keys there are
   */
  seek(cached: CachedSource, kid: string): SeekResult {
    if (hasKey(cached.keySet, kid)) return 'known';
    const isSought = cached.sought !== undefined;
    cached.sought = kid;
    // A fetch in progress may have begun before the key was there: its end decides.
    if (isSought || cached.isFetching) return 'held';
    const { clock } = this.#options;
    this.schedule(cached, Math.max(0, cached.nextAtMs - clock.nowMs()));
    return this.#cooldownMs(cached) === 0 ? 'fetch' : 'held';
  }

  #cooldownMs({ soughtAtMs }: CachedSource): number {
    const { clock, seekCooldownMs = SEEK_COOLDOWN_MS } = this.#options;
    return Math.max(0, soughtAtMs + seekCooldownMs - clock.nowMs());
  }

  /** To be called when another namespace has come to want a source: a fetch that waits may take its turn. */
  join(cached: CachedSource): void {
    if (cached.job !== undefined && this.#slots.isWaiting(cached.job)) this.#slots.add(cached.job);
  }

  /** Ends what is scheduled or in progress for a source. */
  forget(cached: CachedSource): void {
    cached.cancel();
    if (cached.job !== undefined) this.#slots.forget(cached.job);
  }

  #jobOf(cached: CachedSource): FetchJob {
    cached.job ??= {
      namespaces: () => namespacesOf(cached),
      isSlow: false,
      run: async (gaveWay) => {
        const fetching = this.#refresh(cached, gaveWay);
        this.#running.add(fetching);
        await fetching;
        this.#running.delete(fetching);
      },
    };
    return cached.job;
  }

  async #refresh(cached: CachedSource, gaveWay: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.nowMs();
    const timeoutMs = timeoutOf(cached, this.#options.limits);
    cached.isFetching = true;
    if (cached.sought !== undefined) Object.assign(cached, { sought: undefined, soughtAtMs: startedMs });
    try {
      const fetched = await fetchWithin(this.#options, cached, { timeoutMs, gaveWay });
      cached.isFetching = false;
      if (!gaveWay.aborted) this.#succeed(cached, fetched);
    } catch (error) {
      if (gaveWay.aborted) {
        cached.isFetching = false;
        return;
      }
      const remainingMs = startedMs + timeoutMs - clock.nowMs();
      // A closed port fails sooner than a dropped packet: inside the cluster, neither must be visible.
      if (error instanceof FetchFailure && error.isInternal && remainingMs > 0) {
        cached.cancel = clock.after(remainingMs, () => this.#fail(cached, error));
      } else {
        this.#fail(cached, error);
      }
    }
  }

  #succeed(cached: CachedSource, { keySet, leftOut, maxAgeSeconds }: FetchedKeys): void {
    const { clock, logger, observer } = this.#options;
    const text = JSON.stringify(keySet);
    const changed = text !== JSON.stringify(cached.keySet);
    // Keys that are kept already have been counted.
    const refusal = changed ? this.#hooks.refusalOf(cached, text.length) : undefined;
    if (refusal !== undefined) {
      this.#record(cached, `${keySet.source} cannot be used: ${refusal}`);
      return;
    }
    // Until now the keys of a published bundle were used instead.
    const isOther = changed || cached.seeds.size > 0;
    const wasHealthy = cached.failures === 0 && cached.fetchedAtMs !== undefined;
    const isNewlyLeftOut = JSON.stringify(leftOut) !== JSON.stringify(cached.leftOut);
    Object.assign(cached, { keySet, leftOut, bytes: text.length, fetchedAtMs: clock.nowMs() });
    Object.assign(cached, { failures: 0, reason: undefined, logged: undefined });
    cached.seeds.clear();
    observer?.onFetch('success', namespacesOf(cached));
    if (changed) logger.info({ url: keySet.source, keys: keySet.keys.length }, 'keys changed');
    if (isNewlyLeftOut && leftOut.length > 0) {
      logger.warn({ code: 'SP_JWKS', url: keySet.source, leftOut }, 'keys of the set are not used');
    }
    if (isOther || isNewlyLeftOut || !wasHealthy) this.#hooks.onChange(cached, isOther);
    this.schedule(cached, refreshDelayMs(this.#options, maxAgeSeconds));
  }

  #fail(cached: CachedSource, error: unknown): void {
    const { logger } = this.#options;
    if (error instanceof FetchFailure) {
      const message = error.message.slice(0, MAX_REASON);
      if (cached.logged !== message) {
        logger.warn({ code: error.code, attempt: cached.failures + 1, err: error }, 'keys cannot be fetched');
      }
      cached.logged = message;
      this.#record(cached, error.publicMessage);
      return;
    }
    logger.error({ err: error, attempt: cached.failures + 1 }, 'bug while fetching keys');
    this.#record(cached, 'the response cannot be read');
  }

  #record(cached: CachedSource, text: string): void {
    const reason = text.slice(0, MAX_REASON);
    const isNew = cached.reason !== reason;
    cached.isFetching = false;
    Object.assign(cached, { failures: cached.failures + 1, reason });
    this.#options.observer?.onFetch('failure', namespacesOf(cached));
    if (isNew) this.#hooks.onChange(cached, false);
    this.schedule(cached, retryDelayMs(this.#options, cached.failures));
  }
}

const hashes = new WeakMap<KeySet, ReadonlySet<string>>();

/** Whether a key of the set has this hash of its `kid`; a key without `kid` is the key of every token. */
function hasKey(keySet: KeySet | undefined, kid: string): boolean {
  if (keySet === undefined || kid === '') return false;
  const known = hashes.get(keySet) ?? new Set(keySet.keys.map((key) => kidHash(key['kid'] ?? '')));
  hashes.set(keySet, known);
  return known.has(kid) || known.has(kidHash(''));
}

function timeoutOf({ source, wantedBy }: CachedSource, { serverOf }: FetchLimits): number {
  const target = URL.parse(source.url);
  const own = target === null ? undefined : serverOf?.(target)?.timeoutMs;
  if (own !== undefined) return Math.min(own, MAX_TIMEOUT_MS);
  const longest = [...wantedBy.values()].reduce((most, { timeoutMs }) => Math.max(most, timeoutMs), 1);
  return Math.min(longest, MAX_TIMEOUT_MS);
}

async function fetchWithin(
  { clock, limits }: RefreshOptions,
  { source, guard }: CachedSource,
  { timeoutMs, gaveWay }: { readonly timeoutMs: number; readonly gaveWay: AbortSignal },
): Promise<FetchedKeys> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const cancel = clock.after(timeoutMs, end);
  gaveWay.addEventListener('abort', end, { once: true });
  try {
    return await fetchKeys(source, { limits, guard }, ending.signal);
  } finally {
    cancel();
    gaveWay.removeEventListener('abort', end);
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
