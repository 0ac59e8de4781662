import { expect } from 'chai';
import { TokenCache, type TokenPartition } from '../../../src/jwt/token-cache.ts';
import { CacheEntry } from '../../../src/jwt/token-pool.ts';

const ENTRY = 100;
const KIB = 1024;

const text = (index: number | string): string => `token-${index}-${'x'.repeat(40)}-${index}`;
const entry = (index: number | string, bytes = ENTRY): CacheEntry => new CacheEntry(text(index), bytes);

function fill(partition: TokenPartition<CacheEntry>, rule: number, count: number, name = `${rule}`): void {
  for (let index = 0; index < count; index += 1) partition.add(entry(`${name}-${index}`), rule);
}

/** How many of the entries that {@link fill} stored are still there. */
function left(partition: TokenPartition<CacheEntry>, rule: number, count: number, name = `${rule}`): number {
  return Array.from({ length: count }, (_, index) => text(`${name}-${index}`)).filter((one) => partition.get(one) !== undefined).length;
}

describe('token cache', () => {
  it('finds an entry by its exact token only', () => {
    const partition = new TokenCache().open<CacheEntry>(1);
    const stored = entry(1);
    partition.add(stored, 0);

    expect(partition.get(text(1))).to.equal(stored);
    expect(partition.get(`A${text(1)}`)).to.equal(undefined);
    expect(partition.get(text(1).slice(1))).to.equal(undefined);
    expect(partition.get(text(2))).to.equal(undefined);
    expect(partition.get('')).to.equal(undefined);
  });

  it('does not find a used or a refused entry by another token with the same end', () => {
    const cache = new TokenCache(64 * KIB);
    const partition = cache.open<CacheEntry>(1);
    partition.add(entry('used'), 0);
    for (let times = 0; times < 3; times += 1) partition.get(text('used'));
    fill(partition, 0, 1000, 'once');
    partition.addRefused(entry('refused'));

    for (const name of ['used', 'refused']) {
      expect(partition.get(text(name))?.text, name).to.equal(text(name));
      expect(partition.get(`A${text(name)}`), name).to.equal(undefined);
      expect(partition.get(text(name).slice(-32)), name).to.equal(undefined);
    }
  });

  it('never exceeds its budget', () => {
    const cache = new TokenCache(64 * KIB);
    const partitions = [cache.open<CacheEntry>(3), cache.open<CacheEntry>(2)];
    for (let index = 0; index < 5000; index += 1) {
      const [partition, rule] = index % 2 === 0 ? [partitions[0], index % 3] : [partitions[1], index % 2];
      partition?.add(entry(index, 50 + (index % 7) * 100), rule);
      partition?.addRefused(entry(`refused-${index}`));
      expect(cache.bytes).to.be.at.most(64 * KIB);
    }

    expect(cache.bytes).to.be.above(60 * KIB);
    expect(cache.evictions).to.be.above(1000);
  });

  it('counts what is attached to an entry later', () => {
    const cache = new TokenCache(64 * KIB);
    const partition = cache.open<CacheEntry>(1);
    const stored = entry(1);
    partition.add(stored, 0);
    fill(partition, 0, 100);
    stored.retain(KIB);

    expect(cache.bytes).to.equal(KIB + 101 * ENTRY);
    stored.retain(60 * KIB);
    expect(cache.bytes).to.equal(100 * ENTRY);
  });

  it('keeps tokens that were used twice when a flood of others arrives', () => {
    const partition = new TokenCache(64 * KIB).open<CacheEntry>(1);
    fill(partition, 0, 100, 'used');
    for (let index = 0; index < 100; index += 1) partition.get(text(`used-${index}`));
    fill(partition, 0, 100_000, 'once');

    expect(left(partition, 0, 100, 'used')).to.equal(100);
  });

  it('lets used tokens give way that are not used any more', () => {
    const partition = new TokenCache(64 * KIB).open<CacheEntry>(1);
    for (const name of ['old', 'new']) {
      for (let index = 0; index < 2000; index += 1) {
        partition.add(entry(`${name}-${index}`), 0);
        partition.get(text(`${name}-${index}`));
      }
    }

    expect(left(partition, 0, 2000, 'old')).to.equal(0);
    expect(left(partition, 0, 2000, 'new')).to.be.above(400);
  });

  it('leaves every rule its share when one of them gets a flood', () => {
    const partition = new TokenCache(64 * KIB).open<CacheEntry>(4);
    for (const rule of [0, 1, 2]) fill(partition, rule, 100);
    for (let index = 0; index < 10_000; index += 1) {
      partition.add(entry(`flood-${index}`), 3);
      partition.get(text(`flood-${index}`));
    }

    for (const rule of [0, 1, 2]) expect(left(partition, rule, 100)).to.equal(100);
  });

  it('lets one rule use the whole budget while the others need nothing', () => {
    const cache = new TokenCache(64 * KIB);
    const partition = cache.open<CacheEntry>(50);
    fill(partition, 7, 10_000);

    expect(cache.bytes).to.be.above(63 * KIB);
    fill(partition, 8, 10);
    expect(left(partition, 8, 10)).to.equal(10);
  });

  it('bounds refused tokens, which never replace a verified one', () => {
    const cache = new TokenCache(64 * KIB);
    const partition = cache.open<CacheEntry>(1);
    const verified = entry('same');
    partition.add(verified, 0);
    for (let index = 0; index < 1000; index += 1) partition.addRefused(entry(`refused-${index}`));
    partition.addRefused(new CacheEntry(`other${verified.text}`, ENTRY));

    expect(cache.bytes).to.be.at.most(4 * KIB + ENTRY);
    expect(partition.get(verified.text)).to.equal(verified);
  });

  it('does not store an entry that would take a large part of the budget', () => {
    const partition = new TokenCache(64 * KIB).open<CacheEntry>(1);
    partition.add(entry('large', 4 * KIB + 1), 0);
    expect(partition.size).to.equal(0);
    partition.add(entry('small', 4 * KIB), 0);
    expect(partition.size).to.equal(1);
  });

  it('takes nothing from a rule that has exactly its share', () => {
    const partition = new TokenCache(3200).open<CacheEntry>(3);
    // With the refused tokens there are four pools of 800 bytes each.
    fill(partition, 0, 25);
    fill(partition, 1, 8);

    expect(left(partition, 1, 8)).to.equal(8);
    expect(left(partition, 0, 25)).to.equal(24);
  });

  it('gives back the memory of a partition that is released', () => {
    const cache = new TokenCache(64 * KIB);
    const [first, second] = [cache.open<CacheEntry>(1), cache.open<CacheEntry>(1)];
    const kept = entry('kept');
    first.add(kept, 0);
    fill(second, 0, 10);
    first.release();
    kept.retain(10 * KIB);
    first.add(entry('late'), 0);
    first.addRefused(entry('refused'));

    expect(cache.bytes).to.equal(10 * ENTRY);
    expect(first.size).to.equal(0);
    fill(second, 0, 10_000);
    expect(cache.bytes).to.be.within(63 * KIB, 64 * KIB);
  });

  it('moves an entry from one pool to another', () => {
    const cache = new TokenCache(64 * KIB);
    const partition = cache.open<CacheEntry>(1);
    const moved = entry('moved');
    partition.addRefused(moved);
    partition.remove(moved);
    partition.add(moved, 0);

    expect(cache.bytes).to.equal(ENTRY);
    expect(partition.get(moved.text)).to.equal(moved);
  });
});
