/* The sieve against plain sets of numbers: what is begun with, kept and dropped leaves the same rows, however postings tell them. */
import { expect } from 'chai';
import {
  addHit,
  clearHits,
  createHits,
  createKeptPosting,
  createPosting,
  type Hits,
  type Posting,
} from '../../../../../src/policy/decide/index/posting.ts';
import { type RowSet, RowSets } from '../../../../../src/policy/decide/index/row-sets.ts';
import { Sieve } from '../../../../../src/policy/decide/index/sieve.ts';

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

/** Something a request hit, told in some way, and which rows it is about. */
interface Told {
  readonly name: string;
  readonly rows: ReadonlySet<number>;
  readonly hits: Hits;
}

/** A sieve over its own sets, with what can be asked of it. */
interface Bench {
  readonly sieve: Sieve;
  readonly told: readonly Told[];
  readonly setOf: (rows: readonly number[]) => RowSet;
  readonly read: (set: RowSet) => readonly number[];
}

const FREE = every(7);
const BEGINNINGS: readonly (readonly [name: string, rows: readonly number[]])[] = [
  ['every row', every(1)],
  ['rows side by side', every(1, 640, 900)],
  ['a row in every word', every(32)],
];

function told(sets: RowSets): readonly Told[] {
  const of = (name: string, ...postings: readonly Posting[]): Told => {
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

function bench(): Bench {
  const sets = new RowSets(ROWS);
  const all = told(sets);
  const made = new Map<string, RowSet>();
  for (const rows of [FREE, [1, 2000], [9, 40, 41], ...BEGINNINGS.map(([, own]) => own)]) {
    const set = sets.create();
    sets.add(set, rows);
    made.set(rows.join(), set);
  }
  const sieve = new Sieve(sets, MOST);
  const memory = sets.seal();
  return {
    sieve,
    told: all,
    setOf: (rows) => made.get(rows.join()) as RowSet,
    read: (set) => every(1).filter((row) => (((memory[(set >> 2) + (row >>> 5)] as number) >>> (row & 31)) & 1) === 1),
  };
}

function leftIn(sieve: Sieve): readonly number[] {
  const left: number[] = [];
  sieve.find((row) => {
    left.push(row);
    return false;
  });
  return left;
}

describe('Sieve', () => {
  const { sieve, told: all, setOf, read } = bench();
  const [, few, many, , , , nine] = all as [Told, Told, Told, Told, Told, Told, Told];
  // Held outside the sets, as those of a token are.
  const unionOf = ({ hits }: Told): Posting => createKeptPosting(sieve.unite(hits), hits.total);
  const both: Told = {
    name: 'two unions kept elsewhere, and a few rows',
    rows: new Set([...many.rows, ...nine.rows, ...few.rows]),
    hits: hitsOf(...few.hits.postings, unionOf(many), unionOf(nine)),
  };
  const kept = all.map((one): Told => ({ ...one, name: `${one.name}, kept elsewhere`, hits: hitsOf(unionOf(one)) }));
  const everything: readonly Told[] = [...all, ...kept, both];

  for (const [beginning, rows] of BEGINNINGS) {
    for (const { name, rows: own, hits } of everything) {
      it(`keeps ${name} of ${beginning}`, () => {
        sieve.begin(undefined, setOf(rows));
        sieve.keep(hits, undefined);
        expect(leftIn(sieve)).to.deep.equal(rows.filter((row) => own.has(row)));
      });

      it(`keeps ${name} and the free of ${beginning}, twice`, () => {
        sieve.begin(undefined, setOf(rows));
        for (let time = 0; time < 2; time++) sieve.keep(hits, setOf(FREE));
        expect(leftIn(sieve)).to.deep.equal(rows.filter((row) => own.has(row) || row % 7 === 0));
      });

      it(`drops ${name} from ${beginning}, twice`, () => {
        sieve.begin(undefined, setOf(rows));
        for (let time = 0; time < 2; time++) sieve.drop(hits);
        expect(leftIn(sieve)).to.deep.equal(rows.filter((row) => !own.has(row)));
        expect(read(setOf(rows)), 'the rows it began with').to.deep.equal(rows);
      });
    }
  }

  for (const { name, rows, hits } of everything) {
    it(`begins with ${name}`, () => {
      sieve.begin(hits, undefined);
      expect(leftIn(sieve)).to.deep.equal(every(1).filter((row) => rows.has(row)));
    });

    it(`begins with ${name} and the free, and goes on`, () => {
      sieve.begin(hits, setOf([1, 2000]));
      sieve.drop(few.hits);
      const begun = (row: number): boolean => rows.has(row) || row === 1 || row === 2000;
      expect(leftIn(sieve)).to.deep.equal(every(1).filter((row) => begun(row) && !few.rows.has(row)));
    });
  }

  it('lists as many rows as there is room for, or says that there are more', () => {
    sieve.begin(few.hits, undefined);
    expect(sieve.list()).to.equal(MOST);
    expect(Array.from({ length: MOST }, (_, at) => sieve.listed(at))).to.deep.equal([3, 4, 70, 71, 3999]);
    sieve.begin(many.hits, undefined);
    expect(sieve.list()).to.equal(-1);
  });

  it('finds the first row that is accepted', () => {
    sieve.begin(undefined, setOf([9, 40, 41]));
    expect(sieve.find((row) => row > 9)).to.equal(40);
    expect(sieve.find(() => false)).to.equal(-1);
  });

  it('is empty when nothing is left, and not after a new beginning', () => {
    sieve.begin(many.hits, undefined);
    expect(sieve.isEmpty).to.equal(false);
    sieve.drop(many.hits);
    expect(sieve.isEmpty).to.equal(true);
    expect(leftIn(sieve)).to.deep.equal([]);
    sieve.begin(few.hits, undefined);
    expect(sieve.isEmpty).to.equal(false);
  });
});
