/*
 * Decides which version of each policy of a namespace is enforced when all together would not fit into a bundle: the newest version, the
 * last good one, or a replacement that denies at least as much. Oldest policies first, so that the choice depends on nothing but the policies.
 */
import { denyAllVersion, denyingVersion } from '../api/istio/denying-version.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import {
  createPolicyLoad,
  exceeded,
  type LabelValues,
  type PolicyBudgets,
  type PolicyLoad,
  type PolicyPart,
  type PolicySize,
  policyPart,
  sumOf,
} from '../resolve/policy-load.ts';

/** A policy and the version to fall back to. */
export interface Candidate {
  /** The version that would be enforced if there were no budget. */
  readonly policy: Policy;
  /** What {@link Candidate.policy} takes. */
  readonly part: PolicyPart;
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

/** The policies of one namespace. */
export interface NamespacePolicies {
  readonly namespace: string;
  /** Oldest first, see {@link ageOf}. */
  readonly candidates: readonly Candidate[];
  /** Of all candidates. */
  readonly labels: LabelValues;
}

/** Decides for all policies of one namespace. @returns in the order of the candidates */
export function decideVersions({ namespace, candidates, labels }: NamespacePolicies, budgets: PolicyBudgets): readonly Decision[] {
  const taking: Taking = { load: createPolicyLoad(labels), share: budgets.shareOf(namespace), limit: budgets.limit };
  let replaced: PolicyLoad | undefined;
  return candidates.map(({ policy, part, lastGood }): Decision => {
    const excess = take(namespace, part, taking);
    if (excess === undefined) return { active: policy };
    const fallback = lastGood === undefined || lastGood === policy ? undefined : policyPart(lastGood, budgets.sizeOf(lastGood));
    if (fallback !== undefined && lastGood !== undefined && take(namespace, fallback, taking) === undefined) {
      return { active: lastGood, refusal: refusal(excess, `generation ${lastGood.metadata.generation ?? 0} stays active`) };
    }
    replaced ??= createPolicyLoad(labels);
    return replacementOf(policy, excess, { load: replaced, budgets });
  });
}

/** A new version of a policy, and the policies that it would have to share a budget with. */
export interface BudgetQuestion {
  readonly policy: Policy;
  /** The version before; absent: the policy is new. */
  readonly before: Policy | undefined;
  /** What the others take together, whatever selects what. */
  readonly total: PolicySize;
  readonly others: () => Iterable<PolicyPart>;
  /** Of the others. */
  readonly labels: LabelValues;
}

/**
 * Why the policy would be over its budget, however old it is: it alone, or with all others of its namespace.
 * @returns undefined when it would not, or when it takes no more than the version before
 */
export function whyOverBudget({ policy, before, total, others, labels }: BudgetQuestion, budgets: PolicyBudgets): string | undefined {
  const { namespace } = policy.metadata;
  const part = policyPart(policy, budgets.sizeOf(policy));
  if (before !== undefined && exceeded(part.size, budgets.sizeOf(before)).length === 0) return undefined;
  const alone = describeExcess('the policy', part.size, budgets.limit);
  const share = budgets.shareOf(namespace);
  if (alone !== undefined || exceeded(sumOf(total, part.size), share).length === 0) return alone;
  const load = createPolicyLoad(labels);
  for (const other of others()) load.add(other);
  return describeExcess(`with the other policies, namespace ${namespace}`, load.with(part), share);
}

interface Taking {
  readonly load: PolicyLoad;
  readonly share: PolicySize;
  readonly limit: PolicySize;
}

/** Adds the policy to the load. @returns why it does not fit; undefined: it was added */
function take(namespace: string, part: PolicyPart, { load, share, limit }: Taking): string | undefined {
  const excess =
    describeExcess('the policy', part.size, limit) ?? describeExcess(`with older policies, namespace ${namespace}`, load.with(part), share);
  if (excess === undefined) load.add(part);
  return excess;
}

function replacementOf(
  policy: Policy,
  excess: string,
  { load, budgets }: { readonly load: PolicyLoad; readonly budgets: PolicyBudgets },
): Decision {
  const version = denyingVersion(policy);
  if (version === undefined) return { refusal: refusal(excess, 'it is not evaluated') };
  if (version.kind === 'AuthorizationPolicy') return { active: version, refusal: refusal(excess, CONSEQUENCE[version.spec.action]) };
  const part = policyPart(version, budgets.sizeOf(version));
  if (take(policy.metadata.namespace, part, { load, share: budgets.replacements, limit: budgets.limit }) === undefined) {
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

/** Sorts policies by age, oldest first, then by kind and name; objects without a timestamp (files) come first. */
export function ageOf({ kind, metadata }: Policy): string {
  return `${metadata.creationTimestamp ?? ''} ${kind} ${metadata.name}`;
}
