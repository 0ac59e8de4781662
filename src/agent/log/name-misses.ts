/*
 * Names the near misses of denied requests within a budget of time: a search costs as much as evaluating every ALLOW rule, and a client
 * decides how often a request is denied. In each second the first miss of each policy has precedence.
 */
import type { Clock } from '../../clock.ts';
import type { MissNaming } from '../../filters/filter-context.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import type { NearMiss, NearMisses } from '../../policy/decide/decision.ts';
import type { RequestFacts } from '../../policy/facts.ts';

/** Milliseconds in a second for any miss, and for those that may be the first of their policy. */
const ANY_MISS_MS = LIMITS.nearMissTime.value;
const FIRST_MISS_MS = LIMITS.firstNearMissTime.value;
/** Requests of the second that are recognized; a power of two. */
const SLOTS = 1024;
const HASHED_CHARACTERS = 256;

/** Names near misses for one agent. */
export function nameMisses(clock: Clock): MissNaming {
  const names = new MissNames(clock);
  return (misses, facts, second) => names.name(misses, facts, second);
}

class MissNames {
  readonly #clock: Clock;
  #misses: NearMisses | undefined;
  #second = 0;
  #spentMs = 0;
  #isFirstSearch = true;
  #named = new BoundedSet<string>(LIMITS.namedPolicies);
  /** Hashes of requests that were looked at when only first misses were wanted. */
  readonly #seen = new Uint32Array(SLOTS);
  #hasSeen = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  name(misses: NearMisses, facts: RequestFacts, second: number): NearMiss | undefined {
    if (second !== this.#second || misses !== this.#misses) this.#begin(second, misses);
    if (this.#spentMs >= ANY_MISS_MS && !this.#mayBeFirst(misses, facts)) return undefined;
    const startMs = this.#clock.nowMs();
    const miss = misses.nearest(facts);
    const tookMs = this.#clock.nowMs() - startMs;
    // The first search of a program also compiles its rules, which happens once.
    this.#spentMs += this.#isFirstSearch ? Math.min(tookMs, ANY_MISS_MS / 2) : tookMs;
    this.#isFirstSearch = false;
    if (miss !== undefined) this.#named.add(`${miss.source.namespace}/${miss.source.name}`);
    return miss;
  }

  #begin(second: number, misses: NearMisses): void {
    // What one second spends beyond its budget, the next ones do not have.
    if (second !== this.#second) this.#spentMs = Math.max(0, this.#spentMs - FIRST_MISS_MS * Math.abs(second - this.#second));
    if (misses !== this.#misses) this.#isFirstSearch = true;
    this.#second = second;
    this.#misses = misses;
    if (this.#named.size > 0) this.#named = new BoundedSet(LIMITS.namedPolicies);
    if (this.#hasSeen) this.#seen.fill(0);
    this.#hasSeen = false;
  }

  /** A policy has no named miss in this second, and this request differs from those that were looked at. */
  #mayBeFirst(misses: NearMisses, facts: RequestFacts): boolean {
    if (this.#spentMs >= FIRST_MISS_MS || this.#named.size >= misses.policies) return false;
    const hash = hashOf(facts);
    const slot = hash & (SLOTS - 1);
    if (this.#seen[slot] === hash) return false;
    this.#seen[slot] = hash;
    this.#hasSeen = true;
    return true;
  }
}

/** FNV-1a over the beginning of what most rules compare. */
function hashOf({ method, host = '', path, connection, claims }: RequestFacts): number {
  let hash = claims === undefined ? 0x811c9dc5 : 0x01000193;
  for (const text of [method, host, path, connection.sourceIp]) {
    const end = Math.min(text.length, HASHED_CHARACTERS);
    for (let at = 0; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    hash = Math.imul(hash ^ 0xff, 0x01000193);
  }
  return hash >>> 0;
}
