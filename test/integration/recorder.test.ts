/* Events on a real API server: creation and series. */
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { deleteObject } from '../../src/cluster/objects.ts';
import { CONFIG_MAPS, collectionPath, EVENTS } from '../../src/cluster/paths.ts';
import { createRecorder, type EventTarget, type Recorder } from '../../src/cluster/recorder.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { until } from '../support/fake-clock.ts';

describe('recorder on a real API server', function () {
  let controlPlane: ControlPlane;
  let client: KubeClient;
  let recorder: Recorder;
  let regarding: EventTarget;
  let running: Promise<void>;
  const stop = new AbortController();

  before(async () => {
    controlPlane = await startControlPlane();
    client = createKubeClient({ kubeconfig: controlPlane.kubeconfigPath, version: 'test', qps: 1_000, burst: 1_000 });
    const { json } = await client.request({
      method: 'POST',
      path: collectionPath(CONFIG_MAPS, 'default'),
      body: { metadata: { name: 'subject' } },
    });
    const { uid } = (json as RawObject).metadata ?? {};
    regarding = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'subject', ...(uid === undefined ? {} : { uid }) };
    const logger = createLogger({ level: 'silent', component: 'test' });
    recorder = createRecorder({ client, controller: 'sallyport.dev/controller', instance: 'test-0', logger });
    running = recorder.run(stop.signal);
  });

  after(async () => {
    stop.abort();
    await running;
    await client.close();
    await controlPlane.stop();
  });

  const eventsOf = async (reason: string): Promise<RawObject[]> => {
    const query = { fieldSelector: `reason=${reason}` };
    const { json } = await client.request({ method: 'GET', path: collectionPath(EVENTS, 'default'), query });
    return (json as { items: RawObject[] }).items;
  };
  const countOf = (event: RawObject | undefined): unknown => (event?.['series'] as { count?: unknown } | undefined)?.count;

  it('creates a valid event', async () => {
    recorder.record({ regarding, type: 'Warning', reason: 'InvalidPolicy', action: 'Compile', note: 'spec.rules[0]: no' });
    await until(async () => (await eventsOf('InvalidPolicy')).length === 1, 'the event');

    const [event] = await eventsOf('InvalidPolicy');
    expect(event).to.deep.include({
      type: 'Warning',
      reason: 'InvalidPolicy',
      action: 'Compile',
      note: 'spec.rules[0]: no',
      reportingController: 'sallyport.dev/controller',
      reportingInstance: 'test-0',
      regarding,
    });
  });

  it('counts repeats in one event', async () => {
    const event = { regarding, type: 'Warning', reason: 'Repeats', action: 'Compile', note: 'again' } as const;
    recorder.record(event);
    await until(async () => (await eventsOf('Repeats')).length === 1, 'the event');
    for (let repeat = 0; repeat < 4; repeat += 1) recorder.record(event);
    await until(async () => countOf((await eventsOf('Repeats'))[0]) === 5, 'the count');

    expect(await eventsOf('Repeats')).to.have.length(1);
  });

  it('creates a new event when the old one was deleted', async () => {
    const event = { regarding, type: 'Normal', reason: 'Vanishes', action: 'Publish', note: 'here' } as const;
    recorder.record(event);
    await until(async () => (await eventsOf('Vanishes')).length === 1, 'the event');
    const [stored] = await eventsOf('Vanishes');
    await deleteObject(client, { resource: EVENTS, namespace: 'default', name: String(stored?.metadata?.name) });
    recorder.record(event);
    await until(async () => countOf((await eventsOf('Vanishes'))[0]) === 2, 'the new event');
  });

  it('does not fail for events in a missing namespace', async () => {
    recorder.record({
      regarding: { ...regarding, namespace: 'missing' },
      type: 'Normal',
      reason: 'Lost',
      action: 'Publish',
      note: 'nowhere',
    });
    recorder.record({ regarding, type: 'Normal', reason: 'AfterLost', action: 'Publish', note: 'still here' });
    await until(async () => (await eventsOf('AfterLost')).length === 1, 'the next event');
  });

  it('creates events with notes, names and counts at their limits', async () => {
    const subject = { ...regarding, name: 'n'.repeat(253) };
    const event = {
      regarding: subject,
      type: 'Normal',
      reason: 'R'.repeat(128),
      action: 'A'.repeat(128),
      note: 'ü'.repeat(2_000),
    } as const;
    recorder.record(event);
    recorder.record(event);
    await until(async () => (await eventsOf(event.reason)).length === 1, 'the event');
  });
});
