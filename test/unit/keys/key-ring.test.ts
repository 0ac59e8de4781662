/*
 * Keys that are made once, followed, rotated and never made again when they are missing.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createKeyRing, type KeyRing } from '../../../src/keys/key-ring.ts';
import { fileKeyStore, type KeyStore } from '../../../src/keys/key-store.ts';
import { mintKeys, ROTATION_AGE_MS, rotateRoot, rotateSigningKey } from '../../../src/keys/signing-keys.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { CLUSTER } from '../../support/signing.ts';

const never = new AbortController().signal;

describe('key ring', () => {
  let directory = '';
  let path = '';
  let store: KeyStore;
  let clock: FakeClock;
  let hasBundles: boolean | undefined;
  let cluster = CLUSTER;
  const ring = (): KeyRing =>
    createKeyRing({
      store: { ...store, read: (signal) => store.read(signal) },
      cluster: () => Promise.resolve(cluster),
      hasBundles: () => hasBundles,
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
    });
  const refreshed = async (): Promise<KeyRing> => {
    const made = ring();
    await made.refresh(never);
    return made;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
    path = join(directory, 'keys.json');
    store = fileKeyStore(path);
    clock = createFakeClock();
    hasBundles = false;
    cluster = CLUSTER;
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('makes keys that only their owner may read, and uses the same ones after a restart', async () => {
    const first = await refreshed();
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await refreshed()).signer()?.anchor).to.equal(first.signer()?.anchor);
  });

  it('of many replicas that start at the same time makes one set of keys', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, refreshed));
    expect(new Set(rings.map((one) => one.signer()?.anchor)).size).to.equal(1);
  });

  it('makes no keys while it is not known whether there are bundles', async () => {
    hasBundles = undefined;
    const one = await refreshed();
    expect([one.state().kind, await store.read(never)]).to.deep.equal(['waiting', undefined]);
    hasBundles = false;
    await one.refresh(never);
    expect(one.state().kind).to.equal('ready');
  });

  it('makes no keys when signed bundles exist, and takes those that are restored', async () => {
    hasBundles = true;
    const one = await refreshed();
    const changes: string[] = [];
    one.subscribe(() => changes.push(one.state().kind));
    expect([one.state().kind, one.signer(), await store.read(never)]).to.deep.equal(['missing', undefined, undefined]);
    await store.create(mintKeys(CLUSTER, clock.wallMs()), never);
    await one.refresh(never);
    expect(changes).to.deep.equal(['ready']);
  });

  it('makes keys when the bundles of an earlier installation are deleted', async () => {
    hasBundles = true;
    const one = await refreshed();
    hasBundles = undefined;
    await one.refresh(never);
    expect([one.state().kind, await store.read(never)]).to.deep.equal(['missing', undefined]);
    hasBundles = false;
    await one.refresh(never);
    expect(one.state().kind).to.equal('ready');
  });

  it('makes no keys again when those that it used are gone', async () => {
    const one = await refreshed();
    await rm(path);
    await one.refresh(never);
    await one.refresh(never);
    expect([one.state().kind, one.signer(), await store.read(never)]).to.deep.equal(['missing', undefined, undefined]);
  });

  it('keeps the keys that it has while they cannot be read', async () => {
    const one = await refreshed();
    const failing = store;
    store = { ...failing, read: () => Promise.reject(new Error('unreachable')) };
    await one.refresh(never);
    expect(one.state().kind).to.equal('ready');
  });

  it('refuses keys that do not fit together', async () => {
    const keys = mintKeys(CLUSTER, clock.wallMs());
    const other = mintKeys(CLUSTER, clock.wallMs());
    await store.create({ ...keys, root: { ...keys.root, d: other.root.d } }, never);
    expect((await refreshed()).state().kind).to.equal('invalid');
  });

  it('replaces the signing key when it is thirty days old, and follows a root key that another process made', async () => {
    const one = await refreshed();
    const first = one.signer();
    clock.advance(ROTATION_AGE_MS - 60_000);
    await one.refresh(never);
    expect(one.signer()?.kid).to.equal(first?.kid);
    clock.advance(120_000);
    await one.refresh(never);
    expect(one.signer()?.kid).to.not.equal(first?.kid);
    expect(one.signer()?.anchor).to.equal(first?.anchor);
    const stored = await store.read(never);
    if (stored === undefined) throw new Error('no keys');
    await store.replace(rotateRoot(stored.keys, clock.wallMs()), stored.version, never);
    await one.refresh(never);
    expect(one.signer()?.anchor).to.not.equal(first?.anchor);
  });

  it('replaces nothing when another process was faster', async () => {
    await refreshed();
    const stored = await store.read(never);
    if (stored === undefined) throw new Error('no keys');
    expect(await store.replace(rotateSigningKey(stored.keys, clock.wallMs()), stored.version, never)).to.equal(true);
    expect(await store.replace(rotateSigningKey(stored.keys, clock.wallMs()), stored.version, never)).to.equal(false);
    expect(await store.create(stored.keys, never)).to.equal(false);
  });

  it('signs for this cluster with keys that a backup brought from another', async () => {
    await store.create(mintKeys('another-cluster', clock.wallMs()), never);
    const one = await refreshed();
    expect([one.signer()?.cluster, (await store.read(never))?.keys.cluster]).to.deep.equal([CLUSTER, CLUSTER]);
  });
});
