import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import type { RawMetadata, RawObject } from '../../../src/cluster/kube-object.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { createConfigMapSink, isOutdated } from '../../../src/delivery/config-map-sink.ts';
import { observeBundle } from '../../../src/delivery/observed-bundle.ts';
import { readPublishedKeys } from '../../../src/delivery/published-keys.ts';
import { RefusedError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

const never = new AbortController().signal;
const WORKLOAD = { namespace: 'foo', name: 'httpbin' };
const OWNER = { apiVersion: 'v1', kind: 'Pod', name: 'httpbin', uid: 'owner' };

function encoded(note: string, name = 'httpbin'): EncodedBundle {
  const { bundle } = compileWorkload({
    workload: { ...WORKLOAD, name },
    labelSets: [{}],
    policiesFor: () => [],
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
  return encodeBundle({ ...bundle, keySets: { 'remote-1': { source: note, keys: [{ kty: 'EC', kid: note }] } } });
}

/** One API server's worth of ConfigMaps, as far as the sink can tell. */
function fakeCluster(): { readonly client: KubeClient; readonly objects: Map<string, RawObject>; readonly requests: string[] } {
  const objects = new Map<string, RawObject>();
  const requests: string[] = [];
  let version = 0;
  const request = (wanted: KubeRequest): Promise<{ status: number; json: unknown }> => {
    requests.push(`${wanted.method} ${wanted.contentType ?? ''}`.trim());
    const before = objects.get(wanted.path);
    if (wanted.method === 'GET' && before !== undefined) return Promise.resolve({ status: 200, json: before });
    if (wanted.method === 'GET')
      return Promise.resolve({ status: 200, json: { metadata: { resourceVersion: '1' }, items: [...objects.values()] } });
    if (wanted.method === 'DELETE') {
      if (!objects.delete(wanted.path)) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'gone'));
      return Promise.resolve({ status: 200, json: {} });
    }
    const body = wanted.body as RawObject;
    if (before?.['immutable'] === true) return Promise.reject(new RefusedError('SP_KUBE_INVALID', 'frozen'));
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

describe('ConfigMap sink', () => {
  it('creates, leaves alone, updates and removes', async () => {
    const { client, objects, requests } = fakeCluster();
    const sink = createConfigMapSink(client);

    expect(await sink.apply(encoded('one'), { owner: OWNER }, never)).to.equal('created');
    expect(await sink.apply(encoded('one'), { owner: OWNER }, never)).to.equal('unchanged');
    expect(requests).to.have.length(1);
    expect(await sink.apply(encoded('two'), { owner: OWNER }, never)).to.equal('updated');
    expect(sink.list()).to.deep.equal([WORKLOAD]);
    expect(await sink.remove(WORKLOAD, never)).to.equal(true);
    expect(await sink.remove(WORKLOAD, never)).to.equal(false);
    expect(objects.size).to.equal(0);
    expect(sink.list()).to.deep.equal([]);
  });

  it('writes labels, annotations, owner and data that an agent can check', async () => {
    const { client, objects } = fakeCluster();
    const bundle = encoded('one');
    await createConfigMapSink(client).apply(bundle, { owner: OWNER }, never);

    const [configMap] = objects.values();
    expect(configMap?.metadata).to.deep.include({
      name: 'sallyport-httpbin',
      labels: {
        'app.kubernetes.io/managed-by': 'sallyport',
        'sallyport.dev/bundle': bundle.digest.slice(7, 19),
        'sallyport.dev/workload': 'httpbin',
      },
      annotations: { 'sallyport.dev/digest': bundle.digest, 'sallyport.dev/workload': 'httpbin' },
      ownerReferences: [OWNER],
    });
    expect(configMap?.['data']).to.deep.equal({ 'bundle.json': bundle.json, 'bundle.sha256': bundle.digest });
  });

  it('writes nothing after a restart when the reflector saw that all is well', async () => {
    const { client, objects, requests } = fakeCluster();
    await createConfigMapSink(client).apply(encoded('one'), {}, never);
    const restarted = createConfigMapSink(client);
    const seen = observeBundle([...objects.values()][0] ?? {});
    if (seen === undefined) throw new Error('not recognised');
    restarted.observed.upsert(seen);

    expect(await restarted.apply(encoded('one'), {}, never)).to.equal('unchanged');
    expect(requests).to.have.length(1);
    expect(await restarted.apply(encoded('one'), { owner: OWNER }, never)).to.equal('updated');
  });

  it('tells of changes by others and not of its own', async () => {
    const { client } = fakeCluster();
    const sink = createConfigMapSink(client);
    const told: string[] = [];
    sink.subscribe(({ name }) => told.push(name));
    await sink.apply(encoded('one'), {}, never);
    await sink.apply(encoded('two'), {}, never);
    expect(told).to.deep.equal([]);

    const own = sink.observed.get('foo/httpbin');
    if (own === undefined) throw new Error('nothing observed');
    sink.observed.upsert({ ...own, fingerprint: 'other' });
    sink.observed.upsert({ ...own, workload: { namespace: 'foo', name: 'ghost' } });
    sink.observed.remove('foo/httpbin');
    expect(told).to.deep.equal(['httpbin', 'ghost', 'httpbin']);
  });

  it('takes out what others put in before it applies', async () => {
    const { client, requests } = fakeCluster();
    const sink = createConfigMapSink(client);
    await sink.apply(encoded('one'), {}, never);
    const own = sink.observed.get('foo/httpbin');
    if (own === undefined) throw new Error('nothing observed');

    sink.observed.upsert({ ...own, strangeKeys: [['data', 'x']] });
    await sink.apply(encoded('one'), {}, never);
    expect(requests.slice(1)).to.deep.equal(['PATCH application/merge-patch+json', 'PATCH application/apply-patch+yaml']);
  });

  for (const isSeen of [true, false]) {
    it(isSeen ? 'replaces what is frozen' : 'replaces what is frozen and lost its label, so that no watch tells of it', async () => {
      const { client, objects, requests } = fakeCluster();
      const sink = createConfigMapSink(client);
      await sink.apply(encoded('one'), {}, never);
      const [path, good] = [...objects][0] as [string, RawObject];
      objects.set(path, { ...good, data: {}, immutable: true });
      if (!isSeen) sink.observed.remove('foo/httpbin');

      await sink.apply(encoded('two'), {}, never);

      const apply = 'PATCH application/apply-patch+yaml';
      expect(requests).to.deep.equal([apply, apply, 'GET', 'DELETE', apply]);
      expect(objects.get(path)?.['immutable']).to.equal(undefined);
    });
  }

  it('tells why the server refuses what is not frozen', async () => {
    const { client, objects } = fakeCluster();
    const request: KubeClient['request'] = (wanted) =>
      wanted.method === 'PATCH' ? Promise.reject(new RefusedError('SP_KUBE_INVALID', 'no')) : client.request(wanted);
    const sink = createConfigMapSink({ ...client, request });

    const error = await sink.apply(encoded('one'), {}, never).catch((reason: unknown) => reason);

    expect(error).to.be.instanceOf(RefusedError).with.property('message', 'no');
    expect(objects.size).to.equal(0);
  });

  it('does not take the late answer to its own write for the newest state', async () => {
    const { client } = fakeCluster();
    const sink = createConfigMapSink(client);
    await sink.apply(encoded('one'), {}, never);
    const own = sink.observed.get('foo/httpbin');
    if (own === undefined) throw new Error('nothing observed');
    const told: string[] = [];
    sink.subscribe(({ name }) => told.push(name));
    const writing = sink.apply(encoded('two'), {}, never);
    sink.observed.upsert({ ...own, resourceVersion: '99', strangeKeys: [['data', 'x']] });
    await writing;

    expect(sink.observed.get('foo/httpbin')?.strangeKeys).to.have.length(1);
    expect(told).to.deep.equal(['httpbin']);
  });

  it('knows a late word of the watch by its resourceVersion', () => {
    const bundle = {
      workload: WORKLOAD,
      uid: 'u',
      resourceVersion: '10',
      fingerprint: '',
      ownerUids: [],
      strangeKeys: [],
    };
    expect(isOutdated(bundle, { ...bundle, resourceVersion: '9' })).to.equal(true);
    expect(isOutdated(bundle, { ...bundle, resourceVersion: '10' })).to.equal(false);
    expect(isOutdated(bundle, { ...bundle, resourceVersion: '9', uid: 'new' })).to.equal(false);
    expect(isOutdated(undefined, bundle)).to.equal(false);
  });

  const foreign: readonly { readonly name: string; readonly metadata: RawMetadata }[] = [
    { name: 'without the annotation', metadata: { namespace: 'foo', name: 'sallyport-httpbin' } },
    { name: 'of another name', metadata: { namespace: 'foo', name: 'settings', annotations: { 'sallyport.dev/workload': 'httpbin' } } },
    { name: 'without a namespace', metadata: { name: 'sallyport-httpbin', annotations: { 'sallyport.dev/workload': 'httpbin' } } },
  ];
  for (const { name, metadata } of foreign) {
    it(`takes a ConfigMap ${name} for somebody else's`, () => {
      expect(observeBundle({ metadata })).to.equal(undefined);
    });
  }
});

describe('keys of published bundles', () => {
  const logger = createLogger({ level: 'silent', component: 'test' });

  it('are read back by namespace, and unreadable bundles passed over', async () => {
    const { client, objects } = fakeCluster();
    const sink = createConfigMapSink(client);
    await sink.apply(encoded('good'), {}, never);
    await sink.apply(encoded('cut', 'sleep'), {}, never);
    for (const [path, object] of objects) {
      if (path.endsWith('sleep')) objects.set(path, { ...object, data: { 'bundle.json': '{', 'bundle.sha256': 'x' } });
    }
    const found = await readPublishedKeys(client, logger, never);

    expect([...found.keys()]).to.deep.equal(['foo']);
    expect(found.get('foo')?.get('remote-1')?.source).to.equal('good');
  });
});
