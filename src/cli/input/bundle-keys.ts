/*
 * The keys of a bundle that explain and diff evaluate: names the rules that have none, and takes keys of `--jwks` for them.
 */
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import type { KeySet } from '../../bundle/bundle.ts';
import { ruleRef, ruleText } from '../../explain/rule-ref.ts';
import type { JwtProvider } from '../../policy/model/program.ts';
import type { KeySetOf } from './key-sets.ts';
import type { Target } from './policy-target.ts';

/** Where a bundle comes from. */
export interface BundleOrigin {
  /** Keys of `--jwks`. */
  readonly keySetOf: KeySetOf;
  /** The bundle is what the controller published, not the output of `compile`. */
  readonly isPublished: boolean;
}

/** The target with the keys that were given for rules without any, and a caveat for each rule whose key set the bundle lacks. */
export function withBundleKeys(target: Target, { keySetOf, isPublished }: BundleOrigin): Target {
  const keySets: Record<string, KeySet> = { ...target.keySets };
  const caveats = [...target.caveats];
  for (const provider of target.program.providers) {
    if (Object.hasOwn(target.keySets, provider.keySet)) continue;
    // Keys in a policy are in its bundle; an agent never takes others for them.
    const given = isRemote(provider) ? keySetOf({ issuer: provider.issuer }) : undefined;
    const why = reason(provider, target, isPublished);
    const consequence = given === undefined ? 'every token for it is refused with 401' : 'those of --jwks are assumed';
    caveats.push(`the bundle has no keys for ${ruleText(ruleRef(provider.source))}: ${why}; ${consequence}`);
    if (given !== undefined) keySets[provider.keySet] = given;
  }
  return { ...target, keySets, caveats, ...(isPublished ? { isPublished } : {}) };
}

function isRemote({ keySet }: JwtProvider): boolean {
  return keySet.startsWith('remote-');
}

function reason(provider: JwtProvider, { workload }: Target, isPublished: boolean): string {
  if (isRemote(provider)) {
    return isPublished ? 'none had been fetched, or they take more than a bundle may hold' : 'compile fetches none; give --jwks';
  }
  const isForeign = isPublished && provider.source.namespace !== parseWorkloadKey(workload).namespace;
  return `none in its jwks can be used${isForeign ? ', symmetric keys are not published to other namespaces' : ''}, or the policy is over its budget`;
}
