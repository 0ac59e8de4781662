/*
 * The state of policies and workloads as the cluster has it: conditions that the controller wrote, pods with and without agents, and
 * what is published for them.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import { BUNDLE_LABEL, MANAGED_BY, MANAGED_BY_LABEL } from '../../api/kube/names.ts';
import { projectPod } from '../../api/kube/slim.ts';
import { workloadOf } from '../../api/kube/workload.ts';
import type { Statement } from '../../bundle/statement.ts';
import type { RawObject } from '../../cluster/kube-object.ts';
import { listObjects } from '../../cluster/list-objects.ts';
import { AUTHORIZATION_POLICIES, CONFIG_MAPS, PODS, REQUEST_AUTHENTICATIONS, type Resource } from '../../cluster/paths.ts';
import { ownStatement, publishedAt, statementsIn, subjectOf } from '../input/slot-config-maps.ts';
import { type ConfigurationProblem, readConfigurationProblems } from './configuration-problems.ts';
import { ALWAYS, type LiveSession } from './session.ts';

/** A condition of a policy. Printed as JSON with these member names. */
export interface ShownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** It is about the newest generation of the policy. */
  readonly isCurrent: boolean;
}

/** A policy. Printed as JSON with these member names. */
export interface PolicyStatus {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  /** Empty: no controller has seen the policy. */
  readonly conditions: readonly ShownCondition[];
}

/** A workload. Printed as JSON with these member names. */
export interface WorkloadStatus {
  /** `namespace/kind/name`. */
  readonly workload: string;
  readonly pods: number;
  readonly agents: number;
  /** Digest and time of the bundle that is published for it; absent: none is. */
  readonly bundle?: { readonly digest: string; readonly published: string };
}

/** All policies, and the workloads that have an agent or a bundle. */
export interface InstallationStatus {
  readonly policies: readonly PolicyStatus[];
  readonly workloads: readonly WorkloadStatus[];
  /** Replicas of the controller that refuse their configuration; absent: not known. */
  readonly configurationProblems?: readonly ConfigurationProblem[];
}

interface Found {
  pods: number;
  agents: number;
  bundle?: NonNullable<WorkloadStatus['bundle']>;
}

/** Reads the namespace of the session, or all. @param system namespace of the controller @throws like the requests of the client */
export async function readInstallationStatus(
  session: LiveSession,
  system: string,
  nowMs: number = Date.now(),
): Promise<InstallationStatus> {
  const problems = await readConfigurationProblems(session, { namespace: system, nowMs });
  const policies: PolicyStatus[] = [];
  for (const resource of [REQUEST_AUTHENTICATIONS, AUTHORIZATION_POLICIES])
    await list(session, { resource }, (raw) => policies.push(policyStatus(resource.kind, raw)));
  const workloads = new Map<string, Found>();
  const found = (key: string): Found => {
    const one = workloads.get(key) ?? { pods: 0, agents: 0 };
    workloads.set(key, one);
    return one;
  };
  await list(session, { resource: PODS, fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' }, (raw) => {
    const pod = projectPod(raw);
    const one = found(workloadKey(workloadOf(pod)));
    one.pods += 1;
    if (pod.agent !== undefined) one.agents += 1;
  });
  for (const statement of await publishedBundles(session)) {
    const one = found(subjectOf(statement));
    one.bundle ??= { digest: statement.digest, published: publishedAt(statement) };
  }
  return {
    policies: policies.toSorted(byName),
    workloads: [...workloads]
      .filter(([, { agents, bundle }]) => agents > 0 || bundle !== undefined)
      .map(([workload, facts]) => ({ workload, ...facts }))
      .toSorted((one, other) => (one.workload < other.workload ? -1 : 1)),
    ...(problems === undefined ? {} : { configurationProblems: problems }),
  };
}

/** Statements about workloads, the newest of each first. Only they are kept of the ConfigMaps, which contain whole bundles. */
async function publishedBundles(session: LiveSession): Promise<readonly Statement[]> {
  const found: { readonly statement: Statement | undefined }[] = [];
  const labelSelector = `${BUNDLE_LABEL},${MANAGED_BY_LABEL}=${MANAGED_BY}`;
  await list(session, { resource: CONFIG_MAPS, labelSelector }, (raw) => found.push({ statement: ownStatement(raw) }));
  return statementsIn(found).filter(({ workload }) => workload !== undefined);
}

function list(
  { client, scope }: LiveSession,
  collection: { readonly resource: Resource; readonly labelSelector?: string; readonly fieldSelector?: string },
  visit: (raw: RawObject) => unknown,
): Promise<unknown> {
  return listObjects(client, { ...collection, ...(scope === undefined ? {} : { namespace: scope }) }, (raw) => void visit(raw), ALWAYS);
}

function policyStatus(kind: string, { metadata, status }: RawObject): PolicyStatus {
  const generation = metadata?.generation ?? 0;
  const { conditions = [] } = (status ?? {}) as { readonly conditions?: readonly Readonly<Record<string, unknown>>[] };
  return {
    kind,
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    generation,
    conditions: conditions.map((condition) => ({
      type: textOf(condition['type']),
      status: textOf(condition['status']),
      reason: textOf(condition['reason']),
      message: textOf(condition['message']),
      isCurrent: Number(condition['observedGeneration'] ?? generation) === generation,
    })),
  };
}

function byName(one: PolicyStatus, other: PolicyStatus): number {
  const nameOf = ({ namespace, name, kind }: PolicyStatus): string => `${namespace}/${name} ${kind}`;
  return nameOf(one) < nameOf(other) ? -1 : 1;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
