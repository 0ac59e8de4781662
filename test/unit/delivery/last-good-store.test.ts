/* Records of last good versions: signed ConfigMaps, and files. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Signer } from '../../../src/bundle/signer.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { listInCluster } from '../../../src/cluster/list-objects.ts';
import { DocumentWatch, documentOf } from '../../../src/delivery/document-watch.ts';
import { createLastGoodConfigMaps } from '../../../src/delivery/last-good-config-maps.ts';
import { createLastGoodFiles } from '../../../src/delivery/last-good-files.ts';
import { formatRecord, type LastGoodStore, MAX_RECORD_BYTES } from '../../../src/delivery/last-good-store.ts';
import { mintKeys, rotateRoot, rotateSigningKey, signerOf } from '../../../src/keys/signing-keys.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from '../../support/fake-config-maps.ts';

const signal = new AbortController().signal;
const logger = createLogger({ level: 'silent', component: 'test' });
const NOW = 1_700_000_000_000;
const manifests = [{ kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'foo' } }];

describe('records of last good versions in ConfigMaps', () => {
  let configMaps: FakeConfigMaps;
  const keys = mintKeys('cluster', NOW);
  beforeEach(() => {
    configMaps = createFakeConfigMaps();
  });
  const storeOf = (signer: Signer | undefined = signerOf(keys)): LastGoodStore =>
    createLastGoodConfigMaps({
      client: configMaps.client,
      list: listInCluster(configMaps.client),
      signer: () => signer,
      wallMs: () => NOW,
      logger,
      documents: new DocumentWatch(createFakeClock(), () => undefined),
    });
  const read = async (signer?: Signer): Promise<unknown> => Object.fromEntries(await storeOf(signer).read(signal));
  const onlyObject = (): [string, RawObject] => {
    const [entry] = configMaps.objects;
    if (entry === undefined) throw new Error('nothing is stored');
    return entry;
  };

  it('are read by another process', async () => {
    await storeOf().write('foo', manifests, signal);

    expect(onlyObject()[0]).to.equal('foo/sallyport-bundle-last-valid.0');
    expect(await read()).to.deep.equal({ foo: manifests });
  });

  it('are written only when they differ, and removed when nothing is left', async () => {
    const store = storeOf();
    await store.write('foo', [], signal);
    expect(configMaps.requests).to.deep.equal([]);
    await store.write('foo', manifests, signal);
    await store.write('foo', manifests, signal);
    expect(configMaps.requests).to.have.length(1);
    const other = storeOf();
    await other.read(signal);
    await other.write('foo', manifests, signal);
    expect(configMaps.requests).to.deep.equal(['POST sallyport-bundle-last-valid.0', 'GET']);
    await other.write('foo', [], signal);
    expect(configMaps.objects.size).to.equal(0);
  });

  it('survive a rotation of the signing key and of the root key, and are signed again by the new one', async () => {
    await storeOf().write('foo', manifests, signal);
    const rotated = signerOf(rotateRoot(rotateSigningKey(keys, NOW + 1), NOW + 2));
    const store = storeOf(rotated);
    expect(Object.fromEntries(await store.read(signal))).to.deep.equal({ foo: manifests });
    await store.write('foo', manifests, signal);
    const later = { ...rotated, keys: { ...rotated.keys, keys: new Map([...rotated.keys.keys].filter(([kid]) => kid === rotated.kid)) } };
    expect(await read(later)).to.deep.equal({ foo: manifests });
  });

  const changes: Readonly<Record<string, (raw: RawObject) => RawObject>> = {
    'whose content was changed': (raw) => ({
      ...raw,
      binaryData: { part: Buffer.from('{"namespace":"foo","policies":[]}').toString('base64') },
    }),
    'without a signature': (raw) => ({ ...raw, data: {} }),
    'of another namespace': (raw) => ({ ...raw, metadata: { ...raw.metadata, namespace: 'bar' } }),
    'under another name': (raw) => ({ ...raw, metadata: { ...raw.metadata, name: 'other' } }),
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`are not accepted ${name}`, async () => {
      await storeOf().write('foo', manifests, signal);
      const [path, raw] = onlyObject();
      configMaps.objects.set(path, change(raw));

      expect(await read()).to.deep.equal({});
    });
  }

  it('are written again, or removed, after another client changed them', async () => {
    const documents = new DocumentWatch(createFakeClock(), () => undefined);
    configMaps.onEvent = (name, raw) => {
      const copy = raw === undefined ? undefined : documentOf(raw);
      if (copy === undefined) documents.sink.remove(name);
      else documents.sink.upsert(name, copy);
    };
    const store = createLastGoodConfigMaps({
      client: configMaps.client,
      list: listInCluster(configMaps.client),
      signer: () => signerOf(keys),
      wallMs: () => NOW,
      logger,
      documents,
    });
    const changed: string[] = [];
    store.subscribe((namespace) => changed.push(namespace));
    await store.write('foo', manifests, signal);
    const [, raw] = onlyObject();
    configMaps.put({ ...raw, data: {} });
    expect(changed).to.deep.equal(['foo']);
    await store.write('foo', manifests, signal);
    expect(await read()).to.deep.equal({ foo: manifests });

    await store.write('bar', [], signal);
    configMaps.put({ ...raw, metadata: { ...raw.metadata, namespace: 'bar' } });
    expect(changed).to.deep.equal(['foo', 'bar']);
    await store.write('bar', [], signal);
    expect([...configMaps.objects.keys()]).to.deep.equal(['foo/sallyport-bundle-last-valid.0']);
  });

  it('are not accepted from another cluster or other keys', async () => {
    await storeOf().write('foo', manifests, signal);

    expect(await read(signerOf(mintKeys('cluster', NOW)))).to.deep.equal({});
    expect(await read(signerOf({ ...keys, cluster: 'other' }))).to.deep.equal({});
  });

  it('need keys', async () => {
    const store = createLastGoodConfigMaps({
      client: configMaps.client,
      list: listInCluster(configMaps.client),
      signer: () => undefined,
      wallMs: () => NOW,
      logger,
      documents: new DocumentWatch(createFakeClock(), () => undefined),
    });
    await store.write('foo', manifests, signal);

    expect([configMaps.requests, (await store.read(signal)).size]).to.deep.equal([[], 0]);
  });
});

describe('records of last good versions in files', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sallyport-last-valid-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('are read by another process, and removed when nothing is left', async () => {
    const directory = join(root, 'last-valid');
    const store = createLastGoodFiles(directory);
    await store.write('foo', manifests, signal);
    expect(Object.fromEntries(await createLastGoodFiles(directory).read(signal))).to.deep.equal({ foo: manifests });
    await store.write('foo', [], signal);
    expect(await readdir(directory)).to.deep.equal([]);
  });

  it('are ignored when they are damaged', async () => {
    await writeFile(join(root, 'foo.json'), '{"namespace":"foo","pol');
    await writeFile(join(root, 'bar.json'), '{"namespace":"foo","policies":[]}');

    expect((await createLastGoodFiles(root).read(signal)).size).to.equal(0);
  });
});

describe('formatRecord', () => {
  it('leaves out the last policies when not all fit', () => {
    const large = Array.from({ length: 5 }, (_, at) => ({ at, text: 'x'.repeat(MAX_RECORD_BYTES / 4) }));
    const record = JSON.parse(formatRecord('foo', large)) as { readonly policies: readonly { readonly at: number }[] };

    expect(record.policies.map(({ at }) => at)).to.deep.equal([0, 1]);
  });
});
