import { expect } from 'chai';
import { canonicalChunks } from '../../../src/bundle/canonical-json.ts';
import { HeldParts } from '../../../src/controller/held-parts.ts';
import { LeaderBundles } from '../../../src/controller/leader-bundles.ts';

const KEY = 'foo/pod/web';

describe('bundles from the leader', () => {
  let published: number;
  let held: HeldParts;
  let bundles: LeaderBundles;
  let changed: string[];
  beforeEach(() => {
    [published, held, changed] = [0, new HeldParts(), []];
    bundles = new LeaderBundles(() => published, held);
    bundles.subscribe((workload) => void changed.push(workload));
  });

  it('count before they are published, and until a newer one is', () => {
    bundles.set(KEY, { number: 7, files: {} });
    const numbers = [6, 7, 8].map((number) => {
      published = number;
      return bundles.get(KEY)?.number;
    });
    expect([numbers, changed]).to.deep.equal([[7, 7, undefined], [KEY]]);
  });

  it('say which parts agents have that got them in parts', () => {
    const chunks = canonicalChunks({ rules: ['a'.repeat(5000)] }, 1);
    bundles.set(KEY, { number: 7, files: {}, chunks });
    expect(held.get(KEY, 7)?.size).to.equal(chunks.filter(({ size }) => size >= 1024).length);
  });

  it('go when they are withdrawn, and when the stream to the leader ends', () => {
    bundles.set(KEY, { number: 7, files: {}, chunks: canonicalChunks({ rules: ['a'.repeat(5000)] }, 1) });
    bundles.delete(KEY);
    expect([bundles.get(KEY), held.get(KEY, 7)]).to.deep.equal([undefined, undefined]);
    bundles.set(KEY, { number: 8, files: {} });
    bundles.clear();
    expect([bundles.get(KEY), changed]).to.deep.equal([undefined, [KEY, KEY, KEY]]);
  });
});
