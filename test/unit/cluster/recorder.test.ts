/* Events: series of repeats, the request limit, and isolation from failures. */
import { expect } from 'chai';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { createRecorder, type KubeEvent, type Recorder } from '../../../src/cluster/recorder.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

const EVENT: KubeEvent = {
  regarding: { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', namespace: 'foo', name: 'deny', uid: 'u-1' },
  type: 'Warning',
  reason: 'InvalidPolicy',
  action: 'Compile',
  note: 'spec.rules[0]: no',
};

function bodyOf(request: KubeRequest | undefined): Record<string, unknown> {
  return (request?.body ?? {}) as Record<string, unknown>;
}

describe('createRecorder', () => {
  let clock: FakeClock;
  let requests: KubeRequest[];
  let answer: (request: KubeRequest) => Promise<void>;
  let recorder: Recorder;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(() => {
    clock = createFakeClock();
    requests = [];
    answer = () => Promise.resolve();
    stop = new AbortController();
    const client: KubeClient = {
      server: 'memory',
      namespace: 'ns',
      stream: () => Promise.reject(new Error('not here')),
      close: () => Promise.resolve(),
      request: async (request) => {
        requests.push(request);
        await answer(request);
        return { status: 201, json: {} };
      },
    };
    const logger = createLogger({ level: 'silent', component: 'test' });
    recorder = createRecorder({ client, controller: 'sallyport.dev/controller', instance: 'pod-1', logger, clock, random: () => 0.5 });
    running = recorder.run(stop.signal);
  });

  afterEach(async () => {
    stop.abort();
    await running;
  });

  const sent = (count: number): Promise<void> => until(() => requests.length === count, `${count} requests`);

  it('creates an events.k8s.io/v1 Event in the namespace of the object', async () => {
    recorder.record(EVENT);
    await sent(1);

    expect(requests[0]).to.include({ method: 'POST', path: '/apis/events.k8s.io/v1/namespaces/foo/events' });
    const { metadata, ...body } = bodyOf(requests[0]);
    expect(metadata).to.have.property('namespace', 'foo');
    expect(metadata)
      .to.have.property('name')
      .that.matches(/^deny\.[0-9a-f]+$/);
    expect(body).to.deep.equal({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'sallyport.dev/controller',
      reportingInstance: 'pod-1',
      regarding: EVENT.regarding,
      type: 'Warning',
      reason: 'InvalidPolicy',
      action: 'Compile',
      note: 'spec.rules[0]: no',
    });
  });

  it('creates events about cluster-scoped objects in default, and truncates long notes and names', async () => {
    recorder.record({ ...EVENT, regarding: { apiVersion: 'v1', kind: 'Namespace', name: 'n'.repeat(253) }, note: 'ü'.repeat(2_000) });
    await sent(1);

    expect(requests[0]?.path).to.equal('/apis/events.k8s.io/v1/namespaces/default/events');
    const body = requests[0]?.body as { metadata: { name: string }; note: string };
    expect(body.metadata.name.length).to.be.at.most(253);
    expect(Buffer.byteLength(body.note)).to.be.within(1_022, 1_024);
    expect(body.note).to.match(/^ü+\.\.\.$/);
  });

  it('increases the count of the first event when it repeats', async () => {
    recorder.record(EVENT);
    await sent(1);
    clock.advance(5_000);
    recorder.record(EVENT);
    await sent(2);

    const { name } = bodyOf(requests[0])['metadata'] as { name: string };
    expect(requests[1]).to.deep.include({
      method: 'PATCH',
      path: `/apis/events.k8s.io/v1/namespaces/foo/events/${name}`,
      body: { series: { count: 2, lastObservedTime: '2026-01-01T00:00:05.000000Z' } },
      contentType: 'application/merge-patch+json',
    });
  });

  it('sends one request for a thousand repeats within the delay of the limit', async () => {
    for (let index = 0; index < 25; index += 1) recorder.record({ ...EVENT, note: `other ${index}` });
    await sent(25);
    for (let repeat = 0; repeat < 1_000; repeat += 1) recorder.record(EVENT);
    clock.advance(1_000);
    await sent(26);

    expect(requests[25]?.body).to.have.nested.property('series.count', 1_000);
    clock.advance(60_000);
    expect(requests).to.have.length(26);
  });

  it('sends a burst of 25 events and then one per second', async () => {
    for (let index = 0; index < 30; index += 1) recorder.record({ ...EVENT, note: `note ${index}` });
    await sent(25);
    await until(() => clock.pending().length === 1, 'the wait');
    clock.advance(999);
    expect(requests).to.have.length(25);
    clock.advance(1);
    await sent(26);
    await until(() => clock.pending().length === 1, 'the wait');
    clock.advance(1_000);
    await sent(27);
  });

  it('creates a new event for a repeat after ten minutes', async () => {
    recorder.record(EVENT);
    await sent(1);
    clock.advance(10 * 60_000);
    recorder.record(EVENT);
    await sent(2);

    expect(requests.map((request) => request.method)).to.deep.equal(['POST', 'POST']);
    expect(requests[1]?.body).to.not.have.property('series');
  });

  it('creates the event again when it has expired on the server', async () => {
    recorder.record(EVENT);
    await sent(1);
    answer = (request) => (request.method === 'PATCH' ? Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'gone')) : Promise.resolve());
    clock.advance(1_000);
    recorder.record(EVENT);
    await sent(3);

    expect(requests.map((request) => request.method)).to.deep.equal(['POST', 'PATCH', 'POST']);
    expect(requests[2]?.body).to.have.nested.property('series.count', 2);
  });

  it('continues after a failed request', async () => {
    answer = () => Promise.reject(new TransientError('SP_KUBE_API', 'down'));
    recorder.record(EVENT);
    await sent(1);
    answer = () => Promise.resolve();
    recorder.record({ ...EVENT, note: 'another' });
    await sent(2);
  });

  it('drops and counts the oldest events when the queue is full', async () => {
    for (let index = 0; index < 700; index += 1) recorder.record({ ...EVENT, note: `note ${index}` });

    expect(recorder.dropped()).to.equal(188);
    await sent(25);
    expect(requests[0]?.body).to.have.property('note', 'note 188');
  });

  it('sends queued events when it stops, but does not wait for a server that does not respond', async () => {
    recorder.record(EVENT);
    stop.abort();
    await running;
    expect(requests).to.have.length(1);

    const late = new AbortController();
    answer = (request) =>
      new Promise((_resolve, reject) => request.signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true }));
    const rerun = recorder.run(late.signal);
    recorder.record({ ...EVENT, note: 'another' });
    await sent(2);
    late.abort();
    await sent(3);
    clock.advance(1_000);
    await rerun;
  });
});
