/*
 * Records events on each new pod whose annotations asked for more than the operator allows, whose injection warned of something, or which cannot have an agent: the
 * answer of the webhook reaches only the client that creates the pod, which usually is a controller. Injection wrote both down, because a pod has no name yet
 * when it is admitted.
 */
import type { InjectionStatus } from '../api/kube/agent-contract.ts';
import { objectKey } from '../api/kube/keys.ts';
import { AGENT_ANNOTATION, INJECTION_LABEL } from '../api/kube/names.ts';
import { OBSTACLES } from '../api/kube/pod-traits.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { Recorder } from '../cluster/recorder.ts';
import type { ClusterState } from '../state/cluster-state.ts';

/** Records events for pods that appear from now on. @returns a function that ends this */
export function recordInjectionEvents(
  clusterState: Pick<ClusterState, 'namespaces' | 'pods'>,
  recorder: Pick<Recorder, 'record'>,
): () => void {
  return clusterState.pods.subscribe(({ before, after: pod }) => {
    if (before !== undefined || pod === undefined) return;
    const missing = missingAgentOf(pod, clusterState.namespaces.get(objectKey('', pod.namespace))?.labels);
    for (const { reason, note } of [...missing, ...notesOf(pod)]) {
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

/** A note on a pod that was to have an agent and cannot. @param labels of its namespace; undefined: not known */
function missingAgentOf(pod: SlimPod, labels: Readonly<Record<string, string>> | undefined): readonly Note[] {
  const { obstacle } = pod;
  if (obstacle === undefined || obstacle === 'static-pod') return [];
  if (labels?.[INJECTION_LABEL] !== 'enabled' || pod.labels[INJECTION_LABEL] === 'disabled') return [];
  const { path, reason } = OBSTACLES[obstacle];
  return [{ reason: 'NotInjected', note: `${path}: no agent was injected: ${reason}` }];
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
