/*
 * What a policy's status says. In: the policy as it is and what became of it. Out: the two conditions `Accepted` and `Ready`,
 * in words that change only when the facts do. Pure; called by the status writer.
 */
import type { Finding } from '../errors.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';

/** One condition, as the cluster room writes it. */
export interface PolicyCondition {
  readonly type: 'Accepted' | 'Ready';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** The keys of one JWT rule that are not as they should be. */
export interface KeyTrouble {
  /** `stale`: the last good keys are in force. `unavailable`: there are none, every token of this rule is refused. */
  readonly kind: 'stale' | 'unavailable' | 'pending';
  readonly rule: number;
  readonly reason: string;
}

/** What became of a policy. Workloads as `namespace/name`, sorted. */
export interface PolicyFacts {
  /** Selected, with an agent, and their published bundle holds this version. */
  readonly published: readonly string[];
  /** Selected, with an agent, not there yet. */
  readonly waiting: readonly string[];
  /** Selected, with an agent, but their bundle cannot be published. */
  readonly refused: readonly { readonly workload: string; readonly message: string }[];
  /** Selected, but without an agent: nothing is enforced there. */
  readonly withoutAgent: readonly string[];
  readonly keys: readonly KeyTrouble[];
  /** Warnings of compiling this policy. */
  readonly findings: readonly Finding[];
}

/** Most findings and workloads that one message names. */
const NAMED = 3;
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
    return { type, status: 'False', reason: 'Invalid', message: sentences([listFindings(errors), whatIsInForce(entry)]) };
  }
  const warnings = eachOnce([...entry.findings, ...compiled]);
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
  const unprotected = facts.withoutAgent.length === 0 ? '' : `without an agent, so not enforced: ${listNames(facts.withoutAgent)}`;
  const unavailable = facts.keys.filter((keys) => keys.kind !== 'stale');

  if (!entry.isValid) return no('NotAccepted', sentences([whatIsInForce(entry), count, unprotected]));
  const [refused] = facts.refused;
  if (refused !== undefined) return no('BundleRefused', sentences([count, `${refused.workload}: ${refused.message}`]));
  if (facts.waiting.length > 0) return no('Publishing', sentences([count, `waiting: ${listNames(facts.waiting)}`]));
  if (unavailable.length > 0) return no('KeysUnavailable', sentences([count, listKeys(unavailable), unprotected]));
  if (total === 0 && facts.withoutAgent.length > 0) return no('NoAgent', sentences([count, unprotected]));
  if (total === 0) return yes('SelectsNothing', selectsNothing(entry));
  if (facts.keys.length > 0) return yes('KeysStale', sentences([count, listKeys(facts.keys), unprotected]));
  return yes('Published', sentences([count, unprotected]));
}

function whatIsInForce(entry: PolicyEntry): string {
  if (entry.inForce === undefined) return 'No version of this policy is in force';
  if (entry.wasValid) return `Generation ${entry.inForce.metadata.generation ?? 0} stays in force`;
  return 'What can be read of it is in force; values that cannot be honoured only deny more';
}

function selectsNothing(entry: PolicyEntry): string {
  const hasTargets = (entry.inForce?.spec.targetRefs ?? []).length > 0;
  return hasTargets ? 'Targets no gateway with pods; targetRefs never select other workloads' : 'Selects no workload at present';
}

function listKeys(keys: readonly KeyTrouble[]): string {
  return keys
    .slice(0, NAMED)
    .map(({ kind, rule, reason }) => `jwtRules[${rule}]: ${reason}; ${KEY_CONSEQUENCE[kind]}`)
    .join('. ');
}

const KEY_CONSEQUENCE: Readonly<Record<KeyTrouble['kind'], string>> = {
  stale: 'the last good keys stay in force',
  unavailable: 'there are no keys, every token of this rule is refused',
  pending: 'every token of this rule is refused until the first answer',
};

/** Findings as one line: path, message and hint of the first few, and how many more there are. */
export function listFindings(findings: readonly Finding[]): string {
  const texts = findings.map(
    ({ path, message, hint }) => `${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
  return listNames(texts, '; ');
}

function listNames(names: readonly string[], separator = ', '): string {
  const shown = names.slice(0, NAMED).join(separator);
  return names.length <= NAMED ? shown : `${shown}${separator}and ${names.length - NAMED} more`;
}

function sentences(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('. ');
}

function eachOnce(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.path} ${finding.message}`, finding])).values()];
}
