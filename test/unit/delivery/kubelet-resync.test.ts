import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { createKubeletResync } from '../../../src/delivery/kubelet-resync.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { slimPod } from '../../support/guarded-pods.ts';

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
      expect(createKubeletResync({ client: clientThat(() => Promise.resolve()) }).isNeeded(one, 'new')).to.equal(patched);
    });
  }
});

describe('kubelet resync', () => {
  it('writes the revision into an annotation of the pod', async () => {
    const requests: KubeRequest[] = [];
    const client = clientThat((request) => Promise.resolve(requests.push(request)));
    await createKubeletResync({ client }).patch(pod('p1'), 'new', never);

    expect(requests[0]).to.deep.include({
      method: 'PATCH',
      path: '/api/v1/namespaces/foo/pods/p1',
      body: { metadata: { annotations: { 'sallyport.dev/bundle-digest': 'new' } } },
      lane: 'touch',
    });
  });

  it('leaves a pod that is gone alone, and throws what a retry may fix', async () => {
    const results: string[] = [];
    const client = clientThat((request) => {
      if (request.path.endsWith('p2')) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'gone'));
      if (request.path.endsWith('p3')) return Promise.reject(new TransientError('SP_KUBE_API', 'down'));
      return Promise.resolve({});
    });
    const { patch } = createKubeletResync({ client, onPatch: (result) => results.push(result) });
    await patch(pod('p1'), 'new', never);
    await patch(pod('p2'), 'new', never);
    const failure = await patch(pod('p3'), 'new', never).catch((error: unknown) => error);

    expect(failure).to.have.property('code', 'SP_KUBE_API');
    expect(results).to.deep.equal(['patched', 'gone', 'failed']);
  });
});
