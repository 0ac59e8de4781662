/*
 * Records events on each new pod whose annotations asked for more than the operator allows, whose injection warned of something, or which cannot have an agent: the
 * answer of the webhook reaches only the client that creates the pod, which usually is a controller. Injection wrote both down, because a pod has no name yet
 * when it is admitted.
 */
import type { InjectionStatus } from '../api/kube/agent-contract.ts';
import { type ObjectKey, objectKey } from '../api/kube/keys.ts';
import { AGENT_ANNOTATION, INJECTION_LABEL } from '../api/kube/names.ts';
import { OBSTACLES } from '../api/kube/pod-traits.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { Clock } from '../clock.ts';
import type { KubeEvent, Recorder } from '../cluster/recorder.ts';
import type { ClusterState } from '../state/cluster-state.ts';

/** Longer than it takes until another replica leads, in milliseconds. */
const REMEMBERED_MS = 30_000;
const MAX_REMEMBERED = 256;

/** The events of one replica, which records them while it leads. */
export class InjectionEvents {
  readonly #clusterState: Pick<ClusterState, 'namespaces' | 'pods'>;
  readonly #clock: Clock;
  /** Pods that appeared a moment ago, while this replica did not lead, and have events. */
  #remembered: { readonly atMs: number; readonly pod: ObjectKey }[] = [];
  #recorder: Pick<Recorder, 'record'> | undefined;

  /** @param isSynced whether pods that appear are new */
  constructor(clusterState: Pick<ClusterState, 'namespaces' | 'pods'>, clock: Clock, isSynced: () => boolean) {
    this.#clusterState = clusterState;
    this.#clock = clock;
    clusterState.pods.subscribe(({ before, after }) => {
      if (before === undefined && after !== undefined && isSynced()) this.#onNewPod(after);
    });
  }

  /** Records those of pods that appear from now on, and of those that appeared when no replica may have led. @returns a function that ends this */
  begin(recorder: Pick<Recorder, 'record'>): () => void {
    const sinceMs = this.#clock.nowMs() - REMEMBERED_MS;
    const pods = this.#remembered.flatMap(({ atMs, pod }) => (atMs >= sinceMs ? (this.#clusterState.pods.get(pod) ?? []) : []));
    this.#remembered = [];
    this.#recorder = recorder;
    for (const pod of pods) for (const event of this.#eventsOf(pod)) recorder.record(event);
    return () => {
      this.#recorder = undefined;
    };
  }

  #onNewPod(pod: SlimPod): void {
    const events = this.#eventsOf(pod);
    if (events.length === 0) return;
    if (this.#recorder !== undefined) for (const event of events) this.#recorder.record(event);
    // Not the events: their texts are as long as a tenant makes them.
    else
      this.#remembered = [...this.#remembered, { atMs: this.#clock.nowMs(), pod: objectKey(pod.namespace, pod.name) }].slice(
        -MAX_REMEMBERED,
      );
  }

  #eventsOf(pod: SlimPod): readonly KubeEvent[] {
    const missing = missingAgentOf(pod, this.#clusterState.namespaces.get(objectKey('', pod.namespace))?.labels);
    return [...missing, ...notesOf(pod)].map((note) => eventOf(pod, note));
  }
}

function eventOf({ namespace, name, uid }: SlimPod, { reason, note }: Note): KubeEvent {
  return {
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid === undefined ? {} : { uid }) },
    type: 'Warning',
    reason,
    action: 'Inject',
    note,
  };
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
