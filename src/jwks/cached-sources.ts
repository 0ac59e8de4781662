/*
 * The sources that policies want keys from: one entry per URL, however many policies name it.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { type KeySource, keySourceOf } from './fetch-keys.ts';

/** One source with its last good keys and the state of its fetches. */
export interface CachedSource {
  readonly source: KeySource;
  /** Timeout in milliseconds by owner; empty: nothing wants the source, and it is not fetched. */
  readonly wantedBy: Map<string, number>;
  /** Keys of published bundles by namespace, until a fetch succeeds. */
  readonly seeds: Map<string, KeySet>;
  /** `undefined`: no fetch has succeeded. */
  keySet: KeySet | undefined;
  /** Why keys of the fetched document are not in `keySet`. */
  leftOut: readonly string[];
  /** Time of the last successful fetch. */
  fetchedAtMs: number | undefined;
  /** Number of failed fetches since the last successful one. */
  failures: number;
  /** Why the last fetch failed; `undefined`: it succeeded, or no fetch has finished. */
  reason: string | undefined;
  /** Cancels the next fetch. */
  cancel: () => void;
  /** The fetch in progress. */
  fetching: Promise<void> | undefined;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** All sources that are wanted or have seeds. */
export class CachedSources {
  readonly #byId = new Map<string, CachedSource>();

  /** All sources. */
  all(): readonly CachedSource[] {
    return [...this.#byId.values()];
  }

  /** The source of a rule; `undefined`: it is not wanted, or the rule has inline keys or names no source. */
  find(rule: JwtRule): CachedSource | undefined {
    const source = keySourceOf(rule);
    return source === undefined ? undefined : this.#byId.get(idOf(source));
  }

  /** The entry of a source, created if missing. */
  ensure(source: KeySource): CachedSource {
    const found = this.#byId.get(idOf(source));
    if (found !== undefined) return found;
    const created: CachedSource = {
      source,
      wantedBy: new Map(),
      seeds: new Map(),
      keySet: undefined,
      leftOut: [],
      fetchedAtMs: undefined,
      failures: 0,
      reason: undefined,
      cancel: () => undefined,
      fetching: undefined,
    };
    this.#byId.set(idOf(source), created);
    return created;
  }

  /** Replaces what `owner` wants, and forgets sources that nothing wants any longer. Returns those that nothing wanted before. */
  want(owner: string, rules: readonly JwtRule[]): readonly CachedSource[] {
    const wanted = timeoutsBySource(rules);
    for (const [id, cached] of this.#byId) {
      if (wanted.has(id) || !cached.wantedBy.delete(owner) || cached.wantedBy.size > 0) continue;
      cached.cancel();
      this.#byId.delete(id);
    }
    const added: CachedSource[] = [];
    for (const { source, timeoutMs } of wanted.values()) {
      const cached = this.ensure(source);
      if (cached.wantedBy.size === 0) added.push(cached);
      cached.wantedBy.set(owner, timeoutMs);
    }
    return added;
  }
}

interface WantedSource {
  readonly source: KeySource;
  readonly timeoutMs: number;
}

/** The sources of `rules` by id, with the longest timeout of their rules. */
function timeoutsBySource(rules: readonly JwtRule[]): ReadonlyMap<string, WantedSource> {
  const wanted = new Map<string, WantedSource>();
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
