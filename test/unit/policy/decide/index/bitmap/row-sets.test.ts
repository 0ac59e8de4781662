/* Bitmaps in WebAssembly memory compared with plain sets of numbers, at sizes around those of a word, a vector and a page. */
import { expect } from 'chai';
import { addRows, type RowSet, RowSets } from '../../../../../../src/policy/decide/index/bitmap/row-sets.ts';
import { createPosting } from '../../../../../../src/policy/decide/index/terms/posting.ts';

/** Every `step`-th row from `from` on. */
function everyRow(rowCount: number, step: number, from = 0): readonly number[] {
  return Array.from({ length: Math.max(0, Math.ceil((rowCount - from) / step)) }, (_, i) => from + i * step);
}

/** Reads bitmaps of `sets`; all of them must exist already. */
function reader(sets: RowSets): (set: RowSet) => readonly number[] {
  const into = sets.createList(sets.rowCount);
  const memory = sets.seal();
  return (set) => {
    const count = sets.kernels.list(set, sets.bytes, into, sets.rowCount);
    return [...memory.subarray(into >> 2, (into >> 2) + count)];
  };
}

function setOf(sets: RowSets, rows: readonly number[]): RowSet {
  const set = sets.create();
  sets.add(set, rows);
  return set;
}

describe('RowSets', () => {
  it('gives each list its own memory', () => {
    const sets = new RowSets(100);
    for (const length of [1, 3, 4, 5, 16, 17, 100, 1000]) {
      const list = sets.createList(length);
      expect(sets.createList(1) - list, `${length}`).to.be.at.least(4 * length);
    }
  });

  for (const rowCount of [0, 1, 31, 32, 33, 127, 128, 129, 256, 4000]) {
    it(`holds ${rowCount} rows`, () => {
      const sets = new RowSets(rowCount);
      const [none, full, some] = [sets.create(), sets.createFull(), setOf(sets, everyRow(rowCount, 3))];
      const [twos, threes, fives] = [2, 3, 5].map((step) => setOf(sets, everyRow(rowCount, step))) as [RowSet, RowSet, RowSet];
      const [united, kept, dropped] = [sets.create(), sets.create(), sets.create()];
      sets.remove(some, everyRow(rowCount, 6));
      sets.kernels.unite(united, twos, threes, none, fives, sets.bytes);
      const isKept = sets.kernels.pass(kept, full, twos, none, fives, none, 0, sets.bytes) !== 0;
      const isLeft = sets.kernels.pass(dropped, full, none, twos, none, threes, -1, sets.bytes) !== 0;
      const rowsOf = reader(sets);
      const where = (holds: (row: number) => boolean): readonly number[] => everyRow(rowCount, 1).filter(holds);

      expect(rowsOf(none)).to.deep.equal([]);
      expect(rowsOf(full)).to.deep.equal(everyRow(rowCount, 1));
      expect(rowsOf(some)).to.deep.equal(where((row) => row % 6 === 3));
      expect(rowsOf(united)).to.deep.equal(where((row) => row % 2 === 0 || row % 3 === 0 || row % 5 === 0));
      expect(rowsOf(kept)).to.deep.equal(where((row) => row % 2 === 0 || row % 5 === 0));
      expect(rowsOf(dropped)).to.deep.equal(where((row) => row % 2 !== 0 && row % 3 !== 0));
      expect(isKept).to.equal(rowsOf(kept).length > 0);
      expect(isLeft).to.equal(rowsOf(dropped).length > 0);
    });
  }

  it('returns 0 when no row is left', () => {
    const sets = new RowSets(4000);
    const [none, last, into] = [sets.create(), setOf(sets, [3999]), sets.create()];
    expect(sets.kernels.pass(into, last, last, none, none, none, 0, sets.bytes)).to.equal(1);
    expect(sets.kernels.pass(into, last, none, none, none, none, 0, sets.bytes)).to.equal(0);
    expect(sets.kernels.pass(into, last, none, none, none, last, -1, sets.bytes)).to.equal(0);
  });

  it('lists up to the given number of rows, and returns -1 when there are more', () => {
    const sets = new RowSets(4000);
    const set = setOf(sets, everyRow(300, 1));
    const into = sets.createList(300);
    expect(sets.kernels.list(set, sets.bytes, into, 300)).to.equal(300);
    expect(sets.kernels.list(set, sets.bytes, into, 299)).to.equal(-1);
  });

  it('keeps its bitmaps while its memory grows over many pages', () => {
    const sets = new RowSets(10_000);
    const all = everyRow(200, 1).map((row) => setOf(sets, [row, 9999 - row]));
    const rowsOf = reader(sets);
    for (const [row, set] of all.entries()) expect(rowsOf(set)).to.deep.equal([row, 9999 - row]);
  });

  it('creates no bitmaps after it is sealed', () => {
    const sets = new RowSets(10);
    const set = sets.create();
    addRows(sets.seal(), set, [3]);
    expect(() => sets.create()).to.throw('cannot create a row set: the sets are sealed');
  });
});

describe('createPosting', () => {
  it('holds the union of a long chain as a bitmap', () => {
    const sets = new RowSets(100);
    const grandparent = createPosting(everyRow(40, 1), undefined, sets);
    const parent = createPosting([50, 51], grandparent, sets);
    const child = createPosting(everyRow(100, 1, 60), parent, sets);
    const rowsOf = reader(sets);

    expect([grandparent, parent, child].map(({ total }) => total)).to.deep.equal([40, 42, 82]);
    expect(parent.set).to.equal(undefined);
    expect(rowsOf(child.set as RowSet)).to.deep.equal([...everyRow(40, 1), 50, 51, ...everyRow(100, 1, 60)]);
  });

  it('creates no bitmap when the posting is only enumerated', () => {
    expect(createPosting(everyRow(100, 1), undefined, undefined).set).to.equal(undefined);
  });
});
