/*
 * Lowers policies, each of them once for all workloads that it selects, and encodes once each of their rules and what many bundles share.
 */
import type { AuthorizationPolicy } from '../api/istio/resources.ts';
import { joinCanonicalJson, keepCanonicalJson } from '../bundle/canonical-json.ts';
import { type KnownPolicy, type LoweringCache, NOT_ATTACHED } from '../policy/lower/authorization.ts';
import { type LowerInput, type LowerResult, lowerPolicies } from '../policy/lower/lower-policies.ts';

/** Characters of all rules that are kept. Those of a thousand workloads are about a tenth of it; a tenant's may be of any size. */
const MAX_CHARACTERS = 16 * 1024 * 1024;
/** One policy must not take the place of all others. */
const MAX_SHARE = 2;

interface Entry {
  readonly bySettings: Map<string, KnownPolicy>;
  characters: number;
}

/** A cache that keeps the policies that were used last. @param maxCharacters of the text of all their rules */
export function createBoundedCache(maxCharacters: number = MAX_CHARACTERS): LoweringCache & { readonly characters: () => number } {
  /** Least recently used first. */
  const entries = new Map<AuthorizationPolicy, Entry>();
  let total = 0;
  const drop = (policy: AuthorizationPolicy): void => {
    total -= entries.get(policy)?.characters ?? 0;
    entries.delete(policy);
  };
  return {
    get: (policy, settings) => {
      const entry = entries.get(policy);
      if (entry === undefined) return undefined;
      entries.delete(policy);
      entries.set(policy, entry);
      return entry.bySettings.get(settings);
    },
    set: (policy, settings, known) => {
      const entry = entries.get(policy) ?? { bySettings: new Map<string, KnownPolicy>(), characters: 0 };
      drop(policy);
      for (const rule of known.lowered.rules) entry.characters += keepCanonicalJson(rule);
      if (known.lowered.rules.length > 0) entry.characters += keepCanonicalJson(known.lowered.engine);
      // One for each protocol; mesh settings change rarely, and for all policies.
      if (entry.bySettings.size >= 2 || entry.characters > maxCharacters / MAX_SHARE) return;
      entry.bySettings.set(settings, known);
      entries.set(policy, entry);
      total += entry.characters;
      for (const oldest of entries.keys()) {
        if (total <= maxCharacters) break;
        drop(oldest);
      }
    },
    characters: () => total,
  };
}

const cache = createBoundedCache();
keepCanonicalJson(NOT_ATTACHED);

/**
 * The same as `lowerPolicies`, and the text of the program is kept. The policies must never change: another version is another object.
 */
export function lowerOnce(input: Omit<LowerInput, 'cache'>): LowerResult {
  const lowered = lowerPolicies({ ...input, cache });
  joinCanonicalJson(lowered.program);
  return lowered;
}
