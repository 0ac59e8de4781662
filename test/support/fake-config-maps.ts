/*
 * The ConfigMaps of an API server, as far as the ConfigMap delivery needs them: apply, merge patch, read, list and delete, with
 * resourceVersions that grow only when something changes.
 */
import type { KubeClient, KubeRequest } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { RefusedError } from '../../src/errors.ts';

export interface FakeConfigMaps {
  readonly client: KubeClient;
  /** By path. */
  readonly objects: Map<string, RawObject>;
  /** Method and content type of each request, in order. */
  readonly requests: string[];
}

/** An API server without ConfigMaps. */
export function createFakeConfigMaps(): FakeConfigMaps {
  const objects = new Map<string, RawObject>();
  const requests: string[] = [];
  let version = 0;
  const request = (wanted: KubeRequest): Promise<{ status: number; json: unknown }> => {
    requests.push(`${wanted.method} ${wanted.contentType ?? ''}`.trim());
    const before = objects.get(wanted.path);
    if (wanted.method === 'GET' && before !== undefined) return Promise.resolve({ status: 200, json: before });
    if (wanted.method === 'GET' && !wanted.path.endsWith('/configmaps'))
      return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'no such ConfigMap'));
    if (wanted.method === 'GET')
      return Promise.resolve({ status: 200, json: { metadata: { resourceVersion: '1' }, items: [...objects.values()] } });
    if (wanted.method === 'DELETE') {
      if (!objects.delete(wanted.path)) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'gone'));
      return Promise.resolve({ status: 200, json: {} });
    }
    const body = wanted.body as RawObject;
    if (before?.['immutable'] === true) return Promise.reject(new RefusedError('SP_KUBE_INVALID', 'immutable'));
    if (wanted.contentType === 'application/merge-patch+json') return Promise.resolve({ status: 200, json: before });
    const { resourceVersion: _version, uid: _uid, ...metadata } = before?.metadata ?? {};
    const { metadata: _metadata, ...rest } = before ?? {};
    if (JSON.stringify({ metadata, rest }) !== JSON.stringify({ metadata: body.metadata, rest: { ...body, metadata: undefined } }))
      version += 1;
    const after = { ...body, metadata: { ...body.metadata, uid: 'uid', resourceVersion: `${version}` } };
    objects.set(wanted.path, after);
    return Promise.resolve({ status: 200, json: after });
  };
  const client: KubeClient = {
    server: '',
    namespace: '',
    request,
    stream: () => Promise.reject(new Error('no streams here')),
    close: () => Promise.resolve(),
  };
  return { client, objects, requests };
}
