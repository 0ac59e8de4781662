import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import type { KubeClient } from '../../../src/cluster/client.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import type { PublishedConfigMap } from '../../../src/delivery/bundle-config-map.ts';
import { type ConfigMapDelivery, createConfigMapDelivery, isOutdated } from '../../../src/delivery/config-map-delivery.ts';
import type { PublishOptions, PublishResult } from '../../../src/delivery/delivery.ts';
import { readPublishedKeys } from '../../../src/delivery/published-keys.ts';
import { RefusedError } from '../../../src/errors.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeConfigMaps } from '../../support/fake-config-maps.ts';

const never = new AbortController().signal;
const WORKLOAD = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const KEY = 'foo/deployment/httpbin';
const CONFIG_MAP = 'foo/sallyport-bundle-deployment.httpbin';
const OWNER = { apiVersion: 'v1', kind: 'Pod', name: 'httpbin', uid: 'owner' };
const APPLY = 'PATCH application/apply-patch+yaml';

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

interface Bench {
  readonly ledger: WorkloadLedger<PublishedConfigMap>;
  readonly delivery: ConfigMapDelivery;
  /** Publishes as reconcile does: the ledger knows first. */
  readonly publish: (bundle: EncodedBundle, options?: PublishOptions) => Promise<PublishResult>;
  readonly published: (key?: string) => PublishedConfigMap;
  /** Names of the workloads whose copies drifted, from now on. */
  readonly drifted: () => string[];
}

function open(client: KubeClient): Bench {
  const ledger = createWorkloadLedger<PublishedConfigMap>();
  const delivery = createConfigMapDelivery({ client, ledger });
  return {
    ledger,
    delivery,
    publish: (bundle, options = {}) => {
      ledger.desire(`foo/deployment/${bundle.workload.name}`, {
        revision: bundle.digest,
        policies: new Map(),
        findings: new Map(),
        ...(options.owner === undefined ? {} : { ownerUid: options.owner.uid }),
      });
      return delivery.publish(bundle, options, never);
    },
    published: (key = KEY) => {
      const published = ledger.get(key)?.published;
      if (published === undefined) throw new Error('nothing published');
      return published;
    },
    drifted: () => {
      const names: string[] = [];
      delivery.subscribe(({ workload }) => names.push(workload.name));
      return names;
    },
  };
}

describe('ConfigMap delivery: writes', () => {
  it('creates, leaves alone, updates and removes', async () => {
    const { client, objects, requests } = createFakeConfigMaps();
    const { delivery, ledger, publish } = open(client);
    const listed = (): readonly unknown[] => [...ledger.records()].flatMap(({ published }) => published?.workload ?? []);

    expect(await publish(encoded('one'), { owner: OWNER })).to.equal('created');
    expect(await publish(encoded('one'), { owner: OWNER })).to.equal('unchanged');
    expect(requests).to.deep.equal(['GET', APPLY]);
    expect(await publish(encoded('two'), { owner: OWNER })).to.equal('updated');
    expect(listed()).to.deep.equal([WORKLOAD]);
    expect(await delivery.withdraw(WORKLOAD, never)).to.equal(true);
    expect(await delivery.withdraw(WORKLOAD, never)).to.equal(false);
    expect(objects.size).to.equal(0);
    expect(listed()).to.deep.equal([]);
  });

  it('writes labels, annotations, owner and data that an agent can check', async () => {
    const { client, objects } = createFakeConfigMaps();
    const bundle = encoded('one');
    await open(client).publish(bundle, { owner: OWNER });

    const [configMap] = objects.values();
    expect(configMap?.metadata).to.deep.include({
      name: 'sallyport-bundle-deployment.httpbin',
      labels: {
        'app.kubernetes.io/managed-by': 'sallyport',
        'sallyport.dev/bundle': bundle.digest.slice(7, 19),
        'sallyport.dev/workload': 'httpbin',
      },
      annotations: { 'sallyport.dev/digest': bundle.digest, 'sallyport.dev/workload': 'deployment/httpbin' },
      ownerReferences: [OWNER],
    });
    expect(configMap?.['data']).to.deep.equal({ 'bundle.json': bundle.json, 'bundle.sha256': bundle.digest });
  });

  it('writes nothing after a restart when the informer reports the desired bundle', async () => {
    const { client, objects, requests } = createFakeConfigMaps();
    await open(client).publish(encoded('one'));
    const restarted = open(client);
    const seen = restarted.delivery.project([...objects.values()][0] ?? {});
    if (seen === undefined) throw new Error('not recognised');
    restarted.delivery.sink.upsert(CONFIG_MAP, seen);

    expect(await restarted.publish(encoded('one'))).to.equal('unchanged');
    expect(requests).to.have.length(2);
    expect(await restarted.publish(encoded('one'), { owner: OWNER })).to.equal('updated');
  });

  it('removes keys that others added before it applies', async () => {
    const { client, requests } = createFakeConfigMaps();
    const { delivery, publish, published } = open(client);
    await publish(encoded('one'));

    delivery.sink.upsert(CONFIG_MAP, { ...published(), unmanagedKeys: [['data', 'x']] });
    await publish(encoded('one'));
    expect(requests.slice(2)).to.deep.equal(['PATCH application/merge-patch+json', APPLY]);
  });

  for (const isSeen of [true, false]) {
    it(isSeen ? 'replaces an immutable ConfigMap' : 'replaces an immutable ConfigMap that lost its label and is not watched', async () => {
      const { client, objects, requests } = createFakeConfigMaps();
      const { ledger, publish } = open(client);
      await publish(encoded('one'));
      const [path, good] = [...objects][0] as [string, RawObject];
      const { labels: _labels, ...unlabelled } = good.metadata ?? {};
      objects.set(path, { ...good, data: {}, immutable: true, ...(isSeen ? {} : { metadata: unlabelled }) });
      if (!isSeen) ledger.setPublished(KEY, undefined);

      await publish(encoded('two'));

      const read = isSeen ? [] : ['GET'];
      expect(requests).to.deep.equal(['GET', APPLY, ...read, APPLY, 'GET', 'DELETE', APPLY]);
      expect(objects.get(path)?.['immutable']).to.equal(undefined);
    });
  }

  it('reports why the server refuses a ConfigMap that is not immutable', async () => {
    const { client, objects } = createFakeConfigMaps();
    const request: KubeClient['request'] = (wanted) =>
      wanted.method === 'PATCH' ? Promise.reject(new RefusedError('SP_KUBE_INVALID', 'no')) : client.request(wanted);

    const error = await open({ ...client, request })
      .publish(encoded('one'))
      .catch((reason: unknown) => reason);

    expect(error).to.be.instanceOf(RefusedError).with.property('message', 'no');
    expect(objects.size).to.equal(0);
  });
});

describe('ConfigMap delivery: objects of others', () => {
  const foreign: readonly (readonly [string, object])[] = [
    ['without our labels', { labels: {}, annotations: { 'sallyport.dev/workload': 'deployment/httpbin' } }],
    [
      'with another manager',
      {
        labels: { 'sallyport.dev/bundle': 'x', 'app.kubernetes.io/managed-by': 'Helm' },
        annotations: { 'sallyport.dev/workload': 'deployment/httpbin' },
      },
    ],
    [
      'of another workload',
      {
        labels: { 'sallyport.dev/bundle': 'x', 'app.kubernetes.io/managed-by': 'sallyport' },
        annotations: { 'sallyport.dev/workload': 'deployment/other' },
      },
    ],
    ['without annotations', { labels: { 'sallyport.dev/bundle': 'x', 'app.kubernetes.io/managed-by': 'sallyport' } }],
  ];
  for (const [name, metadata] of foreign) {
    it(`does not overwrite or delete one ${name} that has the name of a bundle`, async () => {
      const { client, objects, requests } = createFakeConfigMaps();
      const { delivery, publish } = open(client);
      await publish(encoded('one'));
      const [path = ''] = [...objects.keys()];
      await delivery.withdraw(WORKLOAD, never);
      const precious = {
        metadata: { namespace: 'foo', name: 'sallyport-bundle-deployment.httpbin', uid: 'theirs', ...metadata },
        data: { precious: 'x' },
      };
      objects.set(path, precious);
      expect(delivery.project(precious)).to.equal(undefined);

      const error = await publish(encoded('two')).catch((reason: unknown) => reason);
      await delivery.withdraw(WORKLOAD, never);

      expect(error).to.be.instanceOf(RefusedError).with.property('code', 'SP_NAME_TAKEN');
      expect(objects.get(path)).to.equal(precious);
      expect(requests.at(-1)).to.equal('GET');
    });
  }

  it('takes over a copy that it wrote earlier and that the informer has not reported', async () => {
    const { client, objects } = createFakeConfigMaps();
    await open(client).publish(encoded('one'));

    expect(await open(client).publish(encoded('two'))).to.equal('created');
    expect(objects.size).to.equal(1);
  });
});

describe('ConfigMap delivery: drift', () => {
  it('reports changes by others and not its own', async () => {
    const { client } = createFakeConfigMaps();
    const { delivery, publish, published, drifted } = open(client);
    const names = drifted();
    await publish(encoded('one'));
    await publish(encoded('two'));
    expect(names).to.deep.equal([]);

    const own = published();
    delivery.sink.upsert(CONFIG_MAP, { ...own, revision: 'other' });
    delivery.sink.upsert('foo/sallyport-bundle-deployment.ghost', {
      ...own,
      workload: { namespace: 'foo', kind: 'deployment', name: 'ghost' },
    });
    delivery.sink.remove(CONFIG_MAP);
    expect(names).to.deep.equal(['httpbin', 'ghost', 'httpbin']);
  });

  it('does not report its own write when the watch reports it before the response arrives', async () => {
    const { client, objects } = createFakeConfigMaps();
    const { delivery, publish, drifted } = open({
      ...client,
      request: async (wanted) => {
        const response = await client.request(wanted);
        const seen = delivery.project([...objects.values()][0] ?? {});
        if (seen !== undefined) delivery.sink.upsert(CONFIG_MAP, seen);
        return response;
      },
    });
    const names = drifted();
    await publish(encoded('one'));
    await publish(encoded('two'));
    expect(names).to.deep.equal([]);
  });

  it('does not take its own write for published when the watch reports its removal before the response arrives', async () => {
    const { client, objects, requests } = createFakeConfigMaps();
    const { delivery, publish, drifted, ledger } = open({
      ...client,
      request: async (wanted) => {
        const response = await client.request(wanted);
        const [path, object] = [...objects][0] ?? [];
        const seen = delivery.project(object ?? {});
        if (requests.length > 2 || path === undefined || seen === undefined) return response;
        delivery.sink.upsert(CONFIG_MAP, seen);
        objects.delete(path);
        delivery.sink.remove(CONFIG_MAP);
        return response;
      },
    });
    const names = drifted();
    await publish(encoded('one'));
    expect(names).to.deep.equal(['httpbin']);
    expect(ledger.get(KEY)?.published).to.equal(undefined);

    await publish(encoded('one'));
    expect(objects.size).to.equal(1);
    expect(ledger.get(KEY)?.published?.revision).to.equal(encoded('one').digest);
  });

  it('reports bundles that are missing from a new list', async () => {
    const { client } = createFakeConfigMaps();
    const { delivery, publish, published, drifted, ledger } = open(client);
    await publish(encoded('one'));
    const names = drifted();
    delivery.sink.replace(new Map([[CONFIG_MAP, published()]]));
    expect(names).to.deep.equal([]);

    delivery.sink.replace(new Map());
    expect(names).to.deep.equal(['httpbin']);
    expect(ledger.get(KEY)?.published).to.equal(undefined);
  });

  it('keeps a later change when the response to its own write arrives after it', async () => {
    const { client } = createFakeConfigMaps();
    const { delivery, publish, published, drifted } = open(client);
    await publish(encoded('one'));
    const own = published();
    const names = drifted();
    const writing = publish(encoded('two'));
    delivery.sink.upsert(CONFIG_MAP, { ...own, resourceVersion: '99', unmanagedKeys: [['data', 'x']] });
    await writing;

    expect(published().unmanagedKeys).to.have.length(1);
    expect(names).to.deep.equal(['httpbin']);
  });

  it('recognises a late watch event by its resourceVersion', () => {
    const copy: PublishedConfigMap = {
      workload: WORKLOAD,
      uid: 'u',
      resourceVersion: '10',
      policies: new Map(),
      ownerUids: [],
      unmanagedKeys: [],
    };
    expect(isOutdated(copy, { ...copy, resourceVersion: '9' })).to.equal(true);
    expect(isOutdated(copy, { ...copy, resourceVersion: '10' })).to.equal(false);
    expect(isOutdated(copy, { ...copy, resourceVersion: '9', uid: 'new' })).to.equal(false);
    expect(isOutdated(undefined, copy)).to.equal(false);
  });
});

describe('keys of published bundles', () => {
  const logger = createLogger({ level: 'silent', component: 'test' });

  it('are read by namespace, and damaged bundles are skipped', async () => {
    const { client, objects } = createFakeConfigMaps();
    const { publish } = open(client);
    await publish(encoded('good'));
    await publish(encoded('cut', 'sleep'));
    for (const [path, object] of objects) {
      if (path.endsWith('sleep')) objects.set(path, { ...object, data: { 'bundle.json': '{', 'bundle.sha256': 'x' } });
    }
    const found = await readPublishedKeys(client, logger, never);

    expect([...found.keys()]).to.deep.equal(['foo']);
    expect(found.get('foo')?.get('remote-1')?.source).to.equal('good');
  });
});
