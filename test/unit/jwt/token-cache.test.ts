import { expect } from 'chai';
import { TokenCache } from '../../../src/jwt/token-cache.ts';

const text = (index: number): string => `token-${index}-${'x'.repeat(40)}-${index}`;

describe('token cache', () => {
  it('finds an entry by its exact token only', () => {
    const cache = new TokenCache();
    const entry = { text: text(1) };
    cache.add(entry);

    expect(cache.get(text(1))).to.equal(entry);
    expect(cache.get(`A${text(1)}`)).to.equal(undefined);
    expect(cache.get(text(1).slice(1))).to.equal(undefined);
    expect(cache.get(text(2))).to.equal(undefined);
    expect(cache.get('')).to.equal(undefined);
  });

  it('never holds more entries than its limit, and keeps those in use', () => {
    const cache = new TokenCache({ maxEntries: 10, maxBytes: 1 << 20 });
    const used = { text: text(0) };
    cache.add(used);
    for (let index = 1; index < 100; index += 1) {
      cache.add({ text: text(index) });
      expect(cache.get(used.text)).to.equal(used);
      expect(cache.size).to.be.at.most(10);
    }

    expect(cache.get(text(1))).to.equal(undefined);
    expect(cache.get(text(99))).to.be.an('object');
  });

  it('is limited in bytes and does not store an entry that is too large', () => {
    const cache = new TokenCache({ maxEntries: 1000, maxBytes: 8 * 1024 });
    for (let index = 0; index < 100; index += 1) {
      cache.add({ text: text(index) });
    }
    cache.add({ text: 'y'.repeat(4096) });

    expect(cache.size).to.be.within(1, 10);
    expect(cache.get('y'.repeat(4096))).to.equal(undefined);
  });

  it('stores nothing when its limit is zero', () => {
    const cache = new TokenCache({ maxEntries: 0, maxBytes: 1 << 20 });
    cache.add({ text: text(1) });

    expect(cache.size).to.equal(0);
  });
});
