/*
 * Records an event on each pod in which two agents hold a stream of the feed: the policies name it, and the pod says why.
 */
import type { Recorder } from '../cluster/recorder.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { AgentReportsView, AgentState } from '../status/agent-reports.ts';

const NOTES: Readonly<Partial<Record<NonNullable<AgentState['second']>, string>>> = {
  agrees: 'Two agents hold a stream for this pod, and enforce the same bundle',
  differs: 'Two agents hold a stream for this pod and enforce different bundles: neither counts for Programmed',
};

/** Records events from now on. @returns a function that ends this */
export function recordSecondStreams(
  { pods }: Pick<ClusterState, 'pods'>,
  agents: Pick<AgentReportsView, 'get' | 'subscribe'>,
  recorder: Pick<Recorder, 'record'>,
): () => void {
  return agents.subscribe((key) => {
    const note = key === undefined ? undefined : NOTES[agents.get(key)?.second ?? 'silent'];
    const pod = key === undefined ? undefined : pods.get(key);
    if (note === undefined || pod === undefined) return;
    const { namespace, name, uid } = pod;
    recorder.record({
      regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, ...(uid === undefined ? {} : { uid }) },
      type: 'Warning',
      reason: 'TwoStreams',
      action: 'Report',
      note,
    });
  });
}
