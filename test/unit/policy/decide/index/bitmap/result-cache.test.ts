/* A cached result is returned for a request that hits exactly the same postings, and for no other. */
import { expect } from 'chai';
import { MAX_RULES, ResultCache } from '../../../../../../src/policy/decide/index/bitmap/result-cache.ts';
import { addHit, createHits, createPosting, type Hits } from '../../../../../../src/policy/decide/index/terms/posting.ts';

function hitsOf(count: number, isPartial = false): Hits {
  const hits = { ...createHits(), isPartial };
  for (let id = 0; id < count; id++) addHit(hits, createPosting([id], undefined, undefined));
  return hits;
}

function slotOf(cache: ResultCache, ...axes: readonly Hits[]): number {
  cache.begin();
  for (const axis of axes) cache.append(axis);
  return cache.slot();
}

describe('ResultCache', () => {
  it('is empty at first, even for a request that hits nothing', () => {
    const cache = new ResultCache();
    expect(cache.has(slotOf(cache))).to.equal(false);
    cache.set(slotOf(cache), new Int32Array(0), 0);
    expect(cache.has(slotOf(cache))).to.equal(true);
    expect(cache.count(slotOf(cache))).to.equal(0);
  });

  it('returns the rules of an equal key', () => {
    const cache = new ResultCache();
    const [path, claim] = [hitsOf(2), hitsOf(3)];
    cache.set(slotOf(cache, path, claim), Int32Array.of(7, 9), 2);
    const slot = slotOf(cache, path, claim);
    expect(cache.has(slot)).to.equal(true);
    expect(Array.from({ length: cache.count(slot) }, (_, at) => cache.rule(slot, at))).to.deep.equal([7, 9]);
  });

  it('distinguishes a key from any other in the same slot', () => {
    const cache = new ResultCache();
    const known = hitsOf(1);
    const slot = slotOf(cache, known);
    cache.set(slot, Int32Array.of(1), 1);
    let others = 0;
    for (let i = 0; i < 1000; i++) {
      if (slotOf(cache, hitsOf(1)) !== slot) continue;
      others++;
      expect(cache.has(slot)).to.equal(false);
    }
    expect(others).to.be.greaterThan(0);
  });

  it('distinguishes an axis with unknown hits from one without hits', () => {
    const cache = new ResultCache();
    const path = hitsOf(1);
    cache.set(slotOf(cache, path, hitsOf(0, true)), Int32Array.of(1), 1);
    expect(cache.has(slotOf(cache, path, hitsOf(0)))).to.equal(false);
    expect(cache.has(slotOf(cache, path, hitsOf(0, true)))).to.equal(true);
  });

  it('takes keys of 64 hits, and no longer ones', () => {
    const cache = new ResultCache();
    const longest = hitsOf(64);
    cache.set(
      slotOf(cache, longest),
      Int32Array.from({ length: MAX_RULES }, (_, rule) => rule),
      MAX_RULES,
    );
    const slot = slotOf(cache, longest);
    expect(cache.has(slot)).to.equal(true);
    expect(cache.rule(slot, MAX_RULES - 1)).to.equal(MAX_RULES - 1);
    expect(slotOf(cache, hitsOf(65))).to.equal(-1);
  });
});
