/*
 * Holds the last good keys of every issuer that policies name, and refreshes them in the background. A source that fails keeps its keys;
 * one that has never succeeded has none. No request waits for it.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { canonicalJson } from '../bundle/canonical-json.ts';
import { type CachedSource, CachedSources, namespacesOf, TOO_MANY_SOURCES } from './cached-sources.ts';
import { keySourceOf } from './fetch-keys.ts';
import { Refresher, type RefreshOptions, type SeekResult } from './refresher.ts';

/**
 * The state of the keys of one rule. `inline`: nothing to fetch. `pending`: no fetch has finished, and there are no keys. `fresh`: the
 * last fetch succeeded. `stale`: it failed, and the last good keys are used. `unavailable`: it failed, and there are no keys.
 */
export type KeyState =
  | { readonly kind: 'inline' }
  | { readonly kind: 'pending'; readonly url: string }
  | { readonly kind: 'fresh'; readonly url: string /** One sentence for each key that is not used. */; readonly leftOut: readonly string[] }
  | { readonly kind: 'stale' | 'unavailable'; readonly url: string; readonly reason: string };

/** A change of one source. */
export interface KeysChange {
  /** The owners (policies) of the rules that want the source. */
  readonly owners: readonly string[];
  /** Have the keys changed? `false`: only the state has. */
  readonly keys: boolean;
}

/** How a cache fetches keys, and how often. */
export type JwksCacheOptions = RefreshOptions;

/** The age of the keys of one source. */
export interface KeyAge {
  /** Of the policies that want the source. */
  readonly namespaces: ReadonlySet<string>;
  /** Seconds since the last successful fetch; `undefined`: no fetch has succeeded. */
  readonly ageSeconds: number | undefined;
}

/** Instead of the namespace of a bundle, for {@link JwksCache.seed}: keys that serve all namespaces while nothing else is known. */
export const EVERY_NAMESPACE = '';

/** Where a rule stands and where its keys are used. */
export interface KeyUse {
  /** Namespace of the rule's policy: it decides what may be dialled. */
  readonly policy: string;
  /** Namespace of the bundle that needs the keys, see {@link JwksCache.seed}. */
  readonly bundle: string;
}

/** The last good keys of all rules that are wanted. */
export interface JwksCache {
  /** The last good keys of a rule with a URL or discovery; `undefined`: no fetch has succeeded, or the rule has inline keys. */
  readonly keySetOf: (rule: JwtRule, use: KeyUse) => KeySet | undefined;
  /** The state of a rule's keys for the status of its policy, in `namespace`. */
  readonly stateOf: (rule: JwtRule, namespace: string) => KeyState;
  /** True while the first fetch for a rule is in progress and there are no keys: its policy is about to get some. */
  readonly isPending: (rule: JwtRule, use: KeyUse) => boolean;
  /** Replaces the rules that `owner`, a policy in `namespace`, wants; an empty array: none. New sources are fetched immediately. */
  readonly want: (owner: string, namespace: string, rules: readonly JwtRule[]) => void;
  /**
   * Adds the keys of a published bundle for rules in the namespace of the bundle: write access to ConfigMaps there must not provide keys to
   * other namespaces. They are used until the next fetch of their source succeeds, which is soon if they are not those that this process has:
   * another one may have fetched them later. A rule that no policy wants is ignored. Those for {@link EVERY_NAMESPACE} count only while no
   * fetch has succeeded.
   */
  readonly seed: (rule: JwtRule, keySet: KeySet, use: KeyUse) => void;
  /**
   * Fetches the source of a rule of a policy in `namespace` soon, because a token names a key that it lacks, see {@link Refresher.seek}.
   * Undefined: the rule has none.
   */
  readonly seek: (rule: JwtRule, namespace: string, kid: string) => SeekResult | undefined;
  /** Fetches every source soon, because how keys are fetched has changed; what is in progress is repeated. */
  readonly refetchAll: () => void;
  /** Calls `listener` for every change. Returns a function that ends this. */
  readonly subscribe: (listener: (change: KeysChange) => void) => () => void;
  /** The age of the keys of every source. */
  readonly ages: () => readonly KeyAge[];
  /** Fetches until `signal` aborts; nothing is fetched before it is called. Resolves when no fetch is in progress. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** An empty cache. */
export function createJwksCache(options: JwksCacheOptions): JwksCache {
  const sources = new CachedSources(options.limits.guards);
  const listeners = new Set<(change: KeysChange) => void>();
  const refresher = new Refresher(options, {
    onChange: ({ wantedBy }, keys) => {
      const owners = [...wantedBy.keys()];
      for (const listener of listeners) listener({ owners, keys });
    },
    refusalOf: (cached, bytes) => sources.refusalOf(cached, bytes),
  });
  return {
    keySetOf: (rule, use) => keysOf(sources.find(rule, use.policy), use.bundle),
    stateOf: (rule, namespace) => stateOf(sources, rule, namespace),
    isPending: (rule, use) => {
      const cached = sources.find(rule, use.policy);
      return cached !== undefined && cached.failures === 0 && keysOf(cached, use.bundle) === undefined;
    },
    want: (owner, namespace, rules) => {
      const { added, joined, removed } = sources.want(owner, namespace, rules);
      for (const cached of removed) refresher.forget(cached);
      for (const cached of joined) refresher.join(cached);
      for (const cached of added) refresher.schedule(cached, 0);
    },
    seed: (rule, keySet, use) => {
      const cached = sources.find(rule, use.policy);
      if (cached === undefined || keySet.keys.length === 0 || cached.seeds.has(use.bundle)) return;
      if (isSameKeys(cached.keySet, keySet) || (use.bundle === EVERY_NAMESPACE && cached.keySet !== undefined)) return;
      cached.seeds.set(use.bundle, keySet);
      if (cached.keySet !== undefined) refresher.seek(cached, '');
    },
    seek: (rule, namespace, kid) => {
      const cached = sources.find(rule, namespace);
      return cached === undefined ? undefined : refresher.seek(cached, kid);
    },
    refetchAll: () => {
      for (const cached of sources.all()) refresher.seek(cached, '');
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ages: () => sources.all().map((cached) => ageOf(cached, options.clock.nowMs())),
    run: (signal) => refresher.run(() => sources.all(), signal),
  };
}

function keysOf(cached: CachedSource | undefined, namespace: string): KeySet | undefined {
  return cached?.seeds.get(namespace) ?? cached?.keySet ?? cached?.seeds.get(EVERY_NAMESPACE);
}

function isSameKeys(one: KeySet | undefined, other: KeySet): boolean {
  return one !== undefined && canonicalJson(one.keys) === canonicalJson(other.keys);
}

function stateOf(sources: CachedSources, rule: JwtRule, namespace: string): KeyState {
  const source = keySourceOf(rule);
  if (source === undefined) return { kind: 'inline' };
  const { url } = source;
  const cached = sources.find(rule, namespace);
  if (cached === undefined) {
    return sources.isCutOff(namespace) ? { kind: 'unavailable', url, reason: TOO_MANY_SOURCES } : { kind: 'pending', url };
  }
  const hasKeys = keysOf(cached, namespace) !== undefined;
  if (cached.reason !== undefined) return { kind: hasKeys ? 'stale' : 'unavailable', url, reason: cached.reason };
  return hasKeys ? { kind: 'fresh', url, leftOut: cached.leftOut } : { kind: 'pending', url };
}

function ageOf(cached: CachedSource, nowMs: number): KeyAge {
  const { fetchedAtMs } = cached;
  return { namespaces: namespacesOf(cached), ageSeconds: fetchedAtMs === undefined ? undefined : (nowMs - fetchedAtMs) / 1000 };
}
