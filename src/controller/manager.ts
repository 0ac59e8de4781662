/*
 * The controller as a whole: fills the caches of this replica, contends for leadership, runs the leader's work while it
 * leads, and stops everything in the reverse order.
 */
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, type WorkloadRef } from '../api/kube/keys.ts';
import { type LeaseHistory, runWithLease } from '../cluster/lease.ts';
import { createRecorder } from '../cluster/recorder.ts';
import type { Check } from '../ops-server/health.ts';
import { createGauges } from './gauges.ts';
import { createReplica, type Replica, type ReplicaOptions, untilKeysKnown, untilSynced } from './replica.ts';
import { runTerm, type Term, type TermOptions } from './term.ts';

/** Settings of the whole controller. */
export interface ManagerOptions extends ReplicaOptions, Omit<TermOptions, 'recorder'> {
  /** Present: only the holder of this Lease writes. Absent: this process is the only replica. */
  readonly lease?: { readonly namespace: string; readonly name: string; readonly identity: string };
  /** `reportingInstance` of events: the name of the pod. */
  readonly instance: string;
}

/** The controller of one process. */
export interface Manager {
  /** Readiness checks by name: each fails until a cache is filled. */
  readonly checks: Readonly<Record<string, Check>>;
  /** Ports of the pods that a policy would select, from the caches of this replica; undefined: not known. */
  readonly portsFor: (policy: Policy) => ReadonlySet<number> | undefined;
  /** Why a policy would be over its budget, from the caches of this replica; undefined: it would not. */
  readonly whyOverBudget: (policy: Policy) => string | undefined;
  /** Policies of the root namespace that select a pod of `namespace` with these labels, as `namespace/name`. */
  readonly rootPoliciesFor: (namespace: string, labels: Readonly<Record<string, string>>) => readonly string[];
  /** What a new agent of a workload trusts; undefined: the signing keys are not known. */
  readonly trustFor: (workload: WorkloadRef) => { readonly anchor: string; readonly floor: number } | undefined;
  /** True while this replica writes. */
  readonly isLeading: () => boolean;
  /** Runs until `signal` aborts; resolves when the workers have finished, the lease is released and all streams are closed. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A controller; it does nothing before {@link Manager.run}. */
export function createManager(options: ManagerOptions): Manager {
  const { client, logger, metrics, instance } = options;
  const replica = createReplica(options);
  const recorder = createRecorder({ client, controller: 'sallyport.dev/controller', instance, logger });
  let isLeading = false;
  let term: Term | undefined;
  metrics.observe(createGauges({ ...replica, term: () => term }));

  const lead = async (lost: AbortSignal, stopping: AbortSignal): Promise<void> => {
    isLeading = true;
    try {
      const onTerm = (present: Term | undefined): void => {
        term = present;
      };
      await runTerm(replica, { ...options, recorder }, { signals: { lost, stopping }, onTerm });
    } finally {
      isLeading = false;
    }
  };
  return {
    checks: checksOf(replica),
    portsFor: replica.clusterState.selection.portsFor,
    whyOverBudget: replica.clusterState.whyOverBudget,
    rootPoliciesFor: (namespace, labels) =>
      [...replica.clusterState.selection.policiesFor(namespace, labels).values()]
        .filter(({ metadata }) => metadata.namespace === options.mesh.current().rootNamespace)
        .map(({ metadata }) => objectKey(metadata.namespace, metadata.name)),
    trustFor: (workload) => {
      const signer = replica.keyRing.signer();
      return signer === undefined ? undefined : { anchor: signer.anchor, floor: replica.delivery.numberOf(workload) };
    },
    isLeading: () => isLeading,
    run: async (signal) => {
      // The leader's work reads the caches, so they outlive it.
      const ending = new AbortController();
      const background = [replica.run(ending.signal), recorder.run(ending.signal)];
      try {
        await untilSynced(replica.informers, signal);
        // Pods may have been read before the bundles of their workloads.
        replica.trustedPods.compareAgain();
        await untilKeysKnown(replica, signal);
        if (!signal.aborted) await contend(replica, { options, lead }, signal);
      } finally {
        ending.abort();
        await Promise.all(background);
        logger.info({}, 'controller stopped');
      }
    },
  };
}

/** A lease that was not renewed for this long may come from a backup, in milliseconds. */
const RENEW_AFTER_MS = 60_000;

interface Contender {
  readonly options: ManagerOptions;
  /** Runs the work of one term. */
  readonly lead: (lost: AbortSignal, stopping: AbortSignal) => Promise<void>;
}

async function contend({ clusterState, delivery }: Replica, { options, lead }: Contender, signal: AbortSignal): Promise<void> {
  const { client, lease, logger, metrics } = options;
  logger.info({ policies: clusterState.policies.size(), pods: clusterState.pods.size() }, 'caches are filled');
  if (lease === undefined) {
    await lead(signal, signal);
    return;
  }
  const onChange = (leading: boolean, holder: string): void => {
    metrics.onLeader(leading);
    logger.info({ leading, holder }, 'leadership changed');
  };
  const start = (lost: AbortSignal, { awayMs }: LeaseHistory): Promise<void> => {
    // No replica led for a while: the cluster may have been restored from a backup, and agents may know newer bundles than it has.
    if (awayMs > RENEW_AFTER_MS) delivery.renewAll();
    return lead(lost, signal);
  };
  await runWithLease({ client, ...lease, logger, onChange }, start, signal);
}

function checksOf({ informers, keyRing }: Replica): Manager['checks'] {
  const checks = informers.map(({ name, reflector }) => [
    `${name}-synced`,
    () => (reflector.hasSynced() ? undefined : `${name} not listed yet`),
  ]);
  // Missing keys are no reason to stop serving: the webhook then says what to do.
  return {
    ...Object.fromEntries(checks),
    'signing-keys': () => (keyRing.state().kind === 'waiting' ? 'signing keys not read yet' : undefined),
  };
}
