import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { createKubeletResync } from '../../../src/delivery/kubelet-resync.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { slimPod } from '../../support/guarded-pods.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const never = new AbortController().signal;

interface Over {
  readonly annotations?: object;
  readonly metadata?: object;
  readonly status?: object;
  readonly agent?: boolean;
}

function pod(name: string, over: Over = {}): SlimPod {
  const raw = {
    metadata: { namespace: 'foo', name, annotations: { ...over.annotations }, ...over.metadata },
    status: { phase: 'Running', podIP: '10.0.0.1', ...over.status },
  };
  return slimPod(raw, over.agent);
}

function clientThat(answer: (request: KubeRequest) => Promise<unknown>): KubeClient {
  return {
    server: '',
    namespace: '',
    request: async (request) => ({ status: 200, json: await answer(request) }),
    stream: () => Promise.reject(new Error('no streams here')),
    close: () => Promise.resolve(),
  };
}

describe('whether a pod needs a kubelet resync', () => {
  const cases: readonly { readonly name: string; readonly pod: SlimPod; readonly patched: boolean }[] = [
    { name: 'a running pod', pod: pod('p'), patched: true },
    { name: 'a pod that is starting but has its volume', pod: pod('p', { status: { phase: 'Pending' } }), patched: true },
    { name: 'a pod that carries an older digest', pod: pod('p', { annotations: { 'sallyport.dev/bundle-digest': 'old' } }), patched: true },
    { name: 'a pod that carries the digest', pod: pod('p', { annotations: { 'sallyport.dev/bundle-digest': 'new' } }), patched: false },
    { name: 'a pod without an address', pod: pod('p', { status: { phase: 'Pending', podIP: '' } }), patched: false },
    { name: 'a finished pod', pod: pod('p', { status: { phase: 'Succeeded' } }), patched: false },
    { name: 'a pod that is being deleted', pod: pod('p', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }), patched: false },
    { name: 'a pod without an agent', pod: pod('p', { agent: false }), patched: false },
  ];
  for (const { name, pod: one, patched } of cases) {
    it(`${patched ? 'patches' : 'leaves alone'} ${name}`, () => {
      expect(createKubeletResync({ client: clientThat(() => Promise.resolve()), logger }).isNeeded(one, 'new')).to.equal(patched);
    });
  }
});

describe('kubelet resync', () => {
  const many = Array.from({ length: 10 }, (_, index) => pod(`p${index}`));

  it('writes the revision into an annotation of every pod, a few pods at a time', async () => {
    let active = 0;
    let most = 0;
    const bodies: unknown[] = [];
    const client = clientThat(async (request) => {
      active += 1;
      most = Math.max(most, active);
      bodies.push(request.body);
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
    });
    await createKubeletResync({ client, batchSize: 3, logger }).run(many, 'new', never);

    expect(most).to.equal(3);
    expect(bodies).to.have.length(10);
    expect(bodies[0]).to.deep.equal({ metadata: { annotations: { 'sallyport.dev/bundle-digest': 'new' } } });
  });

  it('tries every pod, ignores those that are gone, and throws an error that a retry may fix', async () => {
    const results: string[] = [];
    const client = clientThat((request) => {
      if (request.path.endsWith('p2')) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'gone'));
      if (request.path.endsWith('p3')) return Promise.reject(new TransientError('SP_KUBE_API', 'down'));
      return Promise.resolve({});
    });
    const { run } = createKubeletResync({ client, logger, onPatch: (result) => results.push(result) });
    const failure = await run(many, 'new', never).catch((error: unknown) => error);

    expect(failure).to.have.property('code', 'SP_KUBE_API');
    expect(results.filter((result) => result === 'patched')).to.have.length(8);
    expect(results.filter((result) => result !== 'patched').sort()).to.deep.equal(['failed', 'gone']);
  });
});
