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

/** Makes kubelets refresh mounted bundles. */
export interface KubeletResync {
  /** True when the pod's mounted bundle may be older than `revision` and a patched annotation helps. */
  readonly isNeeded: (pod: SlimPod, revision: Revision) => boolean;
  /** Patches a pod; one that does not exist any more is left alone. @throws TransientError, RefusedError as the `cluster` package does */
  readonly patch: (pod: SlimPod, revision: Revision, signal: AbortSignal) => Promise<void>;
}

/** Parts of a kubelet resync. */
export interface KubeletResyncOptions {
  readonly client: KubeClient;
  readonly onPatch?: (result: 'patched' | 'gone' | 'failed') => void;
}

/** A kubelet resync for the cluster that `client` talks to. */
export function createKubeletResync({ client, onPatch }: KubeletResyncOptions): KubeletResync {
  return {
    isNeeded,
    patch: async (pod, revision, signal) => {
      const ref = { resource: PODS, namespace: pod.namespace, name: pod.name };
      try {
        const isFound = await patchAnnotations(
          client,
          ref,
          { [BUNDLE_TOUCH_ANNOTATION]: revision },
          { fieldManager: FIELD_MANAGER, signal },
        );
        onPatch?.(isFound ? 'patched' : 'gone');
      } catch (error) {
        if (!signal.aborted) onPatch?.('failed');
        throw error;
      }
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
