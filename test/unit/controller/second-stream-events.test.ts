import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { KubeEvent } from '../../../src/cluster/recorder.ts';
import { recordSecondStreams } from '../../../src/controller/second-stream-events.ts';
import { createClusterState } from '../../../src/state/cluster-state.ts';
import { createAgentReports } from '../../../src/status/agent-reports.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { pod } from './pods-and-policies.ts';

describe('events of pods with two agents', () => {
  it('are recorded on the pod when the second one is noticed, and when what they say differs or agrees again', () => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    clusterState.pods.upsert(pod({ name: 'web', uid: 'uid' }));
    const agents = createAgentReports(createFakeClock());
    const events: KubeEvent[] = [];
    const stop = recordSecondStreams(clusterState, agents, { record: (event) => events.push(event) });
    const say = (more: object): void => agents.set('foo/web', { uid: 'uid', revision: 'one', ...more });
    say({});
    say({ second: 'silent' });
    say({ second: 'differs' });
    say({ second: 'differs' });
    say({ second: 'agrees' });
    say({});
    stop();
    say({ second: 'differs' });
    const regarding = { apiVersion: 'v1', kind: 'Pod', namespace: 'foo', name: 'web', uid: 'uid' };
    expect(events.map((event) => [event.regarding, event.reason, event.note])).to.deep.equal([
      [regarding, 'TwoStreams', 'Two agents hold a stream for this pod and enforce different bundles: neither counts for Programmed'],
      [regarding, 'TwoStreams', 'Two agents hold a stream for this pod, and enforce the same bundle'],
    ]);
  });
});
