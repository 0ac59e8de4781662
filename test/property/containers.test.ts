import { expect } from 'chai';
import fc from 'fast-check';
import { BoundedIdMap } from '../../src/limits/containers.ts';
import { count } from '../../src/limits/limit.ts';

const key = fc.integer({ min: 0, max: 300 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('get' as const), key }),
);

describe('the map of ids', () => {
  it('behaves like a built-in map with a limit, in any order of steps', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), fc.integer({ min: 1, max: 200 }), fc.constantFrom(1, 2, 16), (steps, max, factor) => {
        const [map, model] = [new BoundedIdMap<{ readonly key: number }>(count('ids', max)), new Map<number, { readonly key: number }>()];
        for (const { kind, key: drawn } of steps) {
          // Multiples of a power of two collide.
          const id = drawn * factor;
          const value = { key: id };
          const isFull = model.size >= max && !model.has(id);
          if (kind === 'set' && !isFull) model.set(id, value);
          if (kind === 'set') expect(map.set(id, value)).to.equal(!isFull);
          else if (kind === 'delete') expect(map.delete(id)).to.equal(model.delete(id));
          expect(map.get(id)).to.equal(model.get(id));
          expect(map.size).to.equal(model.size);
        }
        for (let drawn = 0; drawn <= 300; drawn += 1) expect(map.get(drawn * factor)).to.equal(model.get(drawn * factor));
        const values = [...model.values()].toSorted((one, other) => one.key - other.key);
        expect([...map.values()]).to.deep.equal(values);
        const read: object[] = [];
        for (const value of map.values()) {
          read.push(value);
          // The next one is gone before it is reached.
          map.delete(values[read.length * 2 - 1]?.key ?? -1);
        }
        expect(read).to.deep.equal(values.filter((_, at) => at % 2 === 0));
      }),
      { numRuns: 300 },
    );
  });

  it('gives back a large table when it is empty', () => {
    const limit = count('ids', 1000);
    const map = new BoundedIdMap<object>(limit);
    for (let round = 0; round < 3; round += 1) {
      for (let id = 1; id <= 1001; id += 1) expect(map.set(id, { id })).to.equal(id <= 1000);
      for (let id = 1; id <= 1000; id += 1) expect(map.delete(id)).to.equal(true);
      expect([map.size, [...map.values()]]).to.deep.equal([0, []]);
    }
    expect(limit.reached).to.equal(3);
  });
});
