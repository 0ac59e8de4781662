/*
 * The ConfigMaps of an API server, as far as the ConfigMap delivery needs them: create, replace with optimistic locking, read, list and
 * delete, immutable objects and finalizers, with resourceVersions that grow with each write.
 */
import type { KubeClient, KubeRequest } from '../../src/cluster/client.ts';
import type { RawMetadata, RawObject } from '../../src/cluster/kube-object.ts';
import { RefusedError, TransientError } from '../../src/errors.ts';

export interface FakeConfigMaps {
  readonly client: KubeClient;
  /** By `namespace/name`. */
  readonly objects: Map<string, RawObject>;
  /** Method and name of each request, in order. */
  readonly requests: string[];
  /** Stores an object as another client would. */
  readonly put: (object: RawObject) => void;
  /** resourceVersion of a list. */
  readonly resourceVersion: () => string;
  /** Called after each write and deletion. */
  onEvent: ((name: string, object: RawObject | undefined) => void) | undefined;
}

/** An API server without ConfigMaps. */
export function createFakeConfigMaps(): FakeConfigMaps {
  const objects = new Map<string, RawObject>();
  const requests: string[] = [];
  let version = 0;
  let uids = 0;

  const store = (name: string, object: RawObject, uid: string): RawObject => {
    version += 1;
    const stored: RawObject & { readonly metadata: RawMetadata } = {
      ...object,
      metadata: { ...object.metadata, uid, resourceVersion: `${version}` },
    };
    const isGone = stored.metadata['deletionTimestamp'] !== undefined && finalizersOf(stored).length === 0;
    if (isGone) objects.delete(name);
    else objects.set(name, stored);
    fake.onEvent?.(name, isGone ? undefined : stored);
    return stored;
  };
  const newUid = (): string => {
    uids += 1;
    return `uid-${uids}`;
  };
  const remove = (name: string, object: RawObject): void => {
    if (finalizersOf(object).length > 0) {
      store(name, { ...object, metadata: { ...object.metadata, deletionTimestamp: 'now' } }, object.metadata?.uid ?? '');
      return;
    }
    objects.delete(name);
    fake.onEvent?.(name, undefined);
  };
  const answer = (wanted: KubeRequest): unknown => {
    const body = wanted.body as RawObject | undefined;
    const [, namespace = '', pathName] = /\/namespaces\/([^/]+)\/configmaps(?:\/(.+))?$/.exec(wanted.path) ?? [];
    const name = `${namespace}/${pathName ?? body?.metadata?.name ?? ''}`;
    requests.push(`${wanted.method} ${pathName ?? body?.metadata?.name ?? ''}`.trim());
    const before = objects.get(name);
    if (wanted.method === 'GET' && pathName === undefined)
      return { metadata: { resourceVersion: `${version}` }, items: [...objects.values()] };
    if (wanted.method === 'POST') {
      if (before !== undefined) throw new TransientError('SP_KUBE_CONFLICT', 'exists');
      return store(name, body ?? {}, newUid());
    }
    if (wanted.method === 'PATCH') return apply(name, before, body ?? {});
    if (before === undefined) throw new RefusedError('SP_KUBE_NOT_FOUND', 'gone');
    if (wanted.method === 'GET') return before;
    if (wanted.method === 'DELETE') {
      const { uid } = (body?.['preconditions'] ?? {}) as RawMetadata;
      if (uid !== undefined && uid !== before.metadata?.uid) throw new TransientError('SP_KUBE_CONFLICT', 'another uid');
      remove(name, before);
      return {};
    }
    return replace(name, before, body ?? {});
  };
  /** Server-side apply by the only manager of the fields: an object without changes keeps its resourceVersion. */
  const apply = (name: string, before: RawObject | undefined, body: RawObject): RawObject => {
    const { uid = newUid(), resourceVersion: _version, ...metadata } = before?.metadata ?? {};
    const isSame = before !== undefined && JSON.stringify({ ...before, metadata }) === JSON.stringify(body);
    return isSame ? before : store(name, body, uid);
  };
  const replace = (name: string, before: RawObject, body: RawObject): RawObject => {
    const { uid, resourceVersion, deletionTimestamp } = before.metadata ?? {};
    if (body.metadata?.resourceVersion !== resourceVersion) throw new TransientError('SP_KUBE_CONFLICT', 'changed');
    const isSame = (field: string): boolean => JSON.stringify(before[field]) === JSON.stringify(body[field]);
    if (before['immutable'] === true && !['data', 'binaryData', 'immutable'].every(isSame))
      throw new RefusedError('SP_KUBE_INVALID', 'immutable');
    const metadata = deletionTimestamp === undefined ? body.metadata : { ...body.metadata, deletionTimestamp };
    return store(name, { ...body, metadata: metadata ?? {} }, uid ?? '');
  };
  const fake: FakeConfigMaps = {
    client: {
      server: '',
      namespace: '',
      request: (wanted) =>
        new Promise((resolve) => {
          resolve({ status: 200, json: answer(wanted) });
        }),
      stream: () => Promise.reject(new Error('no streams here')),
      close: () => Promise.resolve(),
    },
    objects,
    requests,
    resourceVersion: () => `${version}`,
    put: (object) => {
      const name = `${object.metadata?.namespace}/${object.metadata?.name}`;
      store(name, object, objects.get(name)?.metadata?.uid ?? newUid());
    },
    onEvent: undefined,
  };
  return fake;
}

function finalizersOf({ metadata }: RawObject): readonly unknown[] {
  const finalizers = metadata?.['finalizers'];
  return Array.isArray(finalizers) ? finalizers : [];
}
