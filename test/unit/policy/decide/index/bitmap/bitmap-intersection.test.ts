/* The intersection of bitmaps compared with plain sets of numbers, for every form in which a posting can hold its rows. */
import { expect } from 'chai';
import { BitmapIntersection } from '../../../../../../src/policy/decide/index/bitmap/bitmap-intersection.ts';
import { type RowSet, RowSets } from '../../../../../../src/policy/decide/index/bitmap/row-sets.ts';
import {
  addHit,
  clearHits,
  createHits,
  createPosting,
  createStoredPosting,
  type Hits,
  type Posting,
} from '../../../../../../src/policy/decide/index/terms/posting.ts';

const ROWS = 4000;
const MOST = 5;

/** Every `step`-th row from `from` up to `to`. */
function every(step: number, from = 0, to = ROWS): readonly number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

function hitsOf(...postings: readonly Posting[]): Hits {
  const hits = createHits();
  clearHits(hits);
  for (const one of postings) addHit(hits, one);
  return hits;
}

/** Hits of a request in one of their forms, and the rows that they stand for. */
interface NamedHits {
  readonly name: string;
  readonly rows: ReadonlySet<number>;
  readonly hits: Hits;
}

/** An intersection over its own bitmaps, with access to them. */
interface Fixture {
  readonly intersection: BitmapIntersection;
  readonly namedHits: readonly NamedHits[];
  readonly setOf: (rows: readonly number[]) => RowSet;
  readonly read: (set: RowSet) => readonly number[];
}

const FREE = every(7);
const BEGINNINGS: readonly (readonly [name: string, rows: readonly number[]])[] = [
  ['every row', every(1)],
  ['rows side by side', every(1, 640, 900)],
  ['a row in every word', every(32)],
];

function namedHits(sets: RowSets): readonly NamedHits[] {
  const of = (name: string, ...postings: readonly Posting[]): NamedHits => {
    const rows = new Set<number>();
    for (let link of postings as readonly (Posting | undefined)[]) {
      for (; link !== undefined; link = link.parent) for (const id of link.ids) rows.add(id);
    }
    return { name, rows, hits: hitsOf(...postings) };
  };
  const posting = (rows: readonly number[], parent?: Posting): Posting => createPosting(rows, parent, sets);
  const few = posting([3, 4, 70, 71, 3999]);
  const steps = (...all: readonly number[]): readonly Posting[] => all.map((step) => posting(every(step)));
  return [
    of('nothing'),
    of('a few rows', few),
    of('many rows', posting(every(2))),
    of('a few rows and the many of their chain', posting([5, 6], posting(every(3)))),
    of('many rows of four postings', ...steps(5, 6, 7, 8)),
    of('many rows of four postings, and a few', ...steps(5, 6, 7, 8), few),
    of('many rows of nine postings', ...steps(5, 6, 7, 8, 9, 10, 11, 12, 13)),
    of('rows of one word', posting([64, 65, 66])),
  ];
}

function fixture(): Fixture {
  const sets = new RowSets(ROWS);
  const all = namedHits(sets);
  const made = new Map<string, RowSet>();
  for (const rows of [FREE, [1, 2000], [9, 40, 41], ...BEGINNINGS.map(([, own]) => own)]) {
    const set = sets.create();
    sets.add(set, rows);
    made.set(rows.join(), set);
  }
  const intersection = new BitmapIntersection(sets, MOST);
  const memory = sets.seal();
  return {
    intersection,
    namedHits: all,
    setOf: (rows) => made.get(rows.join()) as RowSet,
    read: (set) => every(1).filter((row) => (((memory[(set >> 2) + (row >>> 5)] as number) >>> (row & 31)) & 1) === 1),
  };
}

function leftIn(intersection: BitmapIntersection): readonly number[] {
  const left: number[] = [];
  intersection.find((row) => {
    left.push(row);
    return false;
  });
  return left;
}

describe('BitmapIntersection', () => {
  const { intersection, namedHits: all, setOf, read } = fixture();
  const [, few, many, , , , nine] = all as [NamedHits, NamedHits, NamedHits, NamedHits, NamedHits, NamedHits, NamedHits];
  // Stored outside the row sets, as the hits of a token are.
  const unionOf = ({ hits }: NamedHits): Posting => createStoredPosting(intersection.unionOf(hits), hits.total);
  const both: NamedHits = {
    name: 'two stored unions, and a few rows',
    rows: new Set([...many.rows, ...nine.rows, ...few.rows]),
    hits: hitsOf(...few.hits.postings, unionOf(many), unionOf(nine)),
  };
  const stored = all.map((one): NamedHits => ({ ...one, name: `${one.name}, as a stored union`, hits: hitsOf(unionOf(one)) }));
  const everything: readonly NamedHits[] = [...all, ...stored, both];

  for (const [beginning, rows] of BEGINNINGS) {
    for (const { name, rows: own, hits } of everything) {
      it(`keeps ${name} when it starts with ${beginning}`, () => {
        intersection.begin(undefined, setOf(rows));
        intersection.intersect(hits, undefined);
        expect(leftIn(intersection)).to.deep.equal(rows.filter((row) => own.has(row)));
      });

      it(`keeps ${name} and the free rows when it starts with ${beginning}, twice`, () => {
        intersection.begin(undefined, setOf(rows));
        for (let time = 0; time < 2; time++) intersection.intersect(hits, setOf(FREE));
        expect(leftIn(intersection)).to.deep.equal(rows.filter((row) => own.has(row) || row % 7 === 0));
      });

      it(`subtracts ${name} when it starts with ${beginning}, twice`, () => {
        intersection.begin(undefined, setOf(rows));
        for (let time = 0; time < 2; time++) intersection.subtract(hits);
        expect(leftIn(intersection)).to.deep.equal(rows.filter((row) => !own.has(row)));
        expect(read(setOf(rows)), 'the rows that it starts with').to.deep.equal(rows);
      });
    }
  }

  for (const { name, rows, hits } of everything) {
    it(`starts with ${name}`, () => {
      intersection.begin(hits, undefined);
      expect(leftIn(intersection)).to.deep.equal(every(1).filter((row) => rows.has(row)));
    });

    it(`starts with ${name} and the free rows, and subtracts others`, () => {
      intersection.begin(hits, setOf([1, 2000]));
      intersection.subtract(few.hits);
      const begun = (row: number): boolean => rows.has(row) || row === 1 || row === 2000;
      expect(leftIn(intersection)).to.deep.equal(every(1).filter((row) => begun(row) && !few.rows.has(row)));
    });
  }

  it('lists up to the maximum number of rows, and returns -1 when there are more', () => {
    intersection.begin(few.hits, undefined);
    expect(intersection.list()).to.equal(MOST);
    expect(Array.from({ length: MOST }, (_, at) => intersection.listed(at))).to.deep.equal([3, 4, 70, 71, 3999]);
    intersection.begin(many.hits, undefined);
    expect(intersection.list()).to.equal(-1);
  });

  it('finds the first row that is accepted', () => {
    intersection.begin(undefined, setOf([9, 40, 41]));
    expect(intersection.find((row) => row > 9)).to.equal(40);
    expect(intersection.find(() => false)).to.equal(-1);
  });

  it('is empty when no row is left, and not after it starts again', () => {
    intersection.begin(many.hits, undefined);
    expect(intersection.isEmpty).to.equal(false);
    intersection.subtract(many.hits);
    expect(intersection.isEmpty).to.equal(true);
    expect(leftIn(intersection)).to.deep.equal([]);
    intersection.begin(few.hits, undefined);
    expect(intersection.isEmpty).to.equal(false);
  });
});
