/*
 * Decides which version of each policy of a namespace is enforced when all together would not fit into a bundle: the newest version, the
 * last good one, or a replacement that denies at least as much. Oldest policies first, so that the choice depends on nothing but the policies.
 */
import { denyAllVersion, denyingVersion } from '../api/istio/denying-version.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { createPolicyLoad, exceeded, type PolicyBudgets, type PolicyLoad, type PolicySize } from '../resolve/policy-load.ts';

/** A policy and the version to fall back to. */
export interface Candidate {
  /** The version that would be enforced if there were no budget. */
  readonly policy: Policy;
  /** The last version that was within the budget; absent: no version was. */
  readonly lastGood?: Policy;
}

/** The enforced version of one candidate. */
export interface Decision {
  /** Absent: nothing is enforced, which denies no less. */
  readonly active?: Policy;
  /** Why {@link Candidate.policy} is not enforced; absent: it is. */
  readonly refusal?: Finding;
}

/** Decides for all policies of one namespace. @returns in the order of `candidates` */
export function decideVersions(namespace: string, candidates: readonly Candidate[], budgets: PolicyBudgets): readonly Decision[] {
  const share = budgets.shareOf(namespace);
  const all = candidates.flatMap(({ policy, lastGood }) => (lastGood === undefined ? [policy] : [policy, lastGood]));
  const load = createPolicyLoad(all);
  const replaced = createPolicyLoad(all);
  const decisions = new Map<Candidate, Decision>();
  for (const candidate of oldestFirst(candidates)) {
    const { policy, lastGood } = candidate;
    const excess = take(policy, { load, share, budgets });
    if (excess === undefined) decisions.set(candidate, { active: policy });
    else if (lastGood !== undefined && lastGood !== policy && take(lastGood, { load, share, budgets }) === undefined) {
      decisions.set(candidate, {
        active: lastGood,
        refusal: refusal(excess, `generation ${lastGood.metadata.generation ?? 0} stays active`),
      });
    } else decisions.set(candidate, replacementOf(policy, excess, { load: replaced, budgets }));
  }
  return candidates.map((candidate) => decisions.get(candidate) ?? { active: candidate.policy });
}

/** A new version of a policy, and the policies that it would have to share a budget with. */
export interface BudgetQuestion {
  readonly policy: Policy;
  /** The version before; absent: the policy is new. */
  readonly before: Policy | undefined;
  readonly others: readonly Candidate[];
}

/**
 * Why the policy would be over its budget, however old it is: it alone, or with all others of its namespace.
 * @returns undefined when it would not, or when it takes no more than the version before
 */
export function whyOverBudget({ policy, before, others }: BudgetQuestion, budgets: PolicyBudgets): string | undefined {
  const { namespace } = policy.metadata;
  const size = budgets.sizeOf(policy);
  if (before !== undefined && exceeded(size, budgets.sizeOf(before)).length === 0) return undefined;
  const load = createPolicyLoad([...others.map((other) => other.policy), policy]);
  for (const other of others) load.add(other.policy, budgets.sizeOf(other.policy));
  return (
    describeExcess('the policy', size, budgets.limit) ??
    describeExcess(`with the other policies, namespace ${namespace}`, load.with(policy, size), budgets.shareOf(namespace))
  );
}

interface Taking {
  readonly load: PolicyLoad;
  readonly share: PolicySize;
  readonly budgets: PolicyBudgets;
}

/** Adds the policy to the load. @returns why it does not fit; undefined: it was added */
function take(policy: Policy, { load, share, budgets }: Taking): string | undefined {
  const size = budgets.sizeOf(policy);
  const excess =
    describeExcess('the policy', size, budgets.limit) ??
    describeExcess(`with older policies, namespace ${policy.metadata.namespace}`, load.with(policy, size), share);
  if (excess === undefined) load.add(policy, size);
  return excess;
}

function replacementOf(policy: Policy, excess: string, { load, budgets }: Omit<Taking, 'share'>): Decision {
  const version = denyingVersion(policy);
  if (version === undefined) return { refusal: refusal(excess, 'it is not evaluated') };
  if (version.kind === 'AuthorizationPolicy') return { active: version, refusal: refusal(excess, CONSEQUENCE[version.spec.action]) };
  if (take(version, { load, share: budgets.replacements, budgets }) === undefined) {
    return { active: version, refusal: refusal(excess, 'tokens for its rules are refused with 401') };
  }
  return { active: denyAllVersion(policy), refusal: refusal(excess, CONSEQUENCE.DENY) };
}

const CONSEQUENCE = {
  ALLOW: 'it allows nothing, and still counts as an ALLOW policy',
  DENY: 'every request to the pods that it selects is denied',
  AUDIT: '',
  CUSTOM: '',
} as const;

function refusal(excess: string, consequence: string): Finding {
  return {
    code: 'SP_OVER_BUDGET',
    severity: 'error',
    path: '',
    message: `${excess}; ${consequence}`,
    hint: 'make this policy or older ones of the namespace smaller, or narrow their selectors',
  };
}

const UNITS: Readonly<Record<keyof PolicySize, string>> = {
  bytes: 'bytes of a bundle',
  packedBytes: 'bytes of a compressed bundle',
  rules: 'rules',
  values: 'values to match',
};

function describeExcess(subject: string, size: PolicySize, limit: PolicySize): string | undefined {
  const [member] = exceeded(size, limit);
  // Without the size, which changes with each of the other policies, and with it the status of all.
  return member === undefined ? undefined : `${subject} takes more than ${limit[member]} ${UNITS[member]}`;
}

/** Oldest first, then by kind and name; objects without a timestamp (files) come first. */
function oldestFirst(candidates: readonly Candidate[]): readonly Candidate[] {
  const aged = candidates.map((candidate) => {
    const { kind, metadata } = candidate.policy;
    return { candidate, age: `${metadata.creationTimestamp ?? ''} ${kind} ${metadata.name}` };
  });
  aged.sort((one, other) => (one.age < other.age ? -1 : 1));
  return aged.map(({ candidate }) => candidate);
}
