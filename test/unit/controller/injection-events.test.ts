import { expect } from 'chai';
import { objectKey } from '../../../src/api/kube/keys.ts';
import { INJECTION_LABEL } from '../../../src/api/kube/names.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { KubeEvent } from '../../../src/cluster/recorder.ts';
import { InjectionEvents } from '../../../src/controller/injection-events.ts';
import { createClusterState } from '../../../src/state/cluster-state.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { pod } from './pods-and-policies.ts';

describe('events about the injection', () => {
  const injected = (name: string, status: string): ReturnType<typeof pod> => ({
    ...pod({ name }),
    annotations: { 'sallyport.dev/agent': status },
  });

  it('are recorded once for each new pod, and for nothing else', () => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    const events: KubeEvent[] = [];
    const stop = new InjectionEvents(clusterState, createFakeClock(), () => true).begin({ record: (event) => void events.push(event) });
    clusterState.pods.upsert(injected('a', '{"clamped":["x: too much","y: too much"]}'));
    clusterState.pods.upsert({ ...injected('a', '{"clamped":["x: too much"]}'), podIP: '10.0.0.1' });
    clusterState.pods.upsert(injected('w', '{"warnings":["spec: UDP",7]}'));
    for (const [name, status] of Object.entries({ b: '{}', c: '{', d: '{"clamped":7}', e: '{"clamped":[7]}' })) {
      clusterState.pods.upsert(injected(name, status));
    }
    stop();
    clusterState.pods.upsert(injected('f', '{"clamped":["x: too much"]}'));
    expect(events.map(({ regarding, type, reason, note }) => [regarding.name, type, reason, note])).to.deep.equal([
      ['a', 'Warning', 'AnnotationClamped', 'x: too much'],
      ['a', 'Warning', 'AnnotationClamped', 'y: too much'],
      ['w', 'Warning', 'InjectionWarning', 'spec: UDP'],
    ]);
  });

  it('are recorded for a pod that was to have an agent and cannot', () => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    const events: KubeEvent[] = [];
    const stop = new InjectionEvents(clusterState, createFakeClock(), () => true).begin({ record: (event) => void events.push(event) });
    const enabled = { [INJECTION_LABEL]: 'enabled' };
    clusterState.namespaces.upsert({ name: 'foo', labels: enabled, terminating: false });
    clusterState.namespaces.upsert({ name: 'bare', labels: {}, terminating: false });
    const onHost = (name: string, namespace: string, labels = {}): SlimPod => ({
      ...pod({ name, namespace }),
      labels,
      obstacle: 'host-network',
    });
    clusterState.pods.upsert(onHost('a', 'foo'));
    clusterState.pods.upsert(onHost('b', 'bare'));
    clusterState.pods.upsert(onHost('c', 'foo', { [INJECTION_LABEL]: 'disabled' }));
    clusterState.pods.upsert({ ...onHost('d', 'foo'), obstacle: 'static-pod' });
    clusterState.pods.upsert({ ...onHost('e', 'foo'), obstacle: 'windows' });
    stop();

    expect(events.map(({ regarding, reason, note }) => [regarding.name, reason, note.split(':')[0]])).to.deep.equal([
      ['a', 'NotInjected', 'spec.hostNetwork'],
      ['e', 'NotInjected', 'spec.os.name'],
    ]);
  });

  it('are recorded by the next leader for pods of the last half minute, and not for those that it found at its start', () => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    const clock = createFakeClock();
    const events: KubeEvent[] = [];
    let isSynced = false;
    const injection = new InjectionEvents(clusterState, clock, () => isSynced);
    const appear = (name: string): void => clusterState.pods.upsert(injected(name, '{"warnings":["UDP"]}'));
    appear('found');
    isSynced = true;
    for (let at = 0; at < 300; at += 1) appear(`early-${at}`);
    clock.advance(30_001);
    for (let at = 0; at < 300; at += 1) appear(`late-${at}`);
    const recorder = { record: (event: KubeEvent): void => void events.push(event) };
    const stop = injection.begin(recorder);
    expect(events.map(({ regarding }) => regarding.name)).to.deep.equal(Array.from({ length: 256 }, (_, at) => `late-${at + 44}`));
    stop();
    appear('deleted');
    clusterState.pods.remove(objectKey('foo', 'deleted'));
    appear('between');
    injection.begin(recorder);
    expect(events.slice(256).map(({ regarding }) => regarding.name)).to.deep.equal(['between']);
  });
});
