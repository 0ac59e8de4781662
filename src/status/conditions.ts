/*
 * The conditions `Accepted`, `Ready`, `Enforced` and `Programmed` of a policy, from facts about it. Pure; the text changes only when the
 * facts do. `Ready` speaks of workloads with an agent, `Enforced` of every selected workload.
 */
import type { Finding } from '../errors.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';
import type { ConditionType, ReasonOf } from './condition-reasons.ts';
import { enforcedOf } from './enforced-condition.ts';
import { type AgentFacts, programmedOf } from './programmed-condition.ts';
import { selectsNothing, workloadsWithoutAgent } from './selected-workloads.ts';
import { describeActive, describeRefusal, listNames, sentences } from './sentences.ts';

/** A condition without the generation that it is about. */
export interface Draft<T extends ConditionType = ConditionType> {
  readonly type: T;
  readonly status: 'True' | 'False';
  readonly reason: ReasonOf<T>;
  readonly message: string;
}

/** One of the conditions of a policy; the `cluster` package adds the time of the last transition. */
export interface PolicyCondition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Missing, outdated or unusable keys of one JWT rule. */
export interface KeyProblem {
  /**
   * `stale`: the last fetch failed, the last good keys are in use. `unavailable`: it failed and there are no keys. `pending`:
   * no fetch has ended yet. Without keys every token for the rule is rejected. `left-out`: the fetched set has keys that are not usable.
   */
  readonly kind: 'stale' | 'unavailable' | 'pending' | 'left-out';
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
  /** Those of `waiting` for which nothing has been published yet, because they are new. */
  readonly starting: readonly string[];
  /** Selected workloads with an agent whose bundle cannot be published. */
  readonly refused: readonly { readonly workload: string; readonly message: string }[];
  /** What other clients did to the published bundles of selected workloads of late, one phrase each. */
  readonly tampered: readonly string[];
  /** Why nothing can be signed, so that nothing is published; absent: it can. */
  readonly signing?: string;
  /** Selected workloads with a pod that has no agent, although it could have one: nothing enforces the policy there. */
  readonly withoutAgent: readonly string[];
  /** Selected workloads with a container that has the agent's name and is not as injected: nothing enforces the policy there. */
  readonly altered: readonly { readonly workload: string; readonly message: string }[];
  /** Selected workloads with an agent that ports or privileged containers of the same pod bypass. */
  readonly bypassed: readonly { readonly workload: string; readonly message: string }[];
  /** Those of `bypassed` whose agents capture no port at all. */
  readonly uncaptured: readonly string[];
  /** Selected workloads with a pod that cannot have an agent, such as one on the host network. */
  readonly notInjectable: readonly string[];
  /** Namespaces in which injection is not enabled, with their selected workloads without an agent. */
  readonly notEnabled: readonly { readonly namespace: string; readonly workloads: readonly string[] }[];
  /** The policy is in the root namespace: a pod of one namespace must not change whether it is ready. */
  readonly isMeshWide: boolean;
  /** The policy is evaluated and logged, but never decides. */
  readonly isDryRun: boolean;
  /** Why the ext_authz provider of a CUSTOM policy cannot be called: matching requests are denied. Absent: it can be called. */
  readonly provider?: { readonly reason: 'ProviderUnknown' | 'ProviderConflict'; readonly message: string };
  /** Which secrets of the policy are not published to other namespaces, where it therefore denies. Absent: none. */
  readonly withheld?: { readonly reason: 'KeysWithheld' | 'ProviderWithheld'; readonly message: string };
  /** What agents say that they enforce; `settling`: not known yet, what an earlier leader wrote stays. Absent: there is no feed. */
  readonly agents?: AgentFacts | 'settling';
  readonly keys: readonly KeyProblem[];
  /** Warnings from compiling this policy. */
  readonly findings: readonly Finding[];
}

/** At most this many key problems are named in one message. */
const NAMED = 3;
/** Longest message, in characters. */
const MAX_MESSAGE = 1024;

/** All conditions of a policy. */
export function conditionsOf(entry: PolicyEntry, facts: PolicyFacts): readonly PolicyCondition[] {
  const drafts: readonly Draft[] = [
    accepted(entry, facts.findings),
    readyOf(entry, facts),
    enforcedOf(entry, facts),
    ...programmedOf(entry, facts),
    ...tamperedOf(facts),
  ];
  return drafts.map(({ message, ...condition }) => ({
    ...condition,
    message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 1)}…` : message,
    observedGeneration: entry.generation,
  }));
}

function accepted(entry: PolicyEntry, compiled: readonly Finding[]): Draft<'Accepted'> {
  const type = 'Accepted';
  if (!entry.isValid) {
    const errors = entry.findings.filter((finding) => finding.severity === 'error');
    return { type, status: 'False', reason: 'Invalid', message: sentences([listFindings(errors), describeActive(entry)]) };
  }
  const warnings = withoutDuplicates([...entry.findings, ...compiled.filter(({ code }) => code !== 'SP_OVER_BUDGET')]);
  if (warnings.length === 0) return { type, status: 'True', reason: 'Accepted', message: 'The policy is valid' };
  const needsPeer = warnings.some((finding) => finding.code === 'SP_NEEDS_PEER_IDENTITY');
  return { type, status: 'True', reason: needsPeer ? 'NeedsPeerIdentity' : 'AcceptedWithWarnings', message: listFindings(warnings) };
}

function readyOf(entry: PolicyEntry, facts: PolicyFacts): Draft<'Ready'> {
  const type = 'Ready';
  const no = (reason: ReasonOf<'Ready'>, message: string): Draft<'Ready'> => ({ type, status: 'False', reason, message });
  const yes = (reason: ReasonOf<'Ready'>, message: string): Draft<'Ready'> => ({ type, status: 'True', reason, message });
  const { waiting, refused, total, count } = publishing(facts);
  const unavailable = facts.keys.filter(({ kind }) => kind === 'unavailable' || kind === 'pending');

  if (!entry.isValid) return no('NotAccepted', sentences([describeActive(entry), count]));
  if (facts.signing !== undefined) return no('SigningKeysMissing', sentences([facts.signing, count]));
  if (entry.refusal !== undefined) return no('OverBudget', sentences([describeRefusal(entry.refusal), count]));
  const overBudget = facts.findings.find(({ code }) => code === 'SP_OVER_BUDGET');
  if (overBudget !== undefined) return no('OverBudget', sentences([describeRefusal(overBudget), count]));
  if (facts.provider !== undefined) return no(facts.provider.reason, sentences([facts.provider.message, count]));
  const [first] = refused;
  if (first !== undefined) return no('BundleRefused', sentences([count, `${first.workload}: ${first.message}`]));
  if (waiting.length > 0) return no('Publishing', sentences([count, `Not yet published to: ${listNames(waiting)}`]));
  if (unavailable.length > 0) return no('KeysUnavailable', sentences([count, listKeys(unavailable)]));
  if (facts.withheld !== undefined) return no(facts.withheld.reason, sentences([count, facts.withheld.message]));
  const bare = workloadsWithoutAgent(facts);
  if (total === 0 && bare.length > 0) return no('NoAgent', `No selected workload has an agent: ${listNames(bare)}`);
  if (total === 0) return yes('SelectsNothing', selectsNothing(entry));
  if (facts.keys.some(({ kind }) => kind === 'stale')) return yes('KeysStale', sentences([count, listKeys(facts.keys)]));
  if (facts.keys.length > 0) return yes('KeysLeftOut', sentences([count, listKeys(facts.keys)]));
  return yes('Published', count);
}

/** Present only while other clients change bundles: agents ignore what they write, but new policies may be late. */
function tamperedOf({ tampered }: PolicyFacts): readonly Draft<'Tampered'>[] {
  if (tampered.length === 0) return [];
  const message = sentences([listNames(tampered, '; '), 'Agents ignore such changes and keep the last bundle that the controller signed']);
  return [{ type: 'Tampered', status: 'True', reason: 'BundleTampered', message }];
}

/**
 * What counts for `Ready`. A policy of the root namespace is ready when the workloads that already have a bundle have it:
 * otherwise each new pod, and each namespace that refuses a bundle, would make it unready for everyone.
 */
function publishing(facts: PolicyFacts): Pick<PolicyFacts, 'waiting' | 'refused'> & { readonly total: number; readonly count: string } {
  // A bundle that no connection meets counts for nothing.
  const uncaptured = new Set(facts.uncaptured);
  const published = facts.published.filter((workload) => !uncaptured.has(workload)).length;
  const total = published + facts.waiting.length + facts.refused.length;
  if (!facts.isMeshWide) {
    const count = `Published to ${published} of ${total} selected workloads with an agent`;
    return { waiting: facts.waiting, refused: facts.refused, total, count };
  }
  const starting = new Set(facts.starting);
  const waiting = facts.waiting.filter((workload) => !starting.has(workload));
  return { waiting, refused: [], total: 1, count: waiting.length > 0 ? '' : 'Published; the condition Enforced counts workloads' };
}

function listKeys(keys: readonly KeyProblem[]): string {
  return keys
    .slice(0, NAMED)
    .map(({ kind, rule, reason }) => `jwtRules[${rule}]: ${reason}; ${KEY_CONSEQUENCE[kind]}`)
    .join('. ');
}

/** What a problem with the keys of a rule means for tokens. */
export const KEY_CONSEQUENCE: Readonly<Record<KeyProblem['kind'], string>> = {
  stale: 'the last good keys remain in use',
  unavailable: 'there are no keys, so every token for this rule is rejected',
  pending: 'every token for this rule is rejected until they arrive',
  'left-out': 'tokens that only these keys verify are rejected',
};

/** Findings in one line: path, message and hint of the first few, and the number of the others. */
function listFindings(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ path, message, hint }) => `${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
  return listNames(lines, '; ');
}

function withoutDuplicates(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.path} ${finding.message}`, finding])).values()];
}
