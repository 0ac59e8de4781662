/* Requests about single objects; test/integration/writes.test.ts runs them against a real API server. */
import { expect } from 'chai';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { deleteObject, ifFound, patchAnnotations, readObject } from '../../../src/cluster/objects.ts';
import { CONFIG_MAPS, PODS } from '../../../src/cluster/paths.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';

const NOT_FOUND = new RefusedError('SP_KUBE_NOT_FOUND', 'not found');
const ref = { resource: PODS, namespace: 'foo', name: 'web' };
const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'foo' }, data: { a: 'b' } };

/** A client that records requests and returns `answer` or throws it. */
function clientWith(answer: unknown): { readonly client: KubeClient; readonly requests: KubeRequest[] } {
  const requests: KubeRequest[] = [];
  const client = {
    request: (request: KubeRequest) => {
      requests.push(request);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ status: 200, json: answer });
    },
  } as unknown as KubeClient;
  return { client, requests };
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('readObject', () => {
  it('returns undefined for 404 and for a response without an object', async () => {
    expect(await readObject(clientWith(NOT_FOUND).client, ref)).to.equal(undefined);
    expect(await readObject(clientWith(undefined).client, ref)).to.equal(undefined);
    expect(await readObject(clientWith(object).client, ref)).to.equal(object);
  });
});

describe('deleteObject', () => {
  it('sends the preconditions and deletes dependents in the background', async () => {
    const { client, requests } = clientWith({});

    expect(await deleteObject(client, ref, { uid: 'u', resourceVersion: '7' })).to.equal(true);
    expect(requests[0]).to.deep.include({
      method: 'DELETE',
      path: '/api/v1/namespaces/foo/pods/web',
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        preconditions: { uid: 'u', resourceVersion: '7' },
      },
    });
  });

  it('sends no precondition by default, and returns false when the object does not exist', async () => {
    const { client, requests } = clientWith(NOT_FOUND);

    expect(await deleteObject(client, ref)).to.equal(false);
    expect(requests[0]?.body).to.have.property('preconditions').that.deep.equals({});
  });
});

describe('patchAnnotations', () => {
  it('sends a merge patch of the annotations only', async () => {
    const { client, requests } = clientWith({});
    const annotations = { 'sallyport.dev/bundle-digest': 'sha256:1', old: null };

    expect(await patchAnnotations(client, { ...ref, resource: CONFIG_MAPS }, annotations, { fieldManager: 'me' })).to.equal(true);
    expect(requests[0]).to.deep.include({
      method: 'PATCH',
      query: { fieldManager: 'me' },
      body: { metadata: { annotations } },
      contentType: 'application/merge-patch+json',
    });
  });

  it('returns false when the object does not exist', async () => {
    expect(await patchAnnotations(clientWith(NOT_FOUND).client, ref, {}, { fieldManager: 'me' })).to.equal(false);
  });
});

describe('ifFound', () => {
  it('rethrows every error other than 404', async () => {
    for (const error of [new RefusedError('SP_KUBE_FORBIDDEN', 'no'), new TransientError('SP_KUBE_API', 'down'), new Error('bug')]) {
      expect(await errorOf(ifFound(Promise.reject(error)))).to.equal(error);
    }
  });
});
