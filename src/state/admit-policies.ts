/*
 * Puts policies into their store with the version that is enforced: the one that `acceptPolicy` chose, unless the policies of the namespace
 * are over their budget. Work follows the change: while a namespace is within its budget, only the policy that changed is measured.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type PolicyKey, policyKeyOf } from '../api/kube/keys.ts';
import {
  createLabelValues,
  differenceOf,
  isWithinBudget,
  type LabelValues,
  NO_SIZE,
  type PolicyBudgets,
  type PolicyPart,
  type PolicySize,
  policyPart,
  sumOf,
} from '../resolve/policy-load.ts';
import type { PolicyEntry } from './cluster-state.ts';
import { ageOf, type Candidate, type Decision, decideVersions, whyOverBudget } from './policy-budget.ts';
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
  /** What the newest versions of all policies of a namespace take together, whatever selects what. */
  readonly loadOf: (namespace: string) => PolicySize;
  /** Why a new version of a policy would be over its budget with all others of its namespace; undefined: it would not. */
  readonly whyOverBudget: (policy: Policy) => string | undefined;
}

interface Namespace {
  /** What all policies take together, whatever selects what. */
  total: PolicySize;
  readonly members: Map<PolicyKey, Member>;
  readonly labels: LabelValues;
  /** The members by age; absent: to be sorted. */
  sorted?: readonly Member[] | undefined;
  readonly refused: Set<PolicyKey>;
}

/** A policy with a candidate. */
interface Member {
  readonly key: PolicyKey;
  readonly age: string;
  part: PolicyPart;
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
    loadOf: (namespace) => parts.namespaces.get(namespace)?.total ?? NO_SIZE,
    whyOverBudget: (policy) => whyTooMuch(parts, policy),
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
  const known = namespaces.get(name);
  const namespace = known ?? { total: NO_SIZE, members: new Map<PolicyKey, Member>(), labels: createLabelValues(), refused: new Set() };
  if (known === undefined) namespaces.set(name, namespace);
  const part = candidate === undefined ? undefined : policyPart(candidate, budgets.sizeOf(candidate));
  setPart(namespace, { key, age: candidate === undefined ? '' : ageOf(candidate) }, part);
  const size = part?.size ?? NO_SIZE;
  return isWithinBudget({ namespace: name, size, total: namespace.total }, budgets) && namespace.refused.size === 0;
}

/** @param part absent: the policy has no candidate any more */
function setPart(namespace: Namespace, { key, age }: Pick<Member, 'key' | 'age'>, part: PolicyPart | undefined): void {
  const { members, labels } = namespace;
  const before = members.get(key);
  namespace.total = sumOf(differenceOf(namespace.total, before?.part.size ?? NO_SIZE), part?.size ?? NO_SIZE);
  if (before !== undefined) labels.remove(before.part);
  if (part !== undefined) labels.add(part);
  if (part !== undefined && before?.age === age) {
    before.part = part;
    return;
  }
  namespace.sorted = undefined;
  if (part === undefined) members.delete(key);
  else members.set(key, { key, age, part });
}

/** Decides for all policies of a namespace. */
function decide({ store, budgets, namespaces }: Parts, name: string): void {
  const namespace = namespaces.get(name);
  if (namespace === undefined) return;
  const { refused, labels, members } = namespace;
  namespace.sorted ??= [...members.values()].sort((one, other) => (one.age < other.age ? -1 : 1));
  const entries: PolicyEntry[] = [];
  const candidates: Candidate[] = [];
  for (const { key, part } of namespace.sorted) {
    const entry = store.get(key);
    if (entry?.candidate === undefined) continue;
    entries.push(entry);
    candidates.push({ policy: entry.candidate, part, ...(entry.lastGood === undefined ? {} : { lastGood: entry.lastGood }) });
  }
  for (const [at, decision] of decideVersions({ namespace: name, candidates, labels }, budgets).entries()) {
    const entry = entries[at] as PolicyEntry;
    if (decision.refusal === undefined) refused.delete(entry.key);
    else refused.add(entry.key);
    const isSame = decision.active === entry.active && decision.refusal?.message === entry.refusal?.message;
    if (!isSame) store.upsert(withDecision(entry, decision));
  }
}

function whyTooMuch({ store, budgets, namespaces }: Parts, policy: Policy): string | undefined {
  const key = policyKeyOf(policy);
  const namespace = namespaces.get(policy.metadata.namespace);
  const own = namespace?.members.get(key);
  const others = function* (): Iterable<PolicyPart> {
    for (const member of namespace?.members.values() ?? []) if (member !== own) yield member.part;
  };
  const total = differenceOf(namespace?.total ?? NO_SIZE, own?.part.size ?? NO_SIZE);
  const before = store.get(key)?.candidate;
  return whyOverBudget({ policy, before, total, others, labels: namespace?.labels ?? createLabelValues() }, budgets);
}

/** Removes a policy. @returns its namespace; undefined: it was not there */
function forget({ store, namespaces }: Parts, key: PolicyKey): string | undefined {
  const entry = store.get(key);
  if (entry === undefined) return undefined;
  store.remove(key);
  const namespace = namespaces.get(entry.namespace);
  if (namespace === undefined) return entry.namespace;
  setPart(namespace, { key, age: '' }, undefined);
  namespace.refused.delete(key);
  if (namespace.members.size === 0) namespaces.delete(entry.namespace);
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
