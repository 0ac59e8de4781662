/*
 * What a report says about one policy, from the facts that its status reports. States that pass by themselves, such as a bundle that is
 * not published yet, are not reported.
 */
import { parseWorkloadKey } from '../api/kube/keys.ts';
import { SECURITY_GROUP } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';
import { KEY_CONSEQUENCE, type KeyProblem, type PolicyFacts } from '../status/conditions.ts';

/** An object that a result is about. */
export interface Subject {
  /** Absent: the kind is not one of Kubernetes. */
  readonly apiVersion?: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}

/** One result, with the field names and values of `openreports.io/v1alpha1`. */
export interface PolicyResult {
  /** Kind and name of the policy. */
  readonly policy: string;
  /** Code of the finding, or reason of the condition. */
  readonly rule: string;
  readonly category: 'Policy' | 'Workload';
  /** `fail`: a workload is not protected; `error`: a policy cannot be enforced as it is; `warn`: it may not be intended. */
  readonly result: 'fail' | 'error' | 'warn';
  readonly severity: 'high' | 'medium' | 'info';
  readonly message: string;
  readonly resources: readonly [Subject];
}

/** Longest message, in characters. */
const MAX_MESSAGE = 1024;

/** Kinds of workloads in a key, which is in lower case. */
const WORKLOAD_KINDS: ReadonlyMap<string, Pick<Subject, 'apiVersion' | 'kind'>> = new Map([
  ['deployment', { apiVersion: 'apps/v1', kind: 'Deployment' }],
  ['statefulset', { apiVersion: 'apps/v1', kind: 'StatefulSet' }],
  ['daemonset', { apiVersion: 'apps/v1', kind: 'DaemonSet' }],
  ['replicaset', { apiVersion: 'apps/v1', kind: 'ReplicaSet' }],
  ['job', { apiVersion: 'batch/v1', kind: 'Job' }],
  ['cronjob', { apiVersion: 'batch/v1', kind: 'CronJob' }],
  ['pod', { apiVersion: 'v1', kind: 'Pod' }],
]);

type Draft = Omit<PolicyResult, 'policy' | 'message'> & { readonly message: string };

/** The results of one policy; empty: there is nothing to report. In the order of the facts. */
export function policyResults(entry: PolicyEntry, facts: PolicyFacts): readonly PolicyResult[] {
  const policy = `${entry.kind}/${entry.name}`;
  return [...aboutPolicy(entry, facts), ...aboutWorkloads(facts)].map(({ message, ...draft }) => ({
    policy,
    ...draft,
    message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 1)}…` : message,
  }));
}

function aboutPolicy(entry: PolicyEntry, facts: PolicyFacts): readonly Draft[] {
  const resources = [subjectOf(entry)] as const;
  const draft = (result: Draft['result'], rule: string, message: string): Draft => ({
    rule,
    category: 'Policy',
    result,
    severity: result === 'error' ? 'high' : 'medium',
    message,
    resources,
  });
  const ofFinding = ({ code, severity, path, message, hint }: Finding): Draft => ({
    ...draft(severity === 'error' || code === 'SP_OVER_BUDGET' ? 'error' : 'warn', code, textOf(path, message, hint)),
    ...(severity === 'info' ? { severity: 'info' as const } : {}),
  });
  const problem = (reason: { readonly reason: string; readonly message: string } | undefined): readonly Draft[] =>
    reason === undefined ? [] : [draft('error', reason.reason, reason.message)];
  return [
    ...[...entry.findings, ...facts.findings].map(ofFinding),
    ...(entry.refusal === undefined ? [] : [ofFinding(entry.refusal)]),
    ...problem(facts.provider),
    ...problem(facts.withheld),
    ...facts.keys.flatMap((key) => keyResult(key, draft)),
    ...facts.tampered.map((text) => draft('warn', 'BundleTampered', text)),
  ];
}

function keyResult(
  { kind, rule, reason }: KeyProblem,
  draft: (result: Draft['result'], rule: string, message: string) => Draft,
): readonly Draft[] {
  const message = textOf(`spec.jwtRules[${rule}]`, `${reason}; ${KEY_CONSEQUENCE[kind]}`);
  switch (kind) {
    case 'pending':
      return [];
    case 'unavailable':
      return [draft('error', 'KeysUnavailable', message)];
    case 'stale':
      return [draft('warn', 'KeysStale', message)];
    case 'left-out':
      return [draft('warn', 'KeysLeftOut', message)];
  }
}

function aboutWorkloads(facts: PolicyFacts): readonly Draft[] {
  const draft = (workload: string, result: Draft['result'], rule: string, message: string): Draft => ({
    rule,
    category: 'Workload',
    result,
    severity: 'high',
    message,
    resources: [workloadSubject(workload)],
  });
  return [
    ...facts.refused.map(({ workload, message }) => draft(workload, 'error', 'BundleRefused', message)),
    ...facts.withoutAgent.map((workload) => draft(workload, 'fail', 'NoAgent', 'A pod has no agent: the policy is not enforced')),
    ...facts.notEnabled.flatMap(({ namespace, workloads }) =>
      workloads.map((workload) =>
        draft(workload, 'fail', 'InjectionDisabled', `Injection is not enabled in namespace ${namespace}: the policy is not enforced`),
      ),
    ),
    ...facts.notInjectable.map((workload) =>
      draft(workload, 'fail', 'NotInjectable', 'A pod cannot have an agent: the policy is not enforced'),
    ),
    ...facts.altered.map(({ workload, message }) => draft(workload, 'fail', 'AgentAltered', message)),
    ...facts.bypassed.map(({ workload, message }) => draft(workload, 'fail', 'AgentBypassed', `The agent can be bypassed: ${message}`)),
  ];
}

function subjectOf({ kind, namespace, name, uid }: PolicyEntry): Subject {
  return { apiVersion: `${SECURITY_GROUP}/v1`, kind, namespace, name, ...(uid === undefined ? {} : { uid }) };
}

function workloadSubject(key: string): Subject {
  const { namespace, kind, name } = parseWorkloadKey(key);
  return { ...(WORKLOAD_KINDS.get(kind) ?? { kind }), namespace, name };
}

function textOf(path: string, message: string, hint?: string): string {
  return `${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
}
