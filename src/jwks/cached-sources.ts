/*
 * The sources that policies want keys from: one entry per URL and rights, however many policies name it. Their number and the size of
 * their keys are bounded for each namespace, so that one cannot use the memory of all.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import type { AddressGuard, AddressGuards } from './address-guard.ts';
import { type KeySource, keySourceOf } from './fetch-keys.ts';
import type { FetchJob } from './fetch-slots.ts';

/** What one policy wants from a source. */
export interface Want {
  readonly namespace: string;
  readonly timeoutMs: number;
}

/** One source with its last good keys and the state of its fetches. */
export interface CachedSource {
  readonly source: KeySource;
  readonly guard: AddressGuard;
  /** By owner; empty: nothing wants the source, and it is not fetched. */
  readonly wantedBy: Map<string, Want>;
  /** Keys of published bundles by namespace, until a fetch succeeds. */
  readonly seeds: Map<string, KeySet>;
  /** `undefined`: no fetch has succeeded. */
  keySet: KeySet | undefined;
  /** Why keys of the fetched document are not in `keySet`. */
  leftOut: readonly string[];
  /** Size of {@link CachedSource.keySet}. */
  bytes: number;
  /** Time of the last successful fetch. */
  fetchedAtMs: number | undefined;
  /** Number of failed fetches since the last successful one. */
  failures: number;
  /** Why the last fetch failed, for the status of policies; `undefined`: it succeeded, or no fetch has finished. */
  reason: string | undefined;
  /** The failure that was logged last. */
  logged: string | undefined;
  /** Cancels the next fetch. */
  cancel: () => void;
  /** When the next fetch is due, on the process clock. */
  nextAtMs: number;
  /** A fetch is in progress. */
  isFetching: boolean;
  /** What the next fetch is to look for: the hash of a `kid`, or `''` for whatever there is; `undefined`: nothing in particular. */
  sought: string | undefined;
  /** Start of the last fetch that looked for something. */
  soughtAtMs: number;
  /** Its place among the fetches; `undefined`: it has not been fetched yet. */
  job: FetchJob | undefined;
}

/** The namespaces of the policies that want a source. */
export function namespacesOf({ wantedBy }: CachedSource): ReadonlySet<string> {
  return new Set([...wantedBy.values()].map(({ namespace }) => namespace));
}

/** What {@link CachedSources.want} changed. */
export interface WantedSources {
  /** Sources that nothing wanted before. */
  readonly added: readonly CachedSource[];
  /** Sources that another namespace has come to want. */
  readonly joined: readonly CachedSource[];
  /** Sources that nothing wants any longer. */
  readonly removed: readonly CachedSource[];
}

const DEFAULT_TIMEOUT_MS = 5_000;
/** Istio admits as many rules in one policy. */
const MAX_SOURCES = 4_096;
const MIB = 1024 * 1024;
const MAX_SOURCE_BYTES = MIB / 4;
const MAX_NAMESPACE_BYTES = 8 * MIB;
const MAX_TOTAL_BYTES = 64 * MIB;
/** What a namespace may use when the total is used up. */
const RESERVED_BYTES = MIB / 8;

/** Why rules of a namespace have no source. */
export const TOO_MANY_SOURCES: string = `the policies of this namespace name more than ${MAX_SOURCES} key sources`;

/** All sources that are wanted or have seeds. */
export class CachedSources {
  readonly #guards: AddressGuards;
  readonly #byId = new Map<string, CachedSource>();
  readonly #idsByOwner = new Map<string, Set<string>>();
  /** Number of wants by namespace. */
  readonly #counts = new Map<string, number>();
  /** Owners some of whose rules have no source, because their namespace has too many. */
  readonly #cutOff = new Map<string, { readonly namespace: string; readonly rules: readonly JwtRule[] }>();

  constructor(guards: AddressGuards) {
    this.#guards = guards;
  }

  /** All sources. */
  all(): readonly CachedSource[] {
    return [...this.#byId.values()];
  }

  /** The source of a rule of a policy in `namespace`; `undefined`: it is not wanted, or the rule has inline keys or names no source. */
  find(rule: JwtRule, namespace: string): CachedSource | undefined {
    const source = keySourceOf(rule);
    return source === undefined ? undefined : this.#byId.get(idOf(source, this.#guards(namespace)));
  }

  /** Has the namespace rules without a source, because it has too many? */
  isCutOff(namespace: string): boolean {
    return [...this.#cutOff.values()].some((one) => one.namespace === namespace);
  }

  /** The entry of a source for policies of a namespace, created if missing. */
  ensure(source: KeySource, namespace: string): CachedSource {
    const guard = this.#guards(namespace);
    const id = idOf(source, guard);
    const found = this.#byId.get(id);
    if (found !== undefined) return found;
    const created: CachedSource = {
      source,
      guard,
      wantedBy: new Map(),
      seeds: new Map(),
      keySet: undefined,
      leftOut: [],
      bytes: 0,
      fetchedAtMs: undefined,
      failures: 0,
      reason: undefined,
      logged: undefined,
      cancel: () => undefined,
      nextAtMs: Number.POSITIVE_INFINITY,
      isFetching: false,
      sought: undefined,
      soughtAtMs: Number.NEGATIVE_INFINITY,
      job: undefined,
    };
    this.#byId.set(id, created);
    return created;
  }

  /** Replaces what `owner`, a policy in `namespace`, wants, and forgets sources that nothing wants any longer. */
  want(owner: string, namespace: string, rules: readonly JwtRule[]): WantedSources {
    const wanted = timeoutsBySource(rules);
    const changes = { added: new Set<CachedSource>(), joined: new Set<CachedSource>(), removed: new Set<CachedSource>() };
    const freed = this.#drop(
      owner,
      { namespace, keep: new Set([...wanted.keys()].map((id) => this.#scoped(id, namespace))) },
      changes.removed,
    );
    this.#add(owner, { namespace, rules, wanted }, changes);
    if (freed) {
      // Filtered first: an owner that is cut off again is added at the end.
      const others = [...this.#cutOff].filter(([other, cut]) => other !== owner && cut.namespace === namespace);
      for (const [other, cut] of others) {
        this.#add(other, { ...cut, wanted: timeoutsBySource(cut.rules) }, changes);
      }
    }
    return { added: [...changes.added], joined: [...changes.joined], removed: [...changes.removed] };
  }

  /** Why keys of this size cannot be kept; `undefined`: they can. */
  refusalOf(cached: CachedSource, bytes: number): string | undefined {
    if (bytes > MAX_SOURCE_BYTES) return `its keys take more than ${MAX_SOURCE_BYTES / 1024} KiB`;
    let total = bytes;
    const own = new Map([...namespacesOf(cached)].map((namespace) => [namespace, bytes]));
    for (const other of this.#byId.values()) {
      if (other === cached || other.bytes === 0) continue;
      total += other.bytes;
      for (const namespace of namespacesOf(other)) {
        const known = own.get(namespace);
        if (known !== undefined) own.set(namespace, known + other.bytes);
      }
    }
    const least = Math.min(...own.values());
    if (least > MAX_NAMESPACE_BYTES) return `the keys of its namespace take more than ${MAX_NAMESPACE_BYTES / MIB} MiB together`;
    if (total > MAX_TOTAL_BYTES && least > RESERVED_BYTES) return `all keys together take more than ${MAX_TOTAL_BYTES / MIB} MiB`;
    return undefined;
  }

  #scoped(sourceId: string, namespace: string): string {
    return `${this.#guards(namespace).scope} ${sourceId}`;
  }

  #drop(
    owner: string,
    { namespace, keep }: { readonly namespace: string; readonly keep: ReadonlySet<string> },
    removed: Set<CachedSource>,
  ): boolean {
    const ids = this.#idsByOwner.get(owner) ?? new Set<string>();
    const before = ids.size;
    for (const id of ids) {
      if (keep.has(id)) continue;
      ids.delete(id);
      const cached = this.#byId.get(id);
      cached?.wantedBy.delete(owner);
      if (cached === undefined || cached.wantedBy.size > 0) continue;
      this.#byId.delete(id);
      removed.add(cached);
    }
    if (ids.size === 0) this.#idsByOwner.delete(owner);
    this.#countBy(namespace, ids.size - before);
    return ids.size < before;
  }

  #add(
    owner: string,
    {
      namespace,
      rules,
      wanted,
    }: { readonly namespace: string; readonly rules: readonly JwtRule[]; readonly wanted: ReadonlyMap<string, WantedSource> },
    { added, joined }: { readonly added: Set<CachedSource>; readonly joined: Set<CachedSource> },
  ): void {
    const ids = this.#idsByOwner.get(owner) ?? new Set<string>();
    this.#cutOff.delete(owner);
    for (const [sourceId, { source, timeoutMs }] of wanted) {
      const id = this.#scoped(sourceId, namespace);
      if (!ids.has(id)) {
        if ((this.#counts.get(namespace) ?? 0) >= MAX_SOURCES) {
          this.#cutOff.set(owner, { namespace, rules });
          continue;
        }
        ids.add(id);
        this.#countBy(namespace, 1);
      }
      const cached = this.ensure(source, namespace);
      (cached.wantedBy.size === 0 ? added : joined).add(cached);
      cached.wantedBy.set(owner, { namespace, timeoutMs });
    }
    if (ids.size > 0) this.#idsByOwner.set(owner, ids);
  }

  #countBy(namespace: string, change: number): void {
    const count = (this.#counts.get(namespace) ?? 0) + change;
    if (count > 0) this.#counts.set(namespace, count);
    else this.#counts.delete(namespace);
  }
}

interface WantedSource {
  readonly source: KeySource;
  readonly timeoutMs: number;
}

/** The sources of `rules` by kind and URL, with the longest timeout of their rules. */
function timeoutsBySource(rules: readonly JwtRule[]): ReadonlyMap<string, WantedSource> {
  const wanted = new Map<string, WantedSource>();
  for (const rule of rules) {
    const source = keySourceOf(rule);
    if (source === undefined) continue;
    const id = `${source.kind} ${source.url}`;
    const timeoutMs = Math.max(rule.timeoutMs ?? DEFAULT_TIMEOUT_MS, wanted.get(id)?.timeoutMs ?? 0);
    wanted.set(id, { source, timeoutMs });
  }
  return wanted;
}

function idOf(source: KeySource, guard: AddressGuard): string {
  return `${guard.scope} ${source.kind} ${source.url}`;
}
