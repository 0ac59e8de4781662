/*
 * Brings the published bundle of one workload up to date: compiles it from the present cluster state, publishes or withdraws
 * it, and records the outcome in the workload ledger. Knows no delivery but by its interface.
 */
import type { JwtRule, Policy } from '../api/istio/resources.ts';
import {
  objectKey,
  type PolicyKey,
  parseWorkloadKey,
  policyKey,
  policyKeyOf,
  type WorkloadKey,
  type WorkloadRef,
} from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { Clock } from '../clock.ts';
import { basisOf } from '../compile/bundle-basis.ts';
import { compileLegacy, compileToFitApart, type FittedBundle } from '../compile/compile-to-fit.ts';
import type { CompileInput, CompileResult } from '../compile/compile-workload.ts';
import type { BundleOwner, Delivery, LegacyBundle, PublishOptions, PublishResult } from '../delivery/delivery.ts';
import { type Finding, RefusedError } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { DesiredBundle, DesiredLedger, Revision } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Tracer, traced } from '../traces/tracer.ts';
import type { Priority } from '../workqueue/fair-keys.ts';
import type { HandleResult } from '../workqueue/workers.ts';
import type { BundleWrite } from './bundle-writes.ts';

/** Parts and settings of the reconciliation of workloads. */
export interface ReconcileOptions {
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly delivery: Delivery;
  readonly ledger: DesiredLedger;
  readonly mesh: () => MeshConfig;
  /** Bundles stay with the user who owns all policies, see `CompileInput.isLocal`. Absent: false. */
  readonly isLocal?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with the workload's agent pods once its bundle is published, also when nothing was written. */
  readonly afterPublish?: (key: WorkloadKey, pods: readonly SlimPod[], priority?: Priority) => void;
  /** Called before a bundle of the namespace is published. @throws TransientError */
  readonly beforePublish?: (namespace: string, signal: AbortSignal) => Promise<void>;
  /** Absent: no spans. */
  readonly tracer?: Tracer | undefined;
  /** Makes a bundle available to agents before it is written, and writes it later; absent: nothing but writing brings bundles to agents. */
  readonly ahead?: {
    readonly announce: (bundle: EncodedBundle, options: PublishOptions) => void;
    /** See {@link BundleWrites.take} */
    readonly take: (key: WorkloadKey, write: BundleWrite) => boolean;
  };
  readonly observer?: ReconcileObserver;
  /** Longest time that a bundle waits for the first response of a new key source, in milliseconds; default 1000. */
  readonly keyHoldMs?: number;
}

/** Receives measurements of reconciliations. */
export interface ReconcileObserver {
  readonly onCompile: (durationMs: number, bytes: number) => void;
  readonly onPublish: (outcome: PublishOutcome, workload: WorkloadKey) => void;
}

/** What reconciling did to the published bundle. */
export type PublishOutcome = PublishResult | 'removed' | 'refused';

/** @throws what the delivery throws */
export type Reconcile = (key: WorkloadKey, signal: AbortSignal) => Promise<HandleResult | undefined>;

/** Nothing to publish: no revision, hence no policies either. */
const NO_BUNDLE: DesiredBundle = { policies: new Map(), findings: new Map() };

/** The handler of workload keys. */
export function createReconcile(options: ReconcileOptions): Reconcile {
  return async (key, signal) => {
    const { namespace, kind, name } = parseWorkloadKey(key);
    const attributes = { 'k8s.namespace.name': namespace, 'sallyport.workload': `${kind}/${name}` };
    return traced(options.tracer, { name: 'reconcile', attributes }, () => reconcile(options, key, signal));
  };
}

async function reconcile(options: ReconcileOptions, key: WorkloadKey, signal: AbortSignal): Promise<HandleResult | undefined> {
  const workload = parseWorkloadKey(key);
  if (workload.kind === '' && hasOldAgents(options.clusterState, workload)) return undefined;
  const pods = options.clusterState.agentPodsOf(workload);
  if (isTerminating(options.clusterState, workload.namespace) || pods.length === 0) {
    await write(options, { key, bytes: 0, run: (workSignal) => withdraw(options, workload, { key, signal: workSignal }) }, signal);
    return undefined;
  }
  const holdMs = remainingHoldMs(options, key);
  if (holdMs > 0) return { requeueAfterMs: holdMs };
  await publish(options, { key, workload, pods }, signal);
  return undefined;
}

/** A ConfigMap of the version before names no kind; it stays until that of its workload has replaced it, or no pod reads it. */
function hasOldAgents({ pods }: ClusterState, { namespace, name }: WorkloadRef): boolean {
  return [...pods.values()].some((pod) => pod.agent?.level === 1 && pod.namespace === namespace && workloadOf(pod).name === name);
}

interface Job {
  readonly key: WorkloadKey;
  readonly workload: WorkloadRef;
  readonly pods: readonly SlimPod[];
}

async function publish(options: ReconcileOptions, job: Job, signal: AbortSignal): Promise<void> {
  const { key, workload, pods } = job;
  const owner = ownerOf(workload, pods);
  const { encoded, legacy, policies } = await traced(options.tracer, { name: 'compile', attributes: {} }, async (set) => {
    const compiled = await compile(options, job, owner);
    set('sallyport.bundle_bytes', compiled.encoded.json.length);
    return compiled;
  });
  await options.beforePublish?.(workload.namespace, signal);
  const publishOptions: PublishOptions = {
    policies,
    ...(owner === undefined ? {} : { owner }),
    ...(legacy === undefined ? {} : { legacy }),
  };
  options.ahead?.announce(encoded, publishOptions);
  const bytes = encoded.json.length + (legacy?.json.length ?? 0);
  const run: BundleWrite['run'] = (workSignal, priority) => deliver(options, { key, encoded, publishOptions, priority }, workSignal);
  await write(options, { key, bytes, run }, signal);
}

/** Writes now, or leaves it to a queue. */
async function write({ ahead }: ReconcileOptions, job: BundleWrite & { readonly key: WorkloadKey }, signal: AbortSignal): Promise<void> {
  if (ahead?.take(job.key, job) !== true) await job.run(signal);
}

interface Delivered {
  readonly key: WorkloadKey;
  readonly encoded: EncodedBundle;
  readonly publishOptions: PublishOptions;
  readonly priority: Priority | undefined;
}

async function deliver(options: ReconcileOptions, job: Delivered, signal: AbortSignal): Promise<void> {
  const { key, encoded, publishOptions, priority } = job;
  const { ledger, delivery } = options;
  let legacyFault: { readonly error: unknown } | undefined;
  const onLegacyFailed = (error: unknown): void => {
    legacyFault = { error };
  };
  try {
    const description = { name: 'publish', attributes: { 'sallyport.bundle_digest': encoded.digest } };
    const result = await traced(options.tracer, description, async (set) => {
      const published = await delivery.publish(encoded, { ...publishOptions, onLegacyFailed }, signal);
      set('sallyport.result', published);
      return published;
    });
    options.observer?.onPublish(result, key);
    if (result !== 'unchanged') options.logger.info({ workload: key, digest: encoded.digest, result }, 'bundle published');
  } catch (error) {
    if (isRefused(options, key, error)) throw error;
    return;
  }
  ledger.accept(key);
  // Read again: a pod may have mounted the older bundle while this one was being written.
  options.afterPublish?.(key, options.clusterState.agentPodsOf(encoded.workload), priority);
  // All other agents have the bundle by now.
  const fault = legacyFault as { readonly error: unknown } | undefined;
  if (fault !== undefined && isRefused(options, key, fault.error)) throw fault.error;
}

/** Records that publishing failed for good. @returns false: there is nothing to report, because the namespace is being deleted */
function isRefused({ ledger, observer }: ReconcileOptions, key: WorkloadKey, error: unknown): boolean {
  if (!(error instanceof RefusedError)) return true;
  if (error.code === 'SP_KUBE_NOT_FOUND') return false;
  observer?.onPublish('refused', key);
  ledger.refuse(key, { code: error.code, severity: 'error', path: '', message: error.sentence ?? error.message });
  return true;
}

/** What is published for a workload. */
interface Compiled extends Pick<FittedBundle, 'encoded'>, Pick<DesiredBundle, 'policies'> {
  /** Absent: all agents are of this version. */
  readonly legacy?: LegacyBundle;
}

/** Compiles a workload and records the outcome as desired, before anything is written. */
async function compile(options: ReconcileOptions, job: Job, owner: BundleOwner | undefined): Promise<Compiled> {
  const startedMs = options.clock.nowMs();
  const { namespace } = job.workload;
  const { selection } = options.clusterState;
  try {
    const labelSets = selection.selectableSetsOf(job.key);
    // Those of the whole workload are known already.
    const policiesFor = (labels: Labels): ReadonlyMap<PolicyKey, Policy> =>
      labelSets.length === 1 ? selection.policiesOf(job.key) : selection.policiesFor(namespace, labels);
    const input: CompileInput = {
      workload: job.workload,
      labelSets,
      policiesFor: (labels) => [...policiesFor(labels).values()],
      mesh: options.mesh(),
      isLocal: options.isLocal ?? false,
      keySetOf: (rule, policy) => options.jwksCache.keySetOf(rule, { policy, bundle: namespace }),
    };
    const compiled = await compileToFitApart(input);
    const { encoded } = compiled;
    const { legacy, findings = [] } = job.pods.some(({ agent }) => agent?.level === 1) ? compileLegacy(input, compiled) : {};
    options.observer?.onCompile(options.clock.nowMs() - startedMs, encoded.json.length);
    const desired = {
      ...desiredBundle(encoded.digest, { ...compiled, findings: [...compiled.findings, ...findings] }, owner),
      // Only agents with a stream say which bundle they enforce.
      ...(options.ahead === undefined ? {} : { basis: basisOf(compiled, input.mesh) }),
    };
    options.ledger.desire(job.key, desired);
    return { encoded, policies: desired.policies, ...(legacy === undefined ? {} : { legacy }) };
  } catch (error) {
    options.ledger.desire(job.key, NO_BUNDLE);
    throw error;
  }
}

async function withdraw(
  { ledger, delivery, observer, logger }: ReconcileOptions,
  workload: WorkloadRef,
  { key, signal }: { readonly key: WorkloadKey; readonly signal: AbortSignal },
): Promise<void> {
  ledger.desire(key, NO_BUNDLE);
  const existed = await delivery.withdraw(workload, signal);
  ledger.release(key);
  if (!existed) return;
  observer?.onPublish('removed', key);
  logger.info({ workload: key }, 'bundle removed');
}

/**
 * How long the bundle still has to wait for a new key source, so that a policy becomes active together with its keys. The
 * wait is bounded: the other policies of the workload must not depend on a slow issuer.
 */
function remainingHoldMs(options: ReconcileOptions, key: WorkloadKey): number {
  const { namespace } = parseWorkloadKey(key);
  const policies = options.clusterState.selection.policiesOf(key).values();
  const isPending = (policy: Policy): boolean =>
    rulesOf(policy).some((rule) => options.jwksCache.isPending(rule, { policy: policy.metadata.namespace, bundle: namespace }));
  if (![...policies].some(isPending)) {
    options.ledger.endHold(key);
    return 0;
  }
  const nowMs = options.clock.nowMs();
  return Math.max(0, options.ledger.hold(key, nowMs) + (options.keyHoldMs ?? 1_000) - nowMs);
}

function rulesOf(policy: Policy): readonly JwtRule[] {
  return policy.kind === 'RequestAuthentication' ? (policy.spec.jwtRules ?? []) : [];
}

function isTerminating(clusterState: ClusterState, namespace: string): boolean {
  return clusterState.namespaces.get(objectKey('', namespace))?.terminating === true;
}

/**
 * The owner of the published bundle: a pod that is the whole workload. The informer has seen that it exists with this UID and is
 * not being deleted. The reference in a pod to its own controller proves neither, since the creator of a pod writes it; with a
 * reference to an object that does not exist, Kubernetes would delete every copy that is published.
 */
function ownerOf(workload: WorkloadRef, pods: readonly SlimPod[]): BundleOwner | undefined {
  const [pod, ...others] = pods;
  if (pod?.uid === undefined || others.length > 0 || pod.name !== workload.name) return undefined;
  if (pod.owner !== undefined || pod.deletionTimestamp !== undefined) return undefined;
  return { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid };
}

function uidOf(policy: Policy): readonly (readonly [PolicyKey, string])[] {
  const { uid } = policy.metadata;
  return uid === undefined ? [] : [[policyKeyOf(policy), uid]];
}

function desiredBundle(revision: Revision, compiled: CompileResult, owner: BundleOwner | undefined): DesiredBundle {
  const findings = new Map<PolicyKey, Finding[]>();
  for (const { policy, ...finding } of compiled.findings) {
    const key = policyKey(policy.kind, policy.namespace, policy.name);
    const known = findings.get(key);
    if (known === undefined) findings.set(key, [finding]);
    else known.push(finding);
  }
  const policies = new Map(compiled.selecting.map((policy) => [policyKeyOf(policy), policy.metadata.generation ?? 0]));
  const uids = new Map(compiled.selecting.flatMap((policy) => uidOf(policy)));
  return { revision, policies, uids, findings, ...(owner === undefined ? {} : { ownerUid: owner.uid }) };
}
