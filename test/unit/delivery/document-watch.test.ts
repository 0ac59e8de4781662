/* Changes of signed documents by other clients: found in whatever order the watch and the responses to writes arrive. */
import { expect } from 'chai';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { type DocumentCopy, DocumentWatch, documentOf } from '../../../src/delivery/document-watch.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const KEY = 'shop/sallyport-bundle-index.0';
const INDEX = { kind: 'index', namespace: 'shop', name: 'sallyport-bundle-index.0' } as const;

function rawOf(
  version: number,
  part: string,
  over: { readonly uid?: string; readonly fields?: object; readonly metadata?: object } = {},
): RawObject {
  return {
    metadata: {
      namespace: 'shop',
      name: INDEX.name,
      uid: over.uid ?? 'u1',
      resourceVersion: `${version}`,
      labels: { 'sallyport.dev/bundle': 'index', 'app.kubernetes.io/managed-by': 'sallyport' },
      ...over.metadata,
    },
    data: { 'statement.jws': part },
    ...over.fields,
  };
}

function copyOf(raw: RawObject): DocumentCopy {
  const copy = documentOf(raw);
  if (copy === undefined) throw new Error('not a document');
  return copy;
}

function setUp({ isLeading = true } = {}) {
  const clock = createFakeClock();
  const repaired: string[] = [];
  const changes: string[] = [];
  const watch = new DocumentWatch(clock, ({ name }) => repaired.push(name));
  if (isLeading) watch.subscribe('index', (namespace) => changes.push(namespace));
  const write = (raw: RawObject | undefined) => watch.during(INDEX, () => Promise.resolve(raw));
  return { clock, watch, repaired, changes, write, see: (raw: RawObject): void => watch.sink.upsert(KEY, copyOf(raw)) };
}

describe('DocumentWatch', () => {
  it('reports nothing about writes of this process, before or after their response', async () => {
    const at = setUp();
    await at.watch.during(INDEX, () => {
      at.see(rawOf(5, 'mine'));
      return Promise.resolve(rawOf(5, 'mine'));
    });
    at.see(rawOf(5, 'mine'));
    await at.write(rawOf(9, 'next'));
    at.see(rawOf(5, 'mine'));
    at.see(rawOf(9, 'next'));

    expect([at.changes, at.repaired]).to.deep.equal([[], []]);
  });

  const changes: readonly (readonly [string, RawObject])[] = [
    ['another content', rawOf(6, 'forged')],
    ['an earlier content', rawOf(6, 'earlier')],
    ['another key', rawOf(6, 'mine', { fields: { data: { 'statement.jws': 'mine', x: '' } } })],
    ['binary data', rawOf(6, 'mine', { fields: { binaryData: { part: 'eA==' } } })],
    ['that it is immutable', rawOf(6, 'mine', { fields: { immutable: true } })],
    ['that it is being deleted', rawOf(6, 'mine', { metadata: { deletionTimestamp: 'now' } })],
    ['another manager', rawOf(6, 'mine', { metadata: { labels: { 'sallyport.dev/bundle': 'index' } } })],
  ];
  for (const [name, raw] of changes) {
    it(`reports ${name}, and that it was repaired`, async () => {
      const at = setUp();
      await at.write(rawOf(3, 'earlier'));
      await at.write(rawOf(5, 'mine'));
      at.see(raw);
      expect([at.changes, at.repaired]).to.deep.equal([['shop'], []]);

      await at.write(rawOf(7, 'mine'));
      at.see(rawOf(7, 'mine'));
      expect([at.changes, at.repaired]).to.deep.equal([['shop'], [INDEX.name]]);
    });
  }

  it('reports a change that the watch saw while this process wrote', async () => {
    const at = setUp();
    await at.watch.during(INDEX, () => {
      at.see(rawOf(6, 'forged'));
      return Promise.resolve(rawOf(5, 'mine'));
    });

    expect(at.changes).to.deep.equal(['shop']);
  });

  it('reports a deletion, but not of what this process has replaced', async () => {
    const at = setUp();
    await at.write(rawOf(5, 'mine'));
    at.see(rawOf(5, 'mine'));
    await at.write(rawOf(8, 'next', { uid: 'u2' }));
    at.watch.sink.remove(KEY);
    expect(at.changes).to.deep.equal([]);

    at.see(rawOf(8, 'next', { uid: 'u2' }));
    at.watch.sink.replace(new Map(), '9');
    expect(at.changes).to.deep.equal(['shop']);
  });

  for (const [version, changes] of [
    ['8', ['shop']],
    ['9', ['shop']],
    ['7', []],
  ] as const) {
    it(`${changes.length === 0 ? 'is not' : 'is'} noticed by a list at version ${version} when no event reported what was written at 8`, async () => {
      const at = setUp();
      await at.write(rawOf(8, 'mine'));
      at.watch.sink.replace(new Map(), version);
      expect(at.changes).to.deep.equal(changes);
    });
  }

  it('takes a list of one namespace as nothing about the others', async () => {
    const at = setUp();
    await at.write(rawOf(8, 'mine'));
    at.watch.sink.replaceIn?.('sho', new Map(), '9');
    expect(at.changes).to.deep.equal([]);

    at.watch.sink.replaceIn?.('shop', new Map(), '9');
    expect(at.changes).to.deep.equal(['shop']);
  });

  it('reports a deletion that the watch saw before the response to the write', async () => {
    const at = setUp();
    await at.watch.during(INDEX, () => {
      at.see(rawOf(5, 'mine'));
      at.watch.sink.remove(KEY);
      return Promise.resolve(rawOf(5, 'mine'));
    });

    expect(at.changes).to.deep.equal(['shop']);
  });

  it('reports a document where there should be none', async () => {
    const at = setUp();
    await at.write(rawOf(5, 'mine'));
    at.see(rawOf(5, 'mine'));
    await at.write(undefined);
    at.watch.sink.remove(KEY);
    expect(at.changes).to.deep.equal([]);

    at.see(rawOf(9, 'mine', { uid: 'u2' }));
    expect(at.changes).to.deep.equal(['shop']);
  });

  it('reports a document in a storm of writes once a second', async () => {
    const at = setUp();
    await at.write(rawOf(5, 'mine'));
    for (let version = 6; version < 100; version += 1) at.see(rawOf(version, `forged ${version}`));
    expect(at.changes).to.have.length(1);
    at.clock.advance(1_000);
    expect(at.changes).to.have.length(2);
    at.clock.advance(60_000);
    expect(at.changes).to.have.length(2);
  });

  it('reports an older version that stays, because etcd was restored from a backup', async () => {
    const at = setUp();
    await at.write(rawOf(9, 'mine'));
    at.see(rawOf(9, 'mine'));
    at.see(rawOf(5, 'earlier'));
    at.clock.advance(4_999);
    expect(at.changes).to.deep.equal([]);
    at.clock.advance(1);
    expect(at.changes).to.deep.equal(['shop']);
  });

  it('compares with what was read at the start of a term', () => {
    const at = setUp();
    at.watch.expect(rawOf(5, 'mine'));
    at.see(rawOf(5, 'mine'));
    expect(at.changes).to.deep.equal([]);
    at.see(rawOf(6, 'forged'));
    expect(at.changes).to.deep.equal(['shop']);
  });

  it('takes writes of the leader for granted on a standby, also when it leads later', () => {
    const at = setUp({ isLeading: false });
    at.watch.expect(rawOf(5, 'mine'));
    at.see(rawOf(6, 'by the leader'));
    at.watch.subscribe('index', (namespace) => at.changes.push(namespace));
    at.see(rawOf(6, 'by the leader'));

    expect(at.changes).to.deep.equal([]);
  });

  it('does not call it a change when a write failed that may have been stored', async () => {
    const at = setUp();
    await at.write(rawOf(5, 'mine'));
    const failed = await at.watch.during(INDEX, () => Promise.reject(new Error('timeout'))).catch(() => 'failed');
    at.see(rawOf(6, 'next'));
    expect([failed, at.changes]).to.deep.equal(['failed', []]);

    await at.write(rawOf(7, 'next'));
    at.see(rawOf(7, 'next'));
    at.see(rawOf(8, 'forged'));
    expect(at.changes).to.deep.equal(['shop']);
  });

  it('knows its documents by label and name', () => {
    const { metadata, ...rest } = rawOf(1, 'x');
    const named = (name: string, label: string): RawObject => ({
      ...rest,
      metadata: { ...metadata, name, labels: { 'sallyport.dev/bundle': label } },
    });

    expect(documentOf(named('sallyport-bundle-last-valid.0', 'last-valid'))).to.include({ kind: 'last-valid' });
    expect(documentOf(named('sallyport-bundle-pod.web.0', 'abc'))).to.equal(undefined);
    expect(documentOf(named('mine', 'index'))).to.equal(undefined);
    expect(documentOf({})).to.equal(undefined);
  });
});
