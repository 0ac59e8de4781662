/*
 * Patches a pod annotation so that the kubelet refreshes the mounted bundle immediately, instead of at its next sync about a
 * minute later. Used after a bundle was written, and when a pod got its volume after that.
 */
import { BUNDLE_TOUCH_ANNOTATION, FIELD_MANAGER } from '../api/kube/names.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent } from '../api/kube/workload.ts';
import type { KubeClient } from '../cluster/client.ts';
import { patchAnnotations } from '../cluster/objects.ts';
import { PODS } from '../cluster/paths.ts';
import type { Revision } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Makes kubelets refresh mounted bundles. */
export interface KubeletResync {
  /** True when the pod's mounted bundle may be older than `revision` and a patched annotation helps. */
  readonly isNeeded: (pod: SlimPod, revision: Revision) => boolean;
  /**
   * Patches those of `pods` that need it, a few at a time.
   *
   * @returns after every pod was tried @throws the first error, usually a TransientError, when the annotation of any pod could not be patched
   */
  readonly run: (pods: readonly SlimPod[], revision: Revision, signal: AbortSignal) => Promise<void>;
}

/** Parts and settings of a kubelet resync. */
export interface KubeletResyncOptions {
  readonly client: KubeClient;
  /** Pods patched at the same time; default 8. */
  readonly batchSize?: number;
  readonly logger: Logger;
  readonly onPatch?: (result: 'patched' | 'gone' | 'failed') => void;
}

/** A kubelet resync for the cluster that `client` talks to. */
export function createKubeletResync(options: KubeletResyncOptions): KubeletResync {
  return {
    isNeeded,
    run: async (pods, revision, signal) => {
      const waiting = pods.filter((pod) => isNeeded(pod, revision));
      const failures: unknown[] = [];
      const patchNext = async (): Promise<void> => {
        for (let pod = waiting.shift(); pod !== undefined && !signal.aborted; pod = waiting.shift()) {
          try {
            const isFound = await patchPod(options.client, { pod, revision }, signal);
            options.onPatch?.(isFound ? 'patched' : 'gone');
          } catch (error) {
            if (signal.aborted) return;
            failures.push(error);
            options.onPatch?.('failed');
            const { namespace, name } = pod;
            options.logger.warn({ namespace, name, err: error }, 'pod annotation not patched; the kubelet refreshes the volume later');
          }
        }
      };
      await Promise.all(Array.from({ length: Math.min(options.batchSize ?? 8, waiting.length) }, patchNext));
      if (failures.length > 0) throw failures[0];
    },
  };
}

/**
 * A pod without an address has no volume yet and mounts the newest bundle later; a pod that carries the revision was
 * patched before.
 */
function isNeeded(pod: SlimPod, revision: Revision): boolean {
  return (
    hasAgent(pod) &&
    !isFinished(pod) &&
    pod.deletionTimestamp === undefined &&
    pod.podIP !== undefined &&
    !isCovered(pod.annotations[BUNDLE_TOUCH_ANNOTATION] ?? '', revision)
  );
}

/** A repaired copy has the revision, `#` and a number; a pod that got that has got the revision, too. */
function isCovered(annotation: string, revision: Revision): boolean {
  return annotation === revision || (!revision.includes('#') && annotation.startsWith(`${revision}#`));
}

function patchPod(
  client: KubeClient,
  { pod, revision }: { readonly pod: SlimPod; readonly revision: Revision },
  signal: AbortSignal,
): Promise<boolean> {
  const ref = { resource: PODS, namespace: pod.namespace, name: pod.name };
  return patchAnnotations(client, ref, { [BUNDLE_TOUCH_ANNOTATION]: revision }, { fieldManager: FIELD_MANAGER, signal });
}
