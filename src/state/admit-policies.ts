/*
 * Puts policies into their store with the version that is enforced: the one that `acceptPolicy` chose, unless the policies of the namespace
 * are over their budget. Work follows the change: while a namespace is within its budget, only the policy that changed is measured.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { PolicyKey } from '../api/kube/keys.ts';
import { differenceOf, exceeded, NO_SIZE, type PolicyBudgets, type PolicySize, sumOf } from '../resolve/policy-load.ts';
import type { PolicyEntry } from './cluster-state.ts';
import { type Decision, decideVersions } from './policy-budget.ts';
import type { Store } from './store.ts';

/** A policy object before it is decided which version is enforced. */
export type ReadPolicy = Omit<PolicyEntry, keyof Enforced>;

type Enforced = Pick<PolicyEntry, 'active' | 'refusal'>;

/** The write side of the store of policies. */
export interface PolicyAdmission {
  /** Adds or replaces policies, and decides again for the others of their namespaces where that may differ. */
  readonly put: (policies: readonly ReadPolicy[]) => void;
  readonly remove: (keys: Iterable<PolicyKey>) => void;
  /** Decides for all policies again: what a policy takes depends on mesh settings. */
  readonly decideAll: () => void;
}

interface Namespace {
  total: PolicySize;
  readonly sizes: Map<PolicyKey, PolicySize>;
  readonly refused: Set<PolicyKey>;
}

interface Parts {
  readonly store: Store<PolicyEntry, 'scope'>;
  readonly budgets: PolicyBudgets;
  readonly namespaces: Map<string, Namespace>;
}

const NO_BUDGETS: PolicyBudgets = (() => {
  const unlimited = { bytes: Infinity, packedBytes: Infinity, rules: Infinity, values: Infinity };
  return { sizeOf: () => NO_SIZE, limit: unlimited, shareOf: () => unlimited, replacements: unlimited };
})();

/** @param budgets undefined: there are no budgets */
export function createPolicyAdmission(store: Store<PolicyEntry, 'scope'>, budgets: PolicyBudgets = NO_BUDGETS): PolicyAdmission {
  const parts: Parts = { store, budgets, namespaces: new Map() };
  return {
    put: (policies) => {
      const undecided = new Set<string>();
      for (const read of policies) if (!put(parts, read)) undecided.add(read.namespace);
      for (const name of undecided) decide(parts, name);
    },
    remove: (keys) => {
      const changed = new Set([...keys].flatMap((key) => forget(parts, key) ?? []));
      for (const name of changed) if ((parts.namespaces.get(name)?.refused.size ?? 0) > 0) decide(parts, name);
    },
    decideAll: () => {
      for (const entry of store.values()) measure(parts, entry);
      for (const name of parts.namespaces.keys()) decide(parts, name);
    },
  };
}

/** @returns false: what is enforced must be decided for the whole namespace */
function put(parts: Parts, read: ReadPolicy): boolean {
  const { store } = parts;
  const before = store.get(read.key);
  if (before !== undefined && before.candidate === read.candidate && before.lastGood === read.lastGood) {
    store.upsert({ ...read, ...enforcedOf(before) });
    return true;
  }
  const isWithin = measure(parts, read);
  if (isWithin) store.upsert(withDecision(read, read.candidate === undefined ? {} : { active: read.candidate }));
  // What was enforced stays until then.
  else store.upsert({ ...read, ...(before === undefined ? {} : enforcedOf(before)) });
  return isWithin;
}

/** @returns true: the policy fits whatever selects what, and so do all others of its namespace */
function measure({ budgets, namespaces }: Parts, { key, namespace: name, candidate }: ReadPolicy): boolean {
  const namespace = namespaces.get(name) ?? { total: NO_SIZE, sizes: new Map(), refused: new Set() };
  namespaces.set(name, namespace);
  const size = candidate === undefined ? NO_SIZE : budgets.sizeOf(candidate);
  namespace.total = sumOf(differenceOf(namespace.total, namespace.sizes.get(key) ?? NO_SIZE), size);
  namespace.sizes.set(key, size);
  const isWithin = exceeded(namespace.total, budgets.shareOf(name)).length === 0 && exceeded(size, budgets.limit).length === 0;
  return isWithin && namespace.refused.size === 0;
}

/** Decides for all policies of a namespace. */
function decide({ store, budgets, namespaces }: Parts, name: string): void {
  const refused = namespaces.get(name)?.refused ?? new Set();
  const entries = store.byIndex('scope', name).filter((entry) => entry.candidate !== undefined);
  const candidates = entries.map(({ candidate, lastGood }) => ({
    policy: candidate as Policy,
    ...(lastGood === undefined ? {} : { lastGood }),
  }));
  for (const [at, decision] of decideVersions(name, candidates, budgets).entries()) {
    const entry = entries[at] as PolicyEntry;
    if (decision.refusal === undefined) refused.delete(entry.key);
    else refused.add(entry.key);
    const isSame = decision.active === entry.active && decision.refusal?.message === entry.refusal?.message;
    if (!isSame) store.upsert(withDecision(entry, decision));
  }
}

/** Removes a policy. @returns its namespace; undefined: it was not there */
function forget({ store, namespaces }: Parts, key: PolicyKey): string | undefined {
  const entry = store.get(key);
  if (entry === undefined) return undefined;
  store.remove(key);
  const namespace = namespaces.get(entry.namespace);
  if (namespace === undefined) return entry.namespace;
  namespace.total = differenceOf(namespace.total, namespace.sizes.get(key) ?? NO_SIZE);
  namespace.sizes.delete(key);
  namespace.refused.delete(key);
  if (namespace.sizes.size === 0) namespaces.delete(entry.namespace);
  return entry.namespace;
}

function enforcedOf({ active, refusal }: PolicyEntry): Enforced {
  return { ...(active === undefined ? {} : { active }), ...(refusal === undefined ? {} : { refusal }) };
}

function withDecision(read: ReadPolicy & Partial<Enforced>, { active, refusal }: Decision): PolicyEntry {
  const { active: _active, refusal: _refusal, ...rest } = read;
  const isGood = active !== undefined && active === rest.candidate && rest.isCandidateValid;
  return {
    ...rest,
    ...(isGood ? { lastGood: active } : {}),
    ...(active === undefined ? {} : { active }),
    ...(refusal === undefined ? {} : { refusal }),
  };
}
