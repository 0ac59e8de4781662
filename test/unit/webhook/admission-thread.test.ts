/* The thread of admission over TLS, with its questions to the caches. */
import { once } from 'node:events';
import type { ClientRequest, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { workloadKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { Clock } from '../../../src/clock.ts';
import { NAMESPACE_SHARE } from '../../../src/compile/budgets.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import type { ReviewSample } from '../../../src/telemetry/webhook-metrics.ts';
import type { AdmissionSettings, Facts, Question } from '../../../src/webhook/admission-messages.ts';
import { type AdmissionThread, startAdmissionThread } from '../../../src/webhook/admission-thread.ts';
import { type Certificates, renewCertificates } from '../../../src/webhook/certs/renew.ts';
import type { ChangedFact, FactSettings } from '../../../src/webhook/fact-source.ts';
import { createTestFacts } from '../../support/admission-facts.ts';
import { startAdmissionWorker } from '../../support/admission-worker.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';

const dnsNames = ['sallyport.sallyport-system.svc'];
const PATIENCE_MS = 60_000;

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', ports: [{ containerPort: 8080 }] }] },
};
const policy = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'p', namespace: 'foo' },
  spec: { rules: [{ to: [{ operation: { ports: ['9999'] } }] }] },
};

const facts = createTestFacts();
facts.present = { ...facts.present, feed: { address: 'feed.example:9443', authorities: 'PEM' } };

let thread: AdmissionThread;
let certificates: Certificates;
let worker: Worker | undefined;
let questions: Question[] = [];
let samples: ReviewSample[] = [];
let answer: (question: Question) => Facts;
const clock = createFakeClock();

function factsFor(question: Question): Facts {
  if (question.kind === 'present') return {};
  return question.kind === 'edit' ? { mesh: DEFAULT_MESH_CONFIG, pods: [], isCut: true } : { ports: new Set([8080]) };
}

/** Changes settings, which are then sent. */
function become(settings: Partial<FactSettings>): void {
  facts.present = { ...facts.present, ...settings };
  change({ kind: 'settings' });
}

function change(fact: ChangedFact): void {
  facts.changed(fact);
  clock.advance(10);
}

function open(port: number, path: string, headers: OutgoingHttpHeaders = {}): ClientRequest {
  return request({
    host: '127.0.0.1',
    port,
    servername: dnsNames[0],
    ca: certificates.authority.certPem,
    agent: false,
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

function bodyOf(object: object): string {
  const admission = { uid: 'u-1', namespace: 'foo', operation: 'CREATE', object };
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: admission });
}

async function review(path: string, object: object): Promise<{ readonly status: number; readonly body: string }> {
  const sent = open(thread.port, path);
  sent.end(bodyOf(object));
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, body: await text(response) };
}

/** A thread whose workers are started by `startWorker`, one after the other. */
function startSecond(
  time: Clock,
  startWorker: (nth: number, settings: AdmissionSettings) => Worker,
  port: number = 0,
): Promise<AdmissionThread> {
  let nth = 0;
  return startAdmissionThread({
    settings: {
      host: '127.0.0.1',
      port,
      tlsMinVersion: 'TLSv1.2',
      injection: { image: 'example/agent:1', version: '1' },
      newAccess: false,
    },
    startWorker: (settings) => startWorker(nth++, settings),
    facts: createTestFacts(),
    answer: factsFor,
    clock: time,
    logger: createLogger({ level: 'silent', component: 'test' }),
  });
}

describe('the thread of admission', () => {
  before(async () => {
    certificates = await renewCertificates(undefined, { nowMs: Date.now(), dnsNames, isTrusted: true });
    thread = await startAdmissionThread({
      settings: {
        host: '127.0.0.1',
        port: 0,
        tlsMinVersion: 'TLSv1.2',
        injection: { image: 'example/agent:1', version: '1' },
        newAccess: true,
      },
      startWorker: (settings) => (worker = startAdmissionWorker(settings)),
      facts,
      answer: (question) => {
        questions.push(question);
        return answer(question);
      },
      onReview: (sample) => void samples.push(sample),
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
    });
    thread.serve(certificates.serving);
  });

  beforeEach(() => {
    questions = [];
    samples = [];
    answer = factsFor;
  });

  after(async () => {
    await thread.close();
    expect(facts.listeners()).to.equal(0);
  });

  it('injects an agent with what the caches know of the pod', async () => {
    const { status, body } = await review('/mutate', pod);

    expect(status).to.equal(200);
    const { response } = JSON.parse(body) as { response: { allowed: boolean; patch: string } };
    expect(response.allowed).to.equal(true);
    expect(Buffer.from(response.patch, 'base64').toString()).to.include('example/agent:1').and.include('feed.example:9443');
    expect(questions).to.deep.equal([]);
    await until(() => samples.length === 1, 'the sample');
    expect(samples[0]).to.include({ webhook: '/mutate', code: 200, result: 'patched' });
  });

  it('asks nothing for an object that it does not change', async () => {
    const { body } = await review('/mutate', { ...pod, kind: 'Service' });

    expect(JSON.parse(body)).to.have.nested.property('response.allowed', true);
    expect(questions).to.deep.equal([]);
  });

  it('warns of ports that the pods in the caches do not serve', async () => {
    const { body } = await review('/validate', policy);

    expect(body).to.include('9999');
    expect(questions[0]).to.have.nested.property('policy.metadata.name', 'p');
  });

  it('asks for the pods that an edit changes only if the edit is allowed', async () => {
    const { body } = await review('/validate', policy);

    expect(body).to.include('not decided for all pods');
    expect(questions.map(({ kind }) => kind)).to.deep.equal(['policy', 'edit']);
    questions = [];
    answer = () => ({ excess: 'it is large' });
    become({ mesh: { ...DEFAULT_MESH_CONFIG, rootNamespace: 'foo' } });
    const denied = await review('/validate', policy);
    become({ mesh: DEFAULT_MESH_CONFIG });
    expect(JSON.parse(denied.body)).to.have.nested.property('response.allowed', false);
    expect(questions.map(({ kind }) => kind)).to.deep.equal(['policy']);
  });

  it('asks nothing about a policy that names no ports and is within its budget, or that is not valid', async () => {
    const paths = { ...policy, spec: { rules: [{ to: [{ operation: { paths: ['/a'] } }] }] } };
    expect((await review('/validate', { ...paths, metadata: { name: 'p', namespace: 'bar' } })).body).to.include('"allowed":true');
    expect((await review('/validate', { ...policy, spec: { rules: 'none' } })).body).to.include('"allowed":false');
    expect(questions.map(({ kind }) => kind)).to.deep.equal(['edit']);

    facts.loads.set('bar', NAMESPACE_SHARE);
    change({ kind: 'load', namespace: 'bar' });
    await review('/validate', { ...paths, metadata: { name: 'p', namespace: 'bar' } });
    expect(questions.map(({ kind }) => kind)).to.deep.equal(['edit', 'policy', 'edit']);
  });

  it('knows of what changed since it started, also after it was started again', async () => {
    const key = workloadKey({ namespace: 'foo', kind: 'pod', name: 'web' });
    const patchOf = async (): Promise<string> => {
      const { response } = JSON.parse((await review('/mutate', pod)).body) as { response: { patch?: string } };
      return Buffer.from(response.patch ?? '', 'base64').toString();
    };
    facts.numbers.set(key, 4711);
    change({ kind: 'number', workload: key });
    expect(await patchOf()).to.include('4711');
    become({ feed: { address: 'moved.example:9443', authorities: 'PEM' } });
    expect(await patchOf())
      .to.include('moved.example:9443')
      .and.include('4711');

    await worker?.terminate();
    await until(() => thread.check() !== undefined, 'the end of the thread');
    facts.numbers.set(key, 4712);
    facts.changed({ kind: 'number', workload: key });
    clock.advance(1_000);
    await until(() => thread.check() === undefined, 'the thread', PATIENCE_MS);
    expect(await patchOf())
      .to.include('moved.example:9443')
      .and.include('4712');
    facts.numbers.delete(key);
    change({ kind: 'number', workload: key });
    expect(await patchOf()).not.to.include('4712');
  });

  it('refuses to review pods with facts that are not confirmed any more', async () => {
    answer = () => {
      throw new TypeError('the caches are away');
    };
    // The controller says nothing, because its clock stands still.
    let status = 200;
    while (status === 200) ({ status } = await review('/mutate', pod));
    answer = factsFor;
    expect(status).to.equal(500);
    expect(new Set(questions.map(({ kind }) => kind))).to.deep.equal(new Set(['present']));
    expect((await review('/mutate', pod)).status).to.equal(200);
  });

  it('denies an invalid policy', async () => {
    const { body } = await review('/validate', { ...policy, spec: { rules: [{ to: [{ operation: { ports: ['x'] } }] }] } });

    expect(JSON.parse(body)).to.have.nested.property('response.allowed', false);
  });

  it('fails the review alone when the caches cannot be asked', async () => {
    answer = () => {
      throw new TypeError('secret of the inside');
    };
    const { status, body } = await review('/validate', policy);
    answer = factsFor;

    expect(status).to.equal(500);
    expect(body).not.to.include('secret');
    expect((await review('/validate', policy)).status).to.equal(200);
  });

  it('serves while the controller is busy', async () => {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      const { request } = require('node:https');
      const { shared, ...target } = workerData;
      parentPort.once('message', () => request({ ...target, method: 'GET' }, (response) => {
        response.resume();
        Atomics.store(shared, 0, response.statusCode);
        Atomics.notify(shared, 0);
      }).end());`;
    const workerData = {
      shared,
      host: '127.0.0.1',
      port: thread.port,
      path: '/mutate',
      servername: dnsNames[0],
      ca: certificates.authority.certPem,
    };
    const client = new Worker(code, { eval: true, workerData });
    await once(client, 'online');
    client.postMessage('go');
    // This thread, which is the controller's, does nothing else until there is a response.
    Atomics.wait(shared, 0, 0, PATIENCE_MS);

    expect(shared[0]).to.equal(405);
    await client.terminate();
  });

  it('is started again when it ends, on the same port and with the same certificate', async () => {
    const { port } = thread;
    expect(thread.check()).to.equal(undefined);
    await worker?.terminate();
    await until(() => clock.pending().length === 1, 'the end of the thread');
    expect(thread.check()).to.equal('the thread of admission is being started again');
    // What is served meanwhile counts when the thread is back.
    certificates = await renewCertificates(undefined, { nowMs: Date.now(), dnsNames, isTrusted: true });
    thread.serve(certificates.serving);

    clock.advance(1_000);
    await until(() => thread.check() === undefined, 'the thread', PATIENCE_MS);
    expect(thread.port).to.equal(port);
    expect((await review('/mutate', pod)).status).to.equal(200);
  });

  it('is ended and started again when it gives no sign of life', async () => {
    const hanging =
      "const { parentPort } = require('node:worker_threads'); parentPort.postMessage({ kind: 'listening', port: 1 }); for (;;);";
    const started: Worker[] = [];
    const time = createFakeClock();
    const second = await startSecond(time, (nth, settings) => {
      const made = nth === 0 ? new Worker(hanging, { eval: true }) : startAdmissionWorker({ ...settings, port: 0 });
      started.push(made);
      return made;
    });
    time.advance(8_000);
    expect(second.check()).to.equal(undefined);
    time.advance(2_000);
    await until(() => second.check() !== undefined, 'the end of the thread');
    time.advance(1_000);
    await until(() => second.check() === undefined, 'the thread', PATIENCE_MS);

    // One that answers is not ended.
    for (let nth = 0; nth < 10; nth += 1) {
      let hasAnswered = false;
      started[1]?.once('message', () => (hasAnswered = true));
      time.advance(2_000);
      await until(() => hasAnswered, 'a sign of life');
    }
    expect([second.check(), started.length]).to.deep.equal([undefined, 2]);
    await second.close();
  });

  it('is tried again when it cannot be started again, or ends while it starts', async () => {
    const time = createFakeClock();
    const started: Worker[] = [];
    const second = await startSecond(time, (nth, settings) => {
      if (nth === 1) throw new Error('no thread is left');
      const made = nth === 2 ? new Worker('process.exit(1)', { eval: true }) : startAdmissionWorker(settings);
      started.push(made);
      return made;
    });
    await started[0]?.terminate();
    await until(() => time.pending().length === 1, 'the end of the thread');
    time.advance(1_000);
    await until(() => time.pending().length === 1, 'the first failure');
    time.advance(1_000);
    await until(() => started.length === 2 && time.pending().length === 1, 'the second failure');
    expect(second.check()).to.equal('the thread of admission is being started again');
    time.advance(1_000);
    await until(() => second.check() === undefined, 'the thread', PATIENCE_MS);
    expect(started).to.have.lengthOf(3);
    await second.close();
    expect(time.pending()).to.deep.equal([]);
  });

  it('waits for open reviews when it closes, also after it was started again', async () => {
    const time = createFakeClock();
    const started: Worker[] = [];
    const second = await startSecond(time, (_, settings) => {
      const made = startAdmissionWorker(settings);
      started.push(made);
      return made;
    });
    second.serve(certificates.serving);
    await started[0]?.terminate();
    await until(() => second.check() !== undefined, 'the end of the thread');
    time.advance(1_000);
    await until(() => second.check() === undefined, 'the thread', PATIENCE_MS);

    const sent = open(second.port, '/mutate', { expect: '100-continue' });
    sent.flushHeaders();
    await once(sent, 'continue');
    const closing = second.close();
    sent.end(bodyOf(pod));
    const [response] = await once(sent, 'response');
    expect(await text(response)).to.include('"allowed":true');
    await closing;
  });

  it('reports that the port is in use', async () => {
    const second = startSecond(clock, (_, settings) => startAdmissionWorker(settings), thread.port);

    const error = await second.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('code', 'EADDRINUSE');
  });
});
