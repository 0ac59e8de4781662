import { expect } from 'chai';
import { BoundedList, BoundedMap, BoundedSet, ByteBudget, ByteCollector, ByteParts } from '../../../src/limits/containers.ts';
import { bytes, count } from '../../../src/limits/limit.ts';

describe('bounded containers', () => {
  it('refuse a member beyond the limit and count it', () => {
    const limit = count('things', 2);
    const set = new BoundedSet<string>(limit);

    expect([set.add('a'), set.add('b'), set.add('b'), set.add('c')]).to.deep.equal([true, true, true, false]);
    expect([...set]).to.deep.equal(['a', 'b']);
    expect(set.oldest).to.equal('a');
    expect(limit.reached).to.equal(1);
    expect([set.delete('a'), set.delete('a'), set.add('c'), set.size]).to.deep.equal([true, false, true, 2]);
  });

  it('drop the oldest key of a map for a new one', () => {
    const limit = count('things', 2);
    const evicted: number[] = [];
    const map = new BoundedMap<string, number>(limit, undefined, (value) => evicted.push(value));
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    expect(limit.reached).to.equal(0);

    map.set('c', 4);

    expect([map.get('a'), map.get('b'), map.get('c'), map.size]).to.deep.equal([undefined, 2, 4, 2]);
    expect(evicted).to.deep.equal([3]);
    expect(limit.reached).to.equal(1);
  });

  it('keep an array within a limit that replaces the default', () => {
    const limit = count('things', 100);
    const list = new BoundedList<string>(limit, 2);

    expect([list.push('a'), list.push('b'), list.push('c')]).to.deep.equal([true, true, false]);
    expect([list.first, list.pop(), list.push('d'), list.remove('a'), list.remove('a'), list.shift(), list.shift()]).to.deep.equal([
      'a',
      'b',
      true,
      true,
      false,
      'd',
      undefined,
    ]);
    expect(limit.reached).to.equal(1);
  });

  it('keep byte strings in order and say when their sum is too large', () => {
    const limit = bytes('bytes', 4);
    const parts = new ByteParts(limit);
    expect(parts.take()).to.equal(undefined);

    expect([parts.push(Buffer.from('ab')), parts.push(Buffer.from('cd')), parts.push(Buffer.from('e'))]).to.deep.equal([true, true, false]);

    expect(parts.bytes).to.equal(5);
    expect(String(parts.take())).to.equal('abcde');
    expect([parts.bytes, parts.parts.length]).to.deep.equal([0, 0]);
    expect(limit.reached).to.equal(1);
  });

  it('collect bytes in one buffer, as far as they fit', () => {
    const limit = bytes('bytes', 5);
    const collected = new ByteCollector(limit);
    expect(collected.take()).to.deep.equal(Buffer.alloc(0));
    const text = Buffer.from('abcdefg');

    expect([collected.append(text, 1, 2), collected.append(text, 2, 4), collected.append(text, 4, 4)]).to.deep.equal([true, true, true]);
    expect([collected.length, limit.reached]).to.deep.equal([3, 0]);
    expect([collected.append(text, 4, 7), collected.append(text, 0, 1), collected.length]).to.deep.equal([false, false, 5]);

    expect(String(collected.take())).to.equal('bcdef');
    expect([collected.length, limit.reached]).to.deep.equal([0, 2]);
    expect([collected.append(text, 0, 5), String(collected.take())]).to.deep.equal([true, 'abcde']);
  });

  it('share a budget of bytes', () => {
    const limit = bytes('budget', 10);
    const budget = new ByteBudget(limit);

    expect([budget.reserve(6), budget.reserve(5), budget.used]).to.deep.equal([true, false, 6]);
    budget.release(6);
    expect([budget.reserve(10), budget.max]).to.deep.equal([true, 10]);
    expect(limit.reached).to.equal(1);
  });
});
