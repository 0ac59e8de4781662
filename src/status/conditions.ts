/*
 * The conditions `Accepted` and `Ready` of a policy, from facts about it. Pure; the text changes only when the facts do.
 */
import type { Finding } from '../errors.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';

/** One of the conditions of a policy; the `cluster` package adds the time of the last transition. */
export interface PolicyCondition {
  readonly type: 'Accepted' | 'Ready';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Missing or outdated keys of one JWT rule. */
export interface KeyProblem {
  /**
   * `stale`: the last fetch failed, the last good keys are in use. `unavailable`: it failed and there are no keys. `pending`:
   * no fetch has ended yet. Without keys every token for the rule is rejected.
   */
  readonly kind: 'stale' | 'unavailable' | 'pending';
  /** Index in `spec.jwtRules`. */
  readonly rule: number;
  readonly reason: string;
}

/** What the status of a policy reports. Workloads as `namespace/name`, sorted. */
export interface PolicyFacts {
  /** Selected workloads with an agent whose published bundle contains the active version. */
  readonly published: readonly string[];
  /** Selected workloads with an agent whose published bundle does not contain it yet. */
  readonly waiting: readonly string[];
  /** Selected workloads with an agent whose bundle cannot be published. */
  readonly refused: readonly { readonly workload: string; readonly message: string }[];
  /** Selected workloads with a pod that has no agent: nothing enforces the policy there. */
  readonly withoutAgent: readonly string[];
  readonly keys: readonly KeyProblem[];
  /** Warnings from compiling this policy. */
  readonly findings: readonly Finding[];
}

/** At most this many findings or workloads are named in one message. */
const NAMED = 3;
/** Longest message, in characters. */
const MAX_MESSAGE = 1024;

/** Both conditions of a policy. */
export function conditionsOf(entry: PolicyEntry, facts: PolicyFacts): readonly PolicyCondition[] {
  const ready = readyOf(entry, facts);
  return [accepted(entry, facts.findings), ready].map(({ message, ...condition }) => ({
    ...condition,
    message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 1)}…` : message,
    observedGeneration: entry.generation,
  }));
}

type Draft = Omit<PolicyCondition, 'observedGeneration'>;

function accepted(entry: PolicyEntry, compiled: readonly Finding[]): Draft {
  const type = 'Accepted';
  if (!entry.isValid) {
    const errors = entry.findings.filter((finding) => finding.severity === 'error');
    return { type, status: 'False', reason: 'Invalid', message: sentences([listFindings(errors), describeActive(entry)]) };
  }
  const warnings = withoutDuplicates([...entry.findings, ...compiled]);
  if (warnings.length === 0) return { type, status: 'True', reason: 'Accepted', message: 'The policy is valid' };
  const needsPeer = warnings.some((finding) => finding.code === 'SP_NEEDS_PEER_IDENTITY');
  return { type, status: 'True', reason: needsPeer ? 'NeedsPeerIdentity' : 'AcceptedWithWarnings', message: listFindings(warnings) };
}

function readyOf(entry: PolicyEntry, facts: PolicyFacts): Draft {
  const type = 'Ready';
  const no = (reason: string, message: string): Draft => ({ type, status: 'False', reason, message });
  const yes = (reason: string, message: string): Draft => ({ type, status: 'True', reason, message });
  const total = facts.published.length + facts.waiting.length + facts.refused.length;
  const count = `Published to ${facts.published.length} of ${total} selected workloads with an agent`;
  const unprotected = facts.withoutAgent.length === 0 ? '' : `Not enforced on workloads without an agent: ${listNames(facts.withoutAgent)}`;
  const unavailable = facts.keys.filter((keys) => keys.kind !== 'stale');

  if (!entry.isValid) return no('NotAccepted', sentences([describeActive(entry), count, unprotected]));
  const [refused] = facts.refused;
  if (refused !== undefined) return no('BundleRefused', sentences([count, `${refused.workload}: ${refused.message}`]));
  if (facts.waiting.length > 0) return no('Publishing', sentences([count, `Not yet published to: ${listNames(facts.waiting)}`]));
  if (unavailable.length > 0) return no('KeysUnavailable', sentences([count, listKeys(unavailable), unprotected]));
  if (total === 0 && facts.withoutAgent.length > 0) return no('NoAgent', sentences([count, unprotected]));
  if (total === 0) return yes('SelectsNothing', selectsNothing(entry));
  if (facts.keys.length > 0) return yes('KeysStale', sentences([count, listKeys(facts.keys), unprotected]));
  return yes('Published', sentences([count, unprotected]));
}

function describeActive(entry: PolicyEntry): string {
  if (entry.active === undefined) return 'No version of this policy is active';
  if (entry.isActiveValid) return `Generation ${entry.active.metadata.generation ?? 0} remains active`;
  return 'The readable part of it is active; values that cannot be honoured can only deny more requests';
}

function selectsNothing(entry: PolicyEntry): string {
  const hasTargets = (entry.active?.spec.targetRefs ?? []).length > 0;
  return hasTargets ? 'Targets no gateway that has pods; targetRefs select no other workloads' : 'Selects no workload';
}

function listKeys(keys: readonly KeyProblem[]): string {
  return keys
    .slice(0, NAMED)
    .map(({ kind, rule, reason }) => `jwtRules[${rule}]: ${reason}; ${KEY_CONSEQUENCE[kind]}`)
    .join('. ');
}

const KEY_CONSEQUENCE: Readonly<Record<KeyProblem['kind'], string>> = {
  stale: 'the last good keys remain in use',
  unavailable: 'there are no keys, so every token for this rule is rejected',
  pending: 'every token for this rule is rejected until they arrive',
};

/** Findings in one line: path, message and hint of the first few, and the number of the others. */
function listFindings(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ path, message, hint }) => `${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
  return listNames(lines, '; ');
}

function listNames(names: readonly string[], separator = ', '): string {
  const shown = names.slice(0, NAMED).join(separator);
  return names.length <= NAMED ? shown : `${shown}${separator}and ${names.length - NAMED} more`;
}

function sentences(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('. ');
}

function withoutDuplicates(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.path} ${finding.message}`, finding])).values()];
}
