/* The sieve against plain sets of numbers: what is begun with, kept and dropped leaves the same rows, however postings tell them. */
import { expect } from 'chai';
import { addHit, clearHits, createHits, createPosting, type Hits, type Posting } from '../../../../../src/policy/decide/index/posting.ts';
import { Sieve } from '../../../../../src/policy/decide/index/sieve.ts';

const ROWS = 4000;
const WORDS = ROWS / 32;
const none: Int32Array = new Int32Array(WORDS);

/** Every `step`-th row from `from` up to `to`. */
function every(step: number, from = 0, to = ROWS): readonly number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

function posting(ids: readonly number[], parent?: Posting): Posting {
  return createPosting(ids, parent, WORDS);
}

function hitsOf(...postings: readonly Posting[]): Hits {
  const hits = createHits();
  clearHits(hits);
  for (const one of postings) addHit(hits, one);
  return hits;
}

function bitsOf(ids: readonly number[]): Int32Array {
  const bits = new Int32Array(WORDS);
  for (const id of ids) bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31));
  return bits;
}

function rowsOf(hits: Hits): ReadonlySet<number> {
  const rows = new Set<number>();
  for (let i = 0; i < hits.count; i++)
    for (let link = hits.postings[i]; link !== undefined; link = link.parent) for (const id of link.ids) rows.add(id);
  return rows;
}

function leftIn(sieve: Sieve): readonly number[] {
  const left: number[] = [];
  sieve.find((row) => {
    left.push(row);
    return false;
  });
  return left;
}

const MANY = posting(every(2));
const FEW = posting([3, 4, 70, 71, 3999]);
const CHAIN = posting([5, 6], posting(every(3)));
const SETS: readonly (readonly [name: string, hits: Hits])[] = [
  ['nothing', hitsOf()],
  ['a few rows', hitsOf(FEW)],
  ['many rows', hitsOf(MANY)],
  ['a few rows and the many of their chain', hitsOf(CHAIN)],
  ['many rows of five postings', hitsOf(...[5, 6, 7, 8, 9].map((step) => posting(every(step))))],
  ['many rows of four postings, and a few', hitsOf(...[5, 6, 7, 8].map((step) => posting(every(step))), FEW)],
  ['rows of one word', hitsOf(posting([64, 65, 66]))],
];
const BEGINNINGS: readonly (readonly [name: string, ids: readonly number[]])[] = [
  ['every row', every(1)],
  ['rows in a few words', every(1, 640, 900)],
  ['a row in every word', every(32)],
];

describe('Sieve', () => {
  for (const [beginning, ids] of BEGINNINGS) {
    for (const isNarrow of [false, true]) {
      const begun = (): Sieve => {
        const sieve = new Sieve(ROWS);
        sieve.begin(bitsOf(ids));
        if (isNarrow) sieve.narrow();
        return sieve;
      };
      const words = isNarrow ? `${beginning}, words listed` : beginning;

      for (const [name, hits] of SETS) {
        it(`keeps ${name} of ${words}`, () => {
          const sieve = begun();
          sieve.keep(hits, undefined);
          expect(leftIn(sieve)).to.deep.equal(ids.filter((id) => rowsOf(hits).has(id)));
        });

        it(`keeps ${name} and the free of ${words}, twice`, () => {
          const sieve = begun();
          const free = every(7);
          for (let time = 0; time < 2; time++) sieve.keep(hits, bitsOf(free));
          expect(leftIn(sieve)).to.deep.equal(ids.filter((id) => rowsOf(hits).has(id) || id % 7 === 0));
        });

        it(`drops ${name} from ${words}, twice`, () => {
          const sieve = begun();
          for (let time = 0; time < 2; time++) sieve.drop(hits);
          expect(leftIn(sieve)).to.deep.equal(ids.filter((id) => !rowsOf(hits).has(id)));
        });
      }
    }
  }

  for (const [name, hits] of SETS) {
    it(`begins with ${name} and the free`, () => {
      const sieve = new Sieve(ROWS);
      sieve.beginWith(hits, bitsOf([1, 2000]));
      expect(leftIn(sieve)).to.deep.equal(every(1).filter((id) => rowsOf(hits).has(id) || id === 1 || id === 2000));
    });
  }

  it('begins with few rows, in whatever order they come', () => {
    const sieve = new Sieve(ROWS);
    expect(sieve.beginWithFew(hitsOf(posting([900, 901]), posting([5, 900])))).to.equal(true);
    expect(leftIn(sieve)).to.deep.equal([5, 900, 901]);
    sieve.drop(hitsOf(posting([900])));
    expect(leftIn(sieve)).to.deep.equal([5, 901]);
    sieve.keep(hitsOf(MANY), none);
    expect(sieve.isEmpty).to.equal(true);
  });

  it('does not begin with few rows when a posting has many', () => {
    expect(new Sieve(ROWS).beginWithFew(hitsOf(FEW, MANY))).to.equal(false);
  });

  it('leaves the rows alone that it only reads', () => {
    const rows = bitsOf(every(1));
    const sieve = new Sieve(ROWS);
    sieve.begin(rows);
    sieve.drop(hitsOf(FEW));
    sieve.drop(hitsOf(MANY));
    expect(rows).to.deep.equal(bitsOf(every(1)));
  });

  it('lists as many rows as there is room for, or says that there are more', () => {
    const sieve = new Sieve(ROWS);
    sieve.beginWithFew(hitsOf(FEW));
    const room = new Int32Array(5);
    expect(sieve.list(room)).to.equal(5);
    expect([...room]).to.deep.equal([3, 4, 70, 71, 3999]);
    expect(sieve.list(new Int32Array(4))).to.equal(-1);
  });

  it('finds the first row that is accepted', () => {
    const sieve = new Sieve(ROWS);
    sieve.begin(bitsOf([9, 40, 41]));
    expect(sieve.find((row) => row > 9)).to.equal(40);
    expect(sieve.find(() => false)).to.equal(-1);
  });

  it('is empty when nothing is left', () => {
    const sieve = new Sieve(ROWS);
    sieve.begin(bitsOf(every(2)));
    sieve.drop(hitsOf(MANY));
    expect(sieve.isEmpty).to.equal(true);
    expect(leftIn(sieve)).to.deep.equal([]);
  });
});
