/*
 * Pods on their way from the informer into the cluster state: an agent that would not take our bundles does not count as an agent.
 * The pod itself says what its agent trusts, and which keys are ours may become known, or change, after the pod was read.
 */
import { AGENT_CONTAINER, AGENT_ENV } from '../api/kube/agent-contract.ts';
import type { WorkloadRef } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { Signer } from '../bundle/signer.ts';
import type { ReflectorSink } from '../cluster/reflector.ts';
import { faultOfAnchor } from '../keys/agent-trust.ts';
import type { StoreInput } from '../state/store.ts';

/** What agents are compared with. */
export interface TrustedPodsOptions {
  readonly pods: StoreInput<SlimPod>;
  /** Undefined: the keys are not known, so that every anchor passes, or those known last decide. */
  readonly signer: () => Signer | undefined;
  /** Number of the published bundle of a workload; 0: none. */
  readonly numberOf: (workload: WorkloadRef) => number;
  readonly wallMs: () => number;
}

/** The way of pods into the cluster state. */
export interface TrustedPods {
  readonly sink: ReflectorSink<SlimPod>;
  /** To be called when other keys, or more bundles, are known: compares every agent again. */
  readonly compareAgain: () => void;
}

/** A floor this far above the clock, in milliseconds, is not that of an injection. */
const MAX_FLOOR_AHEAD_MS = 60 * 60_000;

/** A way that has let no pod through. */
export function createTrustedPods(options: TrustedPodsOptions): TrustedPods {
  const { pods } = options;
  /** As the informer reported them; only those whose agents trust something. */
  const reported = new Map<string, { readonly pod: SlimPod; fault: string | undefined }>();
  let known: Signer | undefined;
  const find = (pod: SlimPod): string | undefined => {
    known = options.signer() ?? known;
    return faultOf(pod, known, options);
  };
  const compare = (key: string, pod: SlimPod): SlimPod => {
    const fault = find(pod);
    if (pod.trust === undefined) reported.delete(key);
    else reported.set(key, { pod, fault });
    return withFault(pod, fault);
  };
  return {
    sink: {
      replace: (objects) => {
        reported.clear();
        pods.replace([...objects].map(([key, pod]) => compare(key, pod)));
      },
      upsert: (key, pod) => pods.upsert(compare(key, pod)),
      remove: (key) => {
        reported.delete(key);
        pods.remove(key);
      },
    },
    compareAgain: () => {
      for (const entry of reported.values()) {
        const fault = find(entry.pod);
        if (fault === entry.fault) continue;
        entry.fault = fault;
        pods.upsert(withFault(entry.pod, fault));
      }
    },
  };
}

function withFault(pod: SlimPod, fault: string | undefined): SlimPod {
  if (fault === undefined) return pod;
  const { agent: _agent, trust: _trust, privileges: _privileges, ...rest } = pod;
  return { ...rest, agentFault: `container ${AGENT_CONTAINER}: ${fault}` };
}

function faultOf(
  pod: SlimPod,
  signer: Signer | undefined,
  { numberOf, wallMs }: Pick<TrustedPodsOptions, 'numberOf' | 'wallMs'>,
): string | undefined {
  if (pod.trust === undefined) return undefined;
  const { anchor, floor } = pod.trust;
  const anchorFault = signer === undefined ? undefined : faultOfAnchor(anchor, signer);
  if (anchorFault !== undefined) return `env ${AGENT_ENV.trustAnchor} ${anchorFault}; replace the pod`;
  // Numbers stay above the clock when it was set back: the bundle that was published then says so.
  if (floor <= Math.max(wallMs(), numberOf(workloadOf(pod))) + MAX_FLOOR_AHEAD_MS) return undefined;
  return `env ${AGENT_ENV.bundleFloor} is above the number of any bundle, so that the agent refuses all; replace the pod`;
}
