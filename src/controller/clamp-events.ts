/*
 * Records events on each new pod whose annotations asked for more than the operator allows, or whose injection warned of something: the
 * answer of the webhook reaches only the client that creates the pod, which usually is a controller. Injection wrote both down, because a pod has no name yet
 * when it is admitted.
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
    for (const { reason, note } of notesOf(pod)) {
      const { namespace, name, uid } = pod;
      recorder.record({
        regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid === undefined ? {} : { uid }) },
        type: 'Warning',
        reason,
        action: 'Inject',
        note,
      });
    }
  });
}

interface Note {
  readonly reason: string;
  readonly note: string;
}

function notesOf(pod: SlimPod): readonly Note[] {
  try {
    const { clamped, warnings } = JSON.parse(pod.annotations[AGENT_ANNOTATION] ?? '{}') as Partial<InjectionStatus>;
    return [
      ...textsOf(clamped).map((note) => ({ reason: 'AnnotationClamped', note })),
      ...textsOf(warnings).map((note) => ({ reason: 'InjectionWarning', note })),
    ];
  } catch {
    // Not written by injection.
    return [];
  }
}

function textsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((note) => typeof note === 'string').slice(0, 20) : [];
}
