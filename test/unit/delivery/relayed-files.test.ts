/* The files of bundles and indexes for the feed: kept as they were written, or read once from the API server. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { indexName, slotName } from '../../../src/api/kube/workload.ts';
import type { BundleFiles } from '../../../src/bundle/decode.ts';
import type { PublishedCopies } from '../../../src/delivery/published-copies.ts';
import { createRelayedFiles, type RelayedFiles } from '../../../src/delivery/relayed-files.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from '../../support/fake-config-maps.ts';

const never = new AbortController().signal;
const KEY = 'foo/deployment/web';

function published(name: string, number: number): PublishedCopies {
  const workload = { namespace: 'foo', kind: 'deployment', name };
  return { workload, slots: new Map([[0, { slot: 0, statement: { number } }]]), current: { number } } as unknown as PublishedCopies;
}

describe('relayed files', () => {
  let fake: FakeConfigMaps;
  let relayed: RelayedFiles;
  /** Resolves when a request may be answered. */
  let gate: Promise<void>;
  let isLeading: boolean;

  const put = (name: string, text: string): void => {
    const data = { 'statement.jws': text, 'keys.jws': 'keys' };
    fake.put({ metadata: { namespace: 'foo', name }, data, binaryData: { part: Buffer.from('part').toString('base64') } });
  };
  const textsOf = (files: BundleFiles | undefined): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(files ?? {}).map(([name, content]) => [name, Buffer.from(content ?? []).toString()]));
  const read = async (name: string, number: number): Promise<BundleFiles | undefined> =>
    (await relayed.read(`foo/deployment/${name}`, published(name, number), never))?.files;
  const reads = (prefix: string): number => fake.requests.filter((text) => text.startsWith(`GET ${prefix}`)).length;

  beforeEach(() => {
    fake = createFakeConfigMaps();
    [gate, isLeading] = [Promise.resolve(), true];
    const request: typeof fake.client.request = async (sent) => {
      await gate;
      return await fake.client.request(sent);
    };
    relayed = createRelayedFiles({ ...fake.client, request }, () => isLeading);
    put(indexName(0), 'index');
    for (const name of ['web', 'db']) put(slotName({ kind: 'deployment', name }, 0), `${name} bundle`);
  });

  it('are those in the ConfigMaps, under their names in the volume', async () => {
    expect(textsOf(await read('web', 5))).to.deep.equal({
      '0/statement.jws': 'web bundle',
      '0/keys.jws': 'keys',
      '0/part': 'part',
      'index/0/statement.jws': 'index',
      'index/0/keys.jws': 'keys',
      'index/0/part': 'part',
    });
  });

  it('are read once for all bundles of a namespace, and for all streams', async () => {
    await Promise.all([read('web', 5), read('db', 5)]);
    expect(reads(indexName(0))).to.equal(1);

    const before = fake.requests.length;
    await read('web', 5);
    expect(fake.requests.length).to.equal(before);
  });

  it('have the newest index of each time while another replica writes it', async () => {
    isLeading = false;
    await read('web', 5);
    put(indexName(0), 'written with the next bundle');
    expect(textsOf(await read('db', 5))).to.include({ 'index/0/statement.jws': 'written with the next bundle' });
    expect(textsOf(await read('web', 5))).to.include({ 'index/0/statement.jws': 'written with the next bundle' });
  });

  it('are those that were written here, without a request', async () => {
    relayed.putBundle(KEY, { number: 6, files: { '0/part': Buffer.from('written') } });
    relayed.putIndex('foo', { 'index/0/part': Buffer.from('written, too') });
    expect(textsOf(await read('web', 6))).to.deep.equal({ '0/part': 'written', 'index/0/part': 'written, too' });
    expect(fake.requests).to.deep.equal([]);
  });

  it('have the index that was written while an earlier one was being read', async () => {
    let open: () => void = () => {};
    gate = new Promise((resolve) => (open = resolve));
    const reading = read('web', 5);
    relayed.putIndex('foo', { 'index/0/part': Buffer.from('newer') });
    open();
    expect(textsOf(await reading)).to.include({ 'index/0/part': 'newer' });
  });

  it('are read again in the next term, also when the read of an earlier one ends in it', async () => {
    let open: () => void = () => {};
    gate = new Promise((resolve) => (open = resolve));
    relayed.putBundle(KEY, { number: 5, files: {} });
    const late = read('web', 5);
    await turn();
    relayed.clear();
    open();
    await late;
    put(indexName(0), 'of the next term');

    expect(textsOf(await read('db', 5))).to.include({ 'index/0/statement.jws': 'of the next term' });
  });

  it('do not exist for a workload without a published bundle', async () => {
    const { current: _current, ...without } = published('web', 5);
    expect(await relayed.read(KEY, without, never)).to.equal(undefined);
    expect(fake.requests).to.deep.equal([]);
  });
});
