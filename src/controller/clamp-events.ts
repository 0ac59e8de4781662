/*
 * Records an event on each new pod whose annotations asked for more than the operator allows. Injection wrote down what it
 * clamped, because a pod has no name yet when it is admitted.
 */
import type { InjectionStatus } from '../api/kube/agent-contract.ts';
import { AGENT_ANNOTATION } from '../api/kube/names.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { Recorder } from '../cluster/recorder.ts';
import type { ClusterState } from '../state/cluster-state.ts';

/** Records events for pods that appear from now on. @returns a function that ends this */
export function recordClamps(clusterState: Pick<ClusterState, 'pods'>, recorder: Pick<Recorder, 'record'>): () => void {
  return clusterState.pods.subscribe(({ before, after: pod }) => {
    if (before !== undefined || pod === undefined) return;
    for (const note of clampsOf(pod)) {
      const { namespace, name, uid } = pod;
      recorder.record({
        regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid === undefined ? {} : { uid }) },
        type: 'Warning',
        reason: 'AnnotationClamped',
        action: 'Inject',
        note,
      });
    }
  });
}

function clampsOf(pod: SlimPod): readonly string[] {
  try {
    const { clamped } = JSON.parse(pod.annotations[AGENT_ANNOTATION] ?? '{}') as Partial<InjectionStatus>;
    return Array.isArray(clamped) ? clamped.filter((note) => typeof note === 'string').slice(0, 20) : [];
  } catch {
    // Not written by injection.
    return [];
  }
}
