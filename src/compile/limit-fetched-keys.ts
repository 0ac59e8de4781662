/*
 * Bounds what fetched keys take of a bundle. Their size is not in the policy, so its budget does not bound them: a key server decides it.
 */
import type { RequestAuthentication } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { canonicalJson } from '../bundle/canonical-json.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import { sortPolicies } from '../policy/lower/order.ts';
import { FETCHED_KEYS_BYTES } from './budgets.ts';
import { hasInlineKeys, keySetId } from './key-set-id.ts';

type KeySets = Readonly<Record<string, KeySet>>;

/**
 * Leaves out fetched key sets beyond the budget, those of the youngest policies first; the policies of the root namespace have a separate
 * budget. A rule without its key set refuses every token.
 */
export function limitFetchedKeys(
  policies: readonly RequestAuthentication[],
  keySets: KeySets,
  rootNamespace: string,
): { readonly keySets: KeySets; readonly findings: readonly PolicyFinding[] } {
  const kept = new Set<string>();
  const left = new Set<string>();
  const findings: { readonly id: string; readonly finding: PolicyFinding }[] = [];
  const isRoot = ({ metadata }: RequestAuthentication): boolean => metadata.namespace === rootNamespace;
  for (const group of [policies.filter(isRoot), policies.filter((policy) => !isRoot(policy))]) {
    let bytes = 0;
    for (const policy of sortPolicies(group)) {
      for (const [index, rule] of (policy.spec.jwtRules ?? []).entries()) {
        const id = keySetId(rule);
        const keySet = keySets[id];
        if (hasInlineKeys(rule) || keySet === undefined || kept.has(id)) continue;
        const size = sizeOf(keySet);
        if (bytes + size > FETCHED_KEYS_BYTES) {
          left.add(id);
          findings.push({ id, finding: findingOf(policy, index, size) });
        } else {
          bytes += size;
          kept.add(id);
          left.delete(id);
        }
      }
    }
  }
  // The keys of a rule may be kept because another policy with the same source is within its budget.
  const leftOut = findings.filter(({ id }) => left.has(id)).map(({ finding }) => finding);
  return { keySets: left.size === 0 ? keySets : without(keySets, left), findings: leftOut };
}

/** Fetched key sets stay the same objects until they are fetched again. */
const sizes = new WeakMap<KeySet, number>();

function sizeOf(keySet: KeySet): number {
  const size = sizes.get(keySet) ?? Buffer.byteLength(canonicalJson(keySet));
  sizes.set(keySet, size);
  return size;
}

function without(keySets: KeySets, ids: ReadonlySet<string>): KeySets {
  return Object.fromEntries(Object.entries(keySets).filter(([id]) => !ids.has(id)));
}

function findingOf({ kind, metadata: { namespace, name } }: RequestAuthentication, index: number, bytes: number): PolicyFinding {
  return {
    policy: { kind, namespace, name },
    code: 'SP_OVER_BUDGET',
    severity: 'error',
    path: `spec.jwtRules[${index}]`,
    message: `the keys take ${bytes} bytes; with those of older policies, the fetched keys of a workload may take ${FETCHED_KEYS_BYTES}; every token for this rule is refused`,
    hint: 'publish fewer keys, or use fewer issuers',
  };
}
