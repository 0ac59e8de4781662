/*
 * One workload made right. In: its key; everything else is read anew from the world. Out: its bundle in the sink, or no
 * bundle, and a record of it. Does not know which sink it has. Called by the workers for each key of the queue.
 */

import type { JwtRule, Policy } from '../api/istio/resources.ts';
import { objectKey, type PolicyKey, parseWorkloadKey, policyKey, policyKeyOf, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import { encodeBundle } from '../bundle/encode.ts';
import type { Clock } from '../clock.ts';
import { type CompileResult, compileWorkload } from '../compile/compile-workload.ts';
import type { ApplyContext, ApplyResult, BundleOwner, BundleSink } from '../delivery/sink.ts';
import { type Finding, RefusedError } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { Publication, Publications } from '../status/publications.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { HandleResult } from '../workqueue/workers.ts';

export interface ReconcileOptions {
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly sink: BundleSink;
  readonly mesh: () => MeshConfig;
  readonly publications: Publications;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with the workload's agent pods after its bundle is known to be published, also when nothing was written. */
  readonly afterApply?: (pods: readonly SlimPod[], digest: string, signal: AbortSignal) => Promise<void>;
  readonly observer?: ReconcileObserver;
  /** How long a bundle waits for the first answer of a new key source, in milliseconds; default 1000. */
  readonly keyHoldMs?: number;
}

export interface ReconcileObserver {
  readonly onCompile: (durationMs: number, bytes: number) => void;
  readonly onPublish: (result: ApplyResult | 'removed' | 'refused') => void;
}

export type Reconcile = (key: string, signal: AbortSignal) => Promise<HandleResult | undefined>;

/** The handler of workload keys. Its errors are those of the sink and of `afterApply`. */
export function createReconcile(options: ReconcileOptions): Reconcile {
  const holds = new Map<string, number>();
  return async (key, signal) => {
    const workload = parseWorkloadKey(key);
    const pods = options.clusterState.agentPodsOf(workload);
    if (isTerminating(options.clusterState, workload.namespace) || pods.length === 0) {
      holds.delete(key);
      await withdraw(options, workload, signal);
      return undefined;
    }
    const rules = rulesOf(options.clusterState.selection.policiesOf(key).values());
    const holdMs = remainingHoldMs(options, { key, namespace: workload.namespace, rules }, holds);
    if (holdMs > 0) return { requeueAfterMs: holdMs };
    await publish(options, { key, workload, pods }, signal);
    return undefined;
  };
}

interface Job {
  readonly key: string;
  readonly workload: WorkloadRef;
  readonly pods: readonly SlimPod[];
}

async function publish(options: ReconcileOptions, job: Job, signal: AbortSignal): Promise<void> {
  const { key, workload, pods } = job;
  const { compiled, encoded } = compile(options, job);
  try {
    const result = await options.sink.apply(encoded, applyContext(workload, pods), signal);
    options.observer?.onPublish(result);
    if (result !== 'unchanged') options.logger.info({ workload: key, digest: encoded.digest, result }, 'bundle published');
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    // The namespace is going: there is nothing to publish to, and nothing to report.
    if (error.code === 'SP_KUBE_NOT_FOUND') return;
    options.observer?.onPublish('refused');
    options.publications.upsert(refusedPublication(key, options.publications.get(key), error));
    throw error;
  }
  options.publications.upsert(publicationOf(key, encoded.digest, compiled));
  // Read anew: a pod that got its volume while the bundle was on its way saw neither this digest nor a word of it.
  await options.afterApply?.(options.clusterState.agentPodsOf(workload), encoded.digest, signal);
}

function compile(options: ReconcileOptions, job: Job): { readonly compiled: CompileResult; readonly encoded: EncodedBundle } {
  const startedMs = options.clock.nowMs();
  const { namespace } = job.workload;
  const { selection } = options.clusterState;
  const compiled = compileWorkload({
    workload: job.workload,
    labelSets: selection.labelSetsOf(job.key),
    policiesFor: (labels) => [...selection.policiesFor(namespace, labels).values()],
    mesh: options.mesh(),
    keySetOf: (rule) => options.jwksCache.keySetOf(rule, namespace),
  });
  const encoded = encodeBundle(compiled.bundle);
  options.observer?.onCompile(options.clock.nowMs() - startedMs, encoded.json.length);
  return { compiled, encoded };
}

async function withdraw(options: ReconcileOptions, workload: WorkloadRef, signal: AbortSignal): Promise<void> {
  const key = workloadKey(workload);
  const existed = await options.sink.remove(workload, signal);
  options.publications.remove(key);
  if (!existed) return;
  options.observer?.onPublish('removed');
  options.logger.info({ workload: key }, 'bundle removed');
}

/**
 * A new key source gets a moment to answer, so that a policy comes into force together with its keys. No longer than that:
 * the other policies of the workload must not wait for a slow issuer.
 */
function remainingHoldMs(
  options: ReconcileOptions,
  wanted: { readonly key: string; readonly namespace: string; readonly rules: readonly JwtRule[] },
  holds: Map<string, number>,
): number {
  const isPending = wanted.rules.some((rule) => options.jwksCache.isPending(rule, wanted.namespace));
  if (!isPending) {
    holds.delete(wanted.key);
    return 0;
  }
  const nowMs = options.clock.nowMs();
  const sinceMs = holds.get(wanted.key) ?? nowMs;
  holds.set(wanted.key, sinceMs);
  return Math.max(0, sinceMs + (options.keyHoldMs ?? 1_000) - nowMs);
}

function rulesOf(policies: Iterable<Policy>): readonly JwtRule[] {
  return [...policies].flatMap((policy) => (policy.kind === 'RequestAuthentication' ? (policy.spec.jwtRules ?? []) : []));
}

function isTerminating(clusterState: ClusterState, namespace: string): boolean {
  return clusterState.namespaces.get(objectKey('', namespace))?.terminating === true;
}

/**
 * The bundle goes with the object that is the workload itself. A ReplicaSet or a CronJob's Job is not: it may go while the
 * workload stays.
 */
function applyContext(workload: WorkloadRef, pods: readonly SlimPod[]): ApplyContext {
  const owners = pods.map(ownerOf);
  const [first] = owners;
  if (first === undefined || first.name !== workload.name || owners.some((owner) => owner?.uid !== first.uid)) return {};
  return { owner: first };
}

function ownerOf(pod: SlimPod): BundleOwner | undefined {
  if (pod.owner !== undefined) return pod.owner.uid === '' || pod.owner.kind === 'Node' ? undefined : pod.owner;
  return pod.uid === undefined ? undefined : { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid };
}

function publicationOf(key: string, digest: string, compiled: CompileResult): Publication {
  const findings = new Map<PolicyKey, Finding[]>();
  for (const { policy, ...finding } of compiled.findings) {
    const of = policyKey(policy.kind, policy.namespace, policy.name);
    findings.set(of, [...(findings.get(of) ?? []), finding]);
  }
  const generations = new Map(compiled.selecting.map((policy) => [policyKeyOf(policy), policy.metadata.generation ?? 0]));
  return { workload: key, digest, generations, findings };
}

function refusedPublication(key: string, before: Publication | undefined, error: RefusedError): Publication {
  return {
    ...(before ?? { workload: key, generations: new Map(), findings: new Map() }),
    refusal: { code: error.code, severity: 'error', path: '', message: error.message },
  };
}
