import { expect } from 'chai';
import { CacheEntry, EntryList, type PoolOwner, TokenPool } from '../../../src/jwt/token-pool.ts';

const entries = (...sizes: readonly number[]): CacheEntry[] => sizes.map((bytes, at) => new CacheEntry(`token-${at}`, bytes));

function drain(list: EntryList): readonly string[] {
  const texts: string[] = [];
  for (let entry = list.shift(); entry !== undefined; entry = list.shift()) texts.push(entry.text);
  return texts;
}

/** Notes what its pool reports. */
class Owner implements PoolOwner {
  readonly evictedTexts: string[] = [];
  bytes = 0;
  grew(_pool: TokenPool, bytes: number): void {
    this.bytes += bytes;
  }
  evicted({ text }: CacheEntry): void {
    this.evictedTexts.push(text);
  }
}

describe('a list of entries', () => {
  it('gives entries back in the order in which they were added', () => {
    const list = new EntryList();
    for (const entry of entries(1, 2, 3)) list.push(entry);

    expect([list.size, list.bytes]).to.deep.equal([3, 6]);
    expect(drain(list)).to.deep.equal(['token-0', 'token-1', 'token-2']);
    expect([list.size, list.bytes]).to.deep.equal([0, 0]);
    expect(list.shift()).to.equal(undefined);
  });

  for (const removed of [0, 1, 2] as const) {
    it(`stays in order without entry ${removed}, and can take it again`, () => {
      const list = new EntryList();
      const all = entries(1, 2, 4);
      for (const entry of all) list.push(entry);
      const entry = all[removed] as CacheEntry;
      list.remove(entry);

      expect([list.size, list.bytes]).to.deep.equal([2, 7 - entry.bytes]);
      expect(entry).to.include({ list: undefined, previous: undefined, next: undefined });
      list.push(entry);
      const others = [0, 1, 2].filter((at) => at !== removed);
      expect(drain(list)).to.deep.equal([...others, removed].map((at) => `token-${at}`));
    });
  }

  it('is usable after its only entry was removed', () => {
    const list = new EntryList();
    const [first, second] = entries(1, 2) as [CacheEntry, CacheEntry];
    list.push(first);
    list.remove(first);
    list.push(second);

    expect(drain(list)).to.deep.equal(['token-1']);
  });
});

describe('a pool of tokens', () => {
  it('counts its entries, and what is attached to them, until they are removed', () => {
    const owner = new Owner();
    const pool = new TokenPool(owner, 1000);
    const [first, second] = entries(10, 20) as [CacheEntry, CacheEntry];
    pool.add(first);
    pool.add(second);
    first.retain(5);

    expect([pool.size, pool.bytes, owner.bytes]).to.deep.equal([2, 35, 35]);
    pool.remove(first);
    expect([pool.size, pool.bytes]).to.deep.equal([1, 20]);
    first.retain(5);
    expect([pool.bytes, owner.bytes, first.bytes, first.pool]).to.deep.equal([20, 35, 20, undefined]);
  });

  it('evicts the oldest entry, and reports it', () => {
    const owner = new Owner();
    const pool = new TokenPool(owner, 1000);
    for (const entry of entries(10, 20, 30)) pool.add(entry);

    expect(pool.evict()).to.equal(10);
    expect(owner.evictedTexts).to.deep.equal(['token-0']);
    expect([pool.size, pool.bytes]).to.deep.equal([2, 50]);
  });

  it('keeps an entry that was used for one more round', () => {
    const owner = new Owner();
    const pool = new TokenPool(owner, 1000);
    const [used, unused] = entries(10, 10) as [CacheEntry, CacheEntry];
    pool.add(used);
    pool.add(unused);
    used.used = true;

    expect(pool.evict()).to.equal(10);
    expect(pool.evict()).to.equal(10);
    expect(owner.evictedTexts).to.deep.equal(['token-1', 'token-0']);
    expect([pool.size, pool.bytes]).to.deep.equal([0, 0]);
  });

  it('has nothing to evict when it is empty', () => {
    const owner = new Owner();

    expect(new TokenPool(owner, 1000).evict()).to.equal(0);
    expect(owner.evictedTexts).to.deep.equal([]);
  });

  it('ends an eviction although every entry was used', () => {
    const owner = new Owner();
    const pool = new TokenPool(owner, 1_000_000);
    for (const entry of entries(...Array<number>(1000).fill(1))) {
      pool.add(entry);
      entry.used = true;
    }

    expect(pool.evict()).to.equal(1);
    expect(owner.evictedTexts).to.have.length(1);
  });

  it('prefers a fifth of its memory for entries that were not used again', () => {
    const owner = new Owner();
    const pool = new TokenPool(owner, 1000);
    const used = entries(...Array<number>(8).fill(10));
    for (const entry of used) {
      pool.add(entry);
      entry.used = true;
    }
    // All eight move to the entries in use, and the first of them gives way.
    pool.evict();
    const fresh = [new CacheEntry('fresh-0', 10), new CacheEntry('fresh-1', 10)];
    for (const entry of fresh) pool.add(entry);

    pool.evict();
    pool.evict();
    expect(owner.evictedTexts).to.deep.equal(['token-0', 'fresh-0', 'token-1']);
  });
});
