/*
 * Keeps the last good keys of every issuer. In: the JWT rules that anybody wants, key sets found in published bundles after
 * a restart. Out: the last good key set at once, a word when it changed, and the state of each source for status and
 * metrics. A source that fails keeps its keys; one that never answered has none. Called by reconcile and the status writer.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import type { Clock } from '../clock.ts';
import { TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { FetchLimits } from './fetch-document.ts';
import { type FetchedKeys, fetchKeys, type KeySource, keySourceOf } from './fetch-keys.ts';

/**
 * What is known of the keys of one rule. `inline`: nothing to fetch. `pending`: asked, no answer yet, no keys. `fresh`: the
 * last fetch succeeded. `stale`: it failed, the last good keys are in force. `unavailable`: it failed and there are no keys.
 */
export type KeyState =
  | { readonly kind: 'inline' }
  | { readonly kind: 'pending' | 'fresh'; readonly url: string }
  | { readonly kind: 'stale' | 'unavailable'; readonly url: string; readonly reason: string };

/** Owners (policies) whose rules are concerned; `keys` false: only the state changed. */
export interface KeysChange {
  readonly owners: readonly string[];
  readonly keys: boolean;
}

export interface KeeperObserver {
  /** `url` is the source as configured; there are as many as policies name. */
  readonly onFetch: (result: 'success' | 'failure', url: string) => void;
}

export interface JwksCacheOptions {
  readonly limits: FetchLimits;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly observer?: KeeperObserver;
  /** Longest time between two fetches of a healthy source, in milliseconds; default 20 minutes. */
  readonly refreshMs?: number;
  /** Shortest such time, whatever Cache-Control says; default 1 minute. */
  readonly minRefreshMs?: number;
  /** First delay after a failure, doubled each time; default 1 s. */
  readonly retryMs?: number;
  /** Longest delay after failures; default 5 minutes. */
  readonly maxRetryMs?: number;
}

export interface KeyAge {
  readonly url: string;
  /** Seconds since the last good fetch; undefined when there was none. */
  readonly ageSeconds: number | undefined;
}

export interface JwksCache {
  /** The last good keys of a rule with a URL or discovery; undefined when there are none, and for inline keys. `namespace`: see {@link JwksCache.seed}. */
  readonly keySetOf: (rule: JwtRule, namespace: string) => KeySet | undefined;
  readonly stateOf: (rule: JwtRule, namespace: string) => KeyState;
  /** True while the first fetch of a rule's keys is under way and nothing else is known: its policy is about to get keys. */
  readonly isPending: (rule: JwtRule, namespace: string) => boolean;
  /** Replaces what `owner` wants; no rules: nothing any more. New sources are fetched at once. */
  readonly want: (owner: string, rules: readonly JwtRule[]) => void;
  /**
   * Takes over the keys of a published bundle, for rules of its own namespace only: whoever may edit ConfigMaps there must
   * not hand keys to others. They serve until the first fetch of their source succeeds.
   */
  readonly seed: (namespace: string, rule: JwtRule, keySet: KeySet) => void;
  readonly subscribe: (listener: (change: KeysChange) => void) => () => void;
  readonly ages: () => readonly KeyAge[];
  /** Fetches until `signal` aborts; before it is called nothing is fetched. Ends when no fetch is under way. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

interface Entry {
  readonly source: KeySource;
  readonly wantedBy: Map<string, number>;
  readonly seeds: Map<string, KeySet>;
  keySet: KeySet | undefined;
  fetchedAtMs: number | undefined;
  failures: number;
  /** Why the last fetch failed; undefined after a success and before the first. */
  reason: string | undefined;
  cancel: () => void;
  fetching: Promise<void> | undefined;
}

const DEFAULT_TIMEOUT_MS = 5_000;
const MAX_TIMEOUT_MS = 30_000;

/** A keeper that wants nothing yet. */
export function createJwksCache(options: JwksCacheOptions): JwksCache {
  const entries = new Map<string, Entry>();
  const listeners = new Set<(change: KeysChange) => void>();
  let running: AbortSignal | undefined;

  const tell = (entry: Entry, keys: boolean): void => {
    const owners = [...entry.wantedBy.keys()];
    for (const listener of listeners) listener({ owners, keys });
  };
  const schedule = (entry: Entry, delayMs: number): void => {
    entry.cancel();
    if (running === undefined || running.aborted || entry.wantedBy.size === 0) return;
    entry.cancel = options.clock.after(delayMs, () => {
      if (running === undefined || running.aborted || entry.fetching !== undefined) return;
      entry.fetching = refresh(options, { entry, tell, schedule }, running).finally(() => {
        entry.fetching = undefined;
      });
    });
  };
  const entryOf = (rule: JwtRule): Entry | undefined => {
    const source = keySourceOf(rule);
    return source === undefined ? undefined : entries.get(idOf(source));
  };
  const keySetOf = (rule: JwtRule, namespace: string): KeySet | undefined => {
    const entry = entryOf(rule);
    return entry?.keySet ?? entry?.seeds.get(namespace);
  };
  const ensure = (source: KeySource): Entry => {
    const found = entries.get(idOf(source));
    if (found !== undefined) return found;
    const entry: Entry = {
      source,
      wantedBy: new Map(),
      seeds: new Map(),
      keySet: undefined,
      fetchedAtMs: undefined,
      failures: 0,
      reason: undefined,
      cancel: () => undefined,
      fetching: undefined,
    };
    entries.set(idOf(source), entry);
    return entry;
  };

  return {
    keySetOf,
    stateOf: (rule, namespace) => stateOf(entryOf(rule), keySourceOf(rule), namespace),
    isPending: (rule, namespace) => {
      const entry = entryOf(rule);
      return entry !== undefined && entry.failures === 0 && keySetOf(rule, namespace) === undefined;
    },
    want: (owner, rules) => {
      const wanted = timeoutsBySource(rules);
      for (const [id, entry] of entries) {
        if (wanted.has(id) || !entry.wantedBy.delete(owner) || entry.wantedBy.size > 0) continue;
        entry.cancel();
        entries.delete(id);
      }
      for (const [, { source, timeoutMs }] of wanted) {
        const entry = ensure(source);
        const isNew = entry.wantedBy.size === 0;
        entry.wantedBy.set(owner, timeoutMs);
        if (isNew) schedule(entry, 0);
      }
    },
    seed: (namespace, rule, keySet) => {
      const source = keySourceOf(rule);
      if (source === undefined || keySet.keys.length === 0) return;
      const entry = ensure(source);
      if (entry.keySet === undefined && !entry.seeds.has(namespace)) entry.seeds.set(namespace, keySet);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ages: () =>
      [...entries.values()].map((entry) => ({
        url: entry.source.url,
        ageSeconds: entry.fetchedAtMs === undefined ? undefined : (options.clock.nowMs() - entry.fetchedAtMs) / 1000,
      })),
    run: async (signal) => {
      running = signal;
      for (const entry of entries.values()) schedule(entry, 0);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      for (const entry of entries.values()) entry.cancel();
      await Promise.all([...entries.values()].flatMap((entry) => entry.fetching ?? []));
    },
  };
}

interface RefreshJob {
  readonly entry: Entry;
  readonly tell: (entry: Entry, keys: boolean) => void;
  readonly schedule: (entry: Entry, delayMs: number) => void;
}

async function refresh(options: JwksCacheOptions, job: RefreshJob, signal: AbortSignal): Promise<void> {
  const { entry } = job;
  const wasHealthy = entry.failures === 0 && entry.fetchedAtMs !== undefined;
  try {
    const fetched = await fetchWithin(options, entry, signal);
    const changed = JSON.stringify(fetched.keySet) !== JSON.stringify(entry.keySet);
    Object.assign(entry, { keySet: fetched.keySet, fetchedAtMs: options.clock.nowMs(), failures: 0, reason: undefined });
    entry.seeds.clear();
    options.observer?.onFetch('success', entry.source.url);
    if (changed) options.logger.info({ url: fetched.keySet.source, keys: fetched.keySet.keys.length }, 'keys changed');
    if (changed || !wasHealthy) job.tell(entry, changed);
    job.schedule(entry, refreshDelayMs(options, fetched.maxAgeSeconds));
  } catch (error) {
    if (signal.aborted) return;
    const reason = error instanceof TransientError ? error.message : 'the answer could not be read';
    const isNews = entry.reason !== reason;
    Object.assign(entry, { failures: entry.failures + 1, reason });
    options.observer?.onFetch('failure', entry.source.url);
    if (!(error instanceof TransientError)) options.logger.error({ err: error, attempt: entry.failures }, 'bug while fetching keys');
    else if (isNews) options.logger.warn({ code: error.code, attempt: entry.failures, err: error }, 'keys cannot be fetched');
    if (isNews) job.tell(entry, false);
    job.schedule(entry, retryDelayMs(options, entry.failures));
  }
}

async function fetchWithin(options: JwksCacheOptions, entry: Entry, signal: AbortSignal): Promise<FetchedKeys> {
  const timeoutMs = Math.min(Math.max(...entry.wantedBy.values(), 1), MAX_TIMEOUT_MS);
  const deadline = new AbortController();
  const cancel = options.clock.after(timeoutMs, () => deadline.abort());
  try {
    return await fetchKeys(entry.source, options.limits, AbortSignal.any([signal, deadline.signal]));
  } finally {
    cancel();
  }
}

function refreshDelayMs(options: JwksCacheOptions, maxAgeSeconds: number | undefined): number {
  const longest = options.refreshMs ?? 20 * 60_000;
  const shortest = Math.min(options.minRefreshMs ?? 60_000, longest);
  const wanted = maxAgeSeconds === undefined ? longest : Math.min(longest, Math.max(shortest, maxAgeSeconds * 1000));
  // Sources that were first fetched together must not stay together.
  return wanted * (0.9 + 0.1 * options.random());
}

function retryDelayMs(options: JwksCacheOptions, failures: number): number {
  const delayMs = Math.min((options.retryMs ?? 1_000) * 2 ** Math.min(failures - 1, 30), options.maxRetryMs ?? 300_000);
  return delayMs * (0.5 + 0.5 * options.random());
}

function stateOf(entry: Entry | undefined, source: KeySource | undefined, namespace: string): KeyState {
  if (source === undefined) return { kind: 'inline' };
  const { url } = source;
  if (entry === undefined) return { kind: 'pending', url };
  const hasKeys = entry.keySet !== undefined || entry.seeds.has(namespace);
  if (entry.reason !== undefined) return { kind: hasKeys ? 'stale' : 'unavailable', url, reason: entry.reason };
  return { kind: hasKeys ? 'fresh' : 'pending', url };
}

function timeoutsBySource(rules: readonly JwtRule[]): Map<string, { readonly source: KeySource; readonly timeoutMs: number }> {
  const wanted = new Map<string, { readonly source: KeySource; readonly timeoutMs: number }>();
  for (const rule of rules) {
    const source = keySourceOf(rule);
    if (source === undefined) continue;
    const id = idOf(source);
    const timeoutMs = Math.max(rule.timeoutMs ?? DEFAULT_TIMEOUT_MS, wanted.get(id)?.timeoutMs ?? 0);
    wanted.set(id, { source, timeoutMs });
  }
  return wanted;
}

function idOf(source: KeySource): string {
  return `${source.kind} ${source.url}`;
}
