/*
 * Publishing in slots: what is written, what other clients may do to it, and what comes of it.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { parseWorkloadKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { encodeBundle, encodeLegacyBundle } from '../../../src/bundle/encode.ts';
import type { Signer } from '../../../src/bundle/signer.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { listInCluster } from '../../../src/cluster/list-objects.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { type ConfigMapDelivery, createConfigMapDelivery } from '../../../src/delivery/config-map-delivery.ts';
import type { PublishOptions, PublishResult } from '../../../src/delivery/delivery.ts';
import type { PublishedCopies } from '../../../src/delivery/published-copies.ts';
import { readPublishedKeys } from '../../../src/delivery/published-keys.ts';
import { RefusedError } from '../../../src/errors.ts';
import { mintKeys, rotateSigningKey, signerOf } from '../../../src/keys/signing-keys.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from '../../support/fake-config-maps.ts';
import { CLUSTER, KEYS, SIGNER } from '../../support/signing.ts';

const never = new AbortController().signal;
const logger = createLogger({ level: 'silent', component: 'test' });
const WORKLOAD = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
const KEY = 'foo/deployment/httpbin';
const SLOT = (slot: number): string => `sallyport-bundle-deployment.httpbin.${slot}`;
const LEGACY = 'sallyport-httpbin';
/** What the compiler says; the bundles themselves name none. */
const POLICIES = new Map([['AuthorizationPolicy/foo/allow-nothing', 3]]);
const OWNER = { apiVersion: 'v1', kind: 'Pod', name: 'httpbin', uid: 'owner' };

function encoded(note: string, noise = ''): EncodedBundle {
  const { bundle } = compileWorkload({
    workload: WORKLOAD,
    labelSets: [{}],
    policiesFor: () => [],
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
  return encodeBundle({ ...bundle, keySets: { 'remote-1': { source: note, keys: [{ kty: 'EC', kid: note, noise }] } } });
}

interface Bench {
  readonly fake: FakeConfigMaps;
  readonly ledger: WorkloadLedger<PublishedCopies>;
  readonly delivery: ConfigMapDelivery;
  readonly clock: FakeClock;
  signer: Signer | undefined;
  tampered: number;
  /** Publishes as reconcile does: the ledger knows first. */
  readonly publish: (bundle: EncodedBundle, options?: PublishOptions) => Promise<PublishResult>;
  readonly published: () => PublishedCopies;
  readonly drifted: string[];
  readonly names: () => string[];
  /** Changes the ConfigMap of a slot as another client would. */
  readonly tamper: (slot: number, change: (raw: RawObject) => RawObject) => void;
}

/** A delivery whose informer reports every write immediately, before the response arrives. */
function open(fake: FakeConfigMaps = createFakeConfigMaps()): Bench {
  const ledger = createWorkloadLedger<PublishedCopies>();
  const clock = createFakeClock();
  const bench: Bench = {
    fake,
    ledger,
    clock,
    signer: SIGNER,
    tampered: 0,
    drifted: [],
    delivery: createConfigMapDelivery({
      client: fake.client,
      ledger,
      signer: () => bench.signer,
      clock,
      logger,
      onTampered: () => void (bench.tampered += 1),
    }),
    publish: (bundle, options = {}) => {
      ledger.desire(KEY, {
        revision: bundle.digest,
        policies: new Map(),
        findings: new Map(),
        ...(options.owner === undefined ? {} : { ownerUid: options.owner.uid }),
      });
      return bench.delivery.publish(bundle, { policies: POLICIES, ...options }, never);
    },
    published: () => {
      const published = ledger.get(KEY)?.published;
      if (published === undefined) throw new Error('nothing published');
      return published;
    },
    names: () => [...fake.objects.keys()].map((name) => name.replace('foo/', '')).sort(),
    tamper: (slot, change) => {
      const raw = fake.objects.get(`foo/${SLOT(slot)}`);
      if (raw === undefined) throw new Error(`no slot ${slot}`);
      fake.put(change(raw));
    },
  };
  const report = (name: string, object: RawObject | undefined): void => {
    const copy = object === undefined ? undefined : bench.delivery.project(object);
    if (copy === undefined) bench.delivery.sink.remove(name);
    else bench.delivery.sink.upsert(name, copy);
  };
  fake.onEvent = report;
  for (const [name, object] of fake.objects) report(name, object);
  bench.delivery.subscribe(({ workload }) => bench.drifted.push(workload.name));
  return bench;
}

describe('ConfigMap delivery: writes', () => {
  it('signs again what etcd had before, when it was restored from a backup', async () => {
    const { fake, delivery, clock, drifted, publish, published } = open();
    const name = `foo/${SLOT(0)}`;
    const relist = (raw: RawObject): void => {
      const copy = delivery.project(raw);
      if (copy !== undefined) delivery.sink.replace(new Map([[name, copy]]), raw.metadata?.resourceVersion ?? '');
    };
    await publish(encoded('one'));
    const earlier = fake.objects.get(name) ?? {};
    await publish(encoded('two'));
    const { number = 0 } = published().current ?? {};
    drifted.length = 0;
    // A list that began before the last write looks the same, but the watch reports the write after it.
    const newest = fake.objects.get(name) ?? {};
    relist(earlier);
    relist(newest);
    clock.advance(60_000);
    expect([drifted, published().current?.number]).to.deep.equal([[], number]);

    fake.objects.set(name, earlier);
    relist(earlier);
    expect(drifted).to.deep.equal([]);
    clock.advance(5_000);
    expect(drifted).to.deep.equal([WORKLOAD.name]);
    await publish(encoded('two'));
    expect(published().current?.number).to.be.greaterThan(number);
    expect(fake.objects.get(name)?.['data']).not.to.deep.equal(earlier['data']);
  });

  it('creates a copy again that was deleted before any event reported it, once a list lacks it', async () => {
    const { fake, delivery, ledger, drifted, publish, names } = open();
    fake.onEvent = undefined;
    await publish(encoded('one'));
    const before = `${Number(fake.resourceVersion()) - 1}`;
    delivery.sink.replace(new Map(), before);
    expect([drifted, ledger.get(KEY)?.published?.slots.size], 'a list from before the write').to.deep.equal([[], 1]);

    fake.objects.delete(`foo/${SLOT(0)}`);
    delivery.sink.replace(new Map(), fake.resourceVersion());
    expect([drifted, ledger.get(KEY)?.published]).to.deep.equal([[WORKLOAD.name], undefined]);
    await publish(encoded('one'));
    expect(names()).to.deep.equal([SLOT(0)]);
  });

  it('takes a list of one namespace as nothing about the others', async () => {
    const { fake, delivery, ledger, drifted, publish } = open();
    fake.onEvent = undefined;
    await publish(encoded('one'));
    delivery.sink.replaceIn?.('bar', new Map(), fake.resourceVersion());
    expect([drifted, ledger.get(KEY)?.published?.slots.size]).to.deep.equal([[], 1]);

    delivery.sink.replaceIn?.('foo', new Map(), fake.resourceVersion());
    expect([drifted, ledger.get(KEY)?.published]).to.deep.equal([[WORKLOAD.name], undefined]);
  });

  it('creates, leaves alone, updates and removes', async () => {
    const { delivery, ledger, publish, fake, names } = open();
    expect(await publish(encoded('one'), { owner: OWNER })).to.equal('created');
    expect(await publish(encoded('one'), { owner: OWNER })).to.equal('unchanged');
    expect(fake.requests).to.have.length(1);
    expect(await publish(encoded('two'), { owner: OWNER })).to.equal('updated');
    expect(names()).to.deep.equal([SLOT(0)]);
    expect(await delivery.withdraw(WORKLOAD, never)).to.equal(true);
    expect(await delivery.withdraw(WORKLOAD, never)).to.equal(false);
    expect(names()).to.deep.equal([]);
    expect(ledger.get(KEY)?.published).to.equal(undefined);
  });

  it('writes labels, annotations, owner and signed data', async () => {
    const { fake, publish } = open();
    const bundle = encoded('one');
    await publish(bundle, { owner: OWNER });
    const configMap = fake.objects.get(`foo/${SLOT(0)}`);
    expect(configMap?.metadata).to.deep.include({
      labels: {
        'app.kubernetes.io/managed-by': 'sallyport',
        'sallyport.dev/bundle': bundle.digest.slice(7, 19),
        'sallyport.dev/workload': 'httpbin',
      },
      annotations: { 'sallyport.dev/digest': bundle.digest, 'sallyport.dev/workload': 'deployment/httpbin' },
      ownerReferences: [OWNER],
    });
    expect(configMap?.['data']).to.have.all.keys('statement.jws', 'keys.jws', 'part').and.include({ part: bundle.json });
  });

  it('writes nothing after a restart when the informer reports the desired bundle', async () => {
    const first = open();
    await first.publish(encoded('one'));
    const restarted = open(first.fake);
    expect(await restarted.publish(encoded('one'))).to.equal('unchanged');
    expect(await restarted.publish(encoded('one'), { owner: OWNER })).to.equal('updated');
  });

  it('takes its own copies to hold the policies that they were compiled from, and those of others to hold what they name', async () => {
    const { publish, published, tamper, fake } = open();
    await publish(encoded('one'));
    expect(published().policies).to.deep.equal(POLICIES);

    tamper(0, (raw) => ({ ...raw, data: { ...(raw['data'] as object), part: encoded('two').json } }));
    expect(published()).not.to.have.property('current');
    expect(published().policies).to.deep.equal(new Map());

    await publish(encoded('one'));
    expect(published().policies).to.deep.equal(POLICIES);
    const other = open(fake);
    expect(other.published().current).to.deep.equal(published().current);
    expect(other.published().policies).to.deep.equal(new Map());
  });

  it('does not trust its own copies any longer than the keys that signed them', async () => {
    const bench = open();
    await bench.publish(encoded('one'));
    bench.signer = signerOf(mintKeys(CLUSTER, 1));
    bench.delivery.onKeysChanged();
    expect(bench.published()).not.to.have.property('current');

    const stored = bench.fake.objects.get(`foo/${SLOT(0)}`) ?? {};
    bench.tamper(0, () => ({ ...stored, metadata: { ...stored.metadata, annotations: { ...stored.metadata?.annotations, note: 'x' } } }));
    expect(bench.published()).not.to.have.property('current');
  });

  it('numbers bundles upwards, also when the clock stands still or goes back', async () => {
    const { publish, published, clock } = open();
    await publish(encoded('one'));
    const first = published().current?.number ?? 0;
    expect(first).to.equal(Math.floor(clock.wallMs()));
    await publish(encoded('two'));
    expect(published().current?.number).to.equal(first + 1);
  });

  it('signs a bundle again when another key signs, and when all are to be renewed', async () => {
    const bench = open();
    await bench.publish(encoded('one'));
    const first = bench.published().current?.number ?? 0;
    bench.signer = signerOf(rotateSigningKey(KEYS, Date.now() + 1));
    bench.delivery.onKeysChanged();
    expect(await bench.publish(encoded('one'))).to.equal('updated');
    expect(await bench.publish(encoded('one'))).to.equal('unchanged');
    bench.clock.advance(3_600_000);
    bench.delivery.renewAll();
    expect(await bench.publish(encoded('one'))).to.equal('updated');
    expect(await bench.publish(encoded('one'))).to.equal('unchanged');
    expect(bench.published().current?.number).to.be.at.least(first + 3_600_000);
    bench.clock.advance(1_000);
    bench.delivery.renew(parseWorkloadKey(KEY), first);
    expect(await bench.publish(encoded('one'))).to.equal('updated');
    expect(await bench.publish(encoded('one'))).to.equal('unchanged');
    expect(bench.published().current?.number).to.be.at.least(first + 3_601_000);
  });

  it('splits a bundle over 1 MiB over two slots, and puts it together again', async () => {
    const { publish, published, names, ledger, fake } = open();
    const noise = Array.from({ length: 60_000 }, () => crypto.randomUUID()).join('');
    const large = encoded('large', noise);
    await publish(encoded('small'));
    expect(await publish(large)).to.equal('updated');
    expect(names()).to.deep.equal([SLOT(0), SLOT(1)]);
    expect(published().revision).to.equal(large.digest);
    expect(open(fake).published().revision).to.equal(large.digest);
    expect(await publish(encoded('small'))).to.equal('updated');
    expect(names()).to.deep.equal([SLOT(0)]);
    expect(ledger.get(KEY)?.published?.revision).to.equal(encoded('small').digest);
  });

  it('refuses a bundle that does not fit into two slots', async () => {
    const noise = Array.from({ length: 130_000 }, () => crypto.randomUUID()).join('');
    const error = await open()
      .publish(encoded('large', noise))
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(RefusedError).with.property('code', 'SP_TOO_LARGE');
  });

  it('refuses to publish without keys, and keeps what is published', async () => {
    const bench = open();
    await bench.publish(encoded('one'));
    bench.signer = undefined;
    bench.delivery.onKeysChanged();
    const error = await bench.publish(encoded('two')).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(RefusedError).with.property('code', 'SP_KEYS_MISSING');
    expect(bench.names()).to.deep.equal([SLOT(0)]);
    expect(bench.delivery.hasBundles()).to.equal(true);
    bench.signer = SIGNER;
    bench.delivery.onKeysChanged();
    expect(bench.published().revision).to.equal(encoded('one').digest);
  });
});

describe('ConfigMap delivery: changes by others', () => {
  const forged = encoded('forged');
  const withData =
    (data: object) =>
    (raw: RawObject): RawObject => ({ ...raw, data: { ...(raw['data'] as object), ...data } });
  const changes: readonly (readonly [string, (raw: RawObject) => RawObject])[] = [
    ['another part', withData({ part: forged.json })],
    ['no statement', withData({ 'statement.jws': '' })],
    ['a statement of other keys', withData({ 'statement.jws': 'a.b.c' })],
    ['other lists of keys', withData({ 'keys.jws': 'x' })],
    ['a further key', (raw) => ({ ...raw, binaryData: { 'bundle.json.gz': 'eA==' } })],
    ['an immutable object', (raw) => ({ ...withData({ part: 'x' })(raw), immutable: true })],
    [
      'an immutable object with a finalizer',
      (raw) => ({ ...withData({ part: 'x' })(raw), immutable: true, metadata: { ...raw.metadata, finalizers: ['example/held'] } }),
    ],
    [
      'an object that is being deleted and kept by a finalizer',
      (raw) => ({ ...raw, metadata: { ...raw.metadata, finalizers: ['example/held'], deletionTimestamp: 'now' } }),
    ],
    ['an object without labels', (raw) => ({ ...raw, metadata: { ...raw.metadata, labels: {}, annotations: {} } })],
  ];
  for (const [what, change] of changes) {
    it(`replaces ${what} and reports it`, async () => {
      const { publish, tamper, drifted, published, names, fake } = open();
      await publish(encoded('one'));
      tamper(0, change);
      expect(drifted).to.deep.equal(['httpbin']);
      await publish(encoded('one'));
      expect(names()).to.deep.equal([SLOT(0)]);
      expect(published().revision).to.equal(encoded('one').digest);
      const { data, immutable, binaryData, metadata } = fake.objects.get(`foo/${SLOT(0)}`) as Record<string, unknown>;
      expect(data)
        .to.include({ part: encoded('one').json })
        .and.have.all.keys('statement.jws', 'keys.jws', 'part');
      expect([immutable, binaryData, (metadata as Record<string, unknown>)['finalizers']]).to.deep.equal([undefined, undefined, undefined]);
    });
  }

  it('says so in the ledger for ten minutes, counts it, and makes kubelets read the copy again', async () => {
    const bench = open();
    await bench.publish(encoded('one'));
    bench.tamper(0, withData({ part: forged.json }));
    expect(await bench.publish(encoded('one'))).to.equal('repaired');
    expect(bench.tampered).to.equal(1);
    expect(bench.published().tampered).to.match(/another client changed the ConfigMap sallyport-bundle-deployment\.httpbin\.0/);
    expect(bench.published().resync).to.match(new RegExp(`^${encoded('one').digest}#\\d+$`));
    bench.clock.advance(599_000);
    expect(bench.published().tampered).to.not.equal(undefined);
    bench.clock.advance(2_000);
    expect(bench.published().tampered).to.equal(undefined);
  });

  it('takes an earlier copy that another client wrote again for a change', async () => {
    const { publish, fake, published } = open();
    await publish(encoded('one'));
    const earlier = fake.objects.get(`foo/${SLOT(0)}`);
    await publish(encoded('two'));
    fake.put(earlier ?? {});
    expect(await publish(encoded('two'))).to.equal('repaired');
    expect(published().revision).to.equal(encoded('two').digest);
  });

  it('never touches a ConfigMap of its name that is not ours, and uses the next slot', async () => {
    const { publish, fake, published, names } = open();
    const foreign = { metadata: { namespace: 'foo', name: SLOT(0) }, data: { theirs: 'x' } };
    fake.put(foreign);
    expect(await publish(encoded('one'))).to.equal('created');
    expect(names()).to.deep.equal([SLOT(0), SLOT(1)]);
    expect(fake.objects.get(`foo/${SLOT(0)}`)?.['data']).to.deep.equal({ theirs: 'x' });
    expect(published().tampered).to.match(/httpbin\.0: a ConfigMap that is not ours has its name/);
    expect(await publish(encoded('one'))).to.equal('unchanged');
  });

  it('moves to another slot when a ConfigMap cannot be released', async () => {
    const { publish, fake, tamper, published } = open();
    await publish(encoded('one'));
    tamper(0, (raw) => ({ ...raw, data: { part: 'x' }, immutable: true, metadata: { ...raw.metadata, finalizers: ['example/held'] } }));
    const { client } = fake;
    // Another client puts the finalizer back as soon as it is removed.
    const held: typeof client.request = (wanted) => {
      const body = wanted.body as RawObject | undefined;
      const isRelease = wanted.method === 'PUT' && wanted.path.endsWith(SLOT(0)) && body?.metadata?.['finalizers'] !== undefined;
      return client.request(
        isRelease ? { ...wanted, body: { ...body, metadata: { ...body.metadata, finalizers: ['example/held'] } } } : wanted,
      );
    };
    const delivery = createConfigMapDelivery({
      client: { ...client, request: held },
      ledger: open().ledger,
      signer: () => SIGNER,
      clock: createFakeClock(),
      logger,
    });
    const bundle = encoded('two');
    await delivery.publish(bundle, {}, never);
    await publish(encoded('two'));
    expect(published().revision).to.equal(bundle.digest);
    expect(fake.objects.has(`foo/${SLOT(1)}`)).to.equal(true);
  });

  it('prefers slots that others leave alone, and reconciles at most once a second', async () => {
    const { publish, tamper, drifted, clock, published } = open();
    await publish(encoded('one'));
    for (let write = 0; write < 60; write += 1) tamper(0, withData({ part: `x${write}` }));
    expect(drifted).to.have.length(1);
    clock.advance(1_000);
    expect(drifted).to.have.length(2);
    await publish(encoded('one'));
    expect(published().slots.get(1)?.statement?.digest).to.equal(encoded('one').digest);
  });

  it('reports a deleted bundle as drifted, and its own deletions not', async () => {
    const { publish, fake, drifted, delivery, ledger } = open();
    await publish(encoded('one'));
    fake.objects.delete(`foo/${SLOT(0)}`);
    fake.onEvent?.(`foo/${SLOT(0)}`, undefined);
    expect(drifted).to.deep.equal(['httpbin']);
    expect(await publish(encoded('one'))).to.equal('created');
    ledger.desire(KEY, { policies: new Map(), findings: new Map() });
    await delivery.withdraw(WORKLOAD, never);
    expect(drifted).to.deep.equal(['httpbin']);
  });
});

describe('ConfigMap delivery: agents of the version before', () => {
  const legacy = encodeLegacyBundle(JSON.parse(encoded('one').json));

  it('get the unsigned ConfigMap for as long as they exist', async () => {
    const { publish, names, fake } = open();
    expect(await publish(encoded('one'), { legacy })).to.equal('created');
    expect(names()).to.deep.equal([SLOT(0), LEGACY]);
    expect(fake.objects.get(`foo/${LEGACY}`)?.['data']).to.deep.equal({ 'bundle.json': legacy.json, 'bundle.sha256': legacy.digest });
    expect(JSON.parse(legacy.json)).to.deep.include({ schema: 'sallyport.dev/bundle/v1', workload: { namespace: 'foo', name: 'httpbin' } });
    expect(await publish(encoded('one'), { legacy })).to.equal('unchanged');
    expect(await publish(encoded('one'))).to.equal('updated');
    expect(names()).to.deep.equal([SLOT(0)]);
  });

  it('keep the ConfigMap that the version before wrote until it is replaced', async () => {
    const { publish, fake, ledger, names } = open();
    fake.put({
      metadata: {
        namespace: 'foo',
        name: LEGACY,
        labels: { 'app.kubernetes.io/managed-by': 'sallyport', 'sallyport.dev/bundle': 'x', 'sallyport.dev/workload': 'httpbin' },
        annotations: { 'sallyport.dev/workload': 'httpbin' },
      },
      data: { 'bundle.json': '{}' },
    });
    expect(ledger.get('foo//httpbin')?.published?.legacy).to.not.equal(undefined);
    await publish(encoded('one'), { legacy });
    expect(names()).to.deep.equal([SLOT(0), LEGACY]);
    expect(fake.objects.get(`foo/${LEGACY}`)?.['data']).to.include({ 'bundle.json': legacy.json });
    expect(ledger.get('foo//httpbin')?.published).to.equal(undefined);
  });

  it('never keep a bundle of two parts from being published', async () => {
    const { publish, names, published } = open();
    const large = encoded('two', randomBytes(1_100_000).toString('base64'));
    const failures: unknown[] = [];
    const options = { legacy: encodeLegacyBundle(JSON.parse(large.json)), onLegacyFailed: (error: unknown) => void failures.push(error) };

    expect(await publish(large, options)).to.equal('created');
    expect(names()).to.deep.equal([SLOT(0), SLOT(1)]);
    expect(published().revision).to.equal(large.digest);
    expect(failures.map(String))
      .to.have.length(1)
      .and.match(/SP_TOO_LARGE|ConfigMap|larger|bytes/);
    expect(await publish(large, options)).to.equal('unchanged');
  });

  it('never get a foreign ConfigMap of that name overwritten', async () => {
    const { publish, fake, published } = open();
    fake.put({ metadata: { namespace: 'foo', name: LEGACY }, data: { theirs: 'x' } });
    await publish(encoded('one'), { legacy });
    expect(fake.objects.get(`foo/${LEGACY}`)?.['data']).to.deep.equal({ theirs: 'x' });
    expect(published().tampered).to.match(/not ours/);
  });
});

describe('keys of published bundles', () => {
  it('are read by namespace from what our own keys signed', async () => {
    const { publish, fake } = open();
    await publish(encoded('good'));
    const found = await readPublishedKeys({ list: listInCluster(fake.client), signer: SIGNER, logger }, never);
    expect(found.get('foo')?.get('remote-1')?.keySet.source).to.equal('good');
    const other = signerOf(mintKeys(CLUSTER, Date.now()));
    expect((await readPublishedKeys({ list: listInCluster(fake.client), signer: other, logger }, never)).size).to.equal(0);
  });
});
