/*
 * CIDR blocks as sorted ranges. A binary search finds for an address the posting of the smallest block that contains it, whose chain
 * holds the larger ones. Blocks nest or are disjoint, so each range between their borders has one smallest block.
 */
import type { Steps } from '../../../../steps.ts';
import type { IpBlock, IpWords } from '../../../match/ip-block.ts';
import { createPosting, type IdSets, type Posting } from './posting.ts';
import { sortInSteps } from './sort-in-steps.ts';

/** A block with its ids. */
export interface BlockIds {
  readonly block: IpBlock;
  readonly ids: readonly number[];
}

/** Blocks of one address family. */
export interface BlockTable {
  /** Posting of the smallest block that contains the address; `undefined`: none does. */
  find(address: IpWords): Posting | undefined;
  /** Largest number of ids that one address can hit. */
  readonly worst: number;
}

function compareWords(left: IpWords, right: IpWords): number {
  for (let i = 0; i < left.length; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The first address after the block; `undefined`: the block ends with the last address. */
function endOf({ words, bits }: IpBlock): IpWords | undefined {
  const end = [...words];
  const word = Math.ceil(bits / 32) - 1;
  if (word < 0) return undefined;
  // The value of the last bit of the mask; a carry goes to the previous word.
  let step = 2 ** (32 * (word + 1) - bits);
  for (let i = word; i >= 0; i--) {
    const sum = (end[i] as number) + step;
    end[i] = sum >>> 0;
    if (sum < 2 ** 32) return end;
    step = 1;
  }
  return undefined;
}

interface Ranges {
  readonly starts: IpWords[];
  readonly postings: (Posting | undefined)[];
}

function addRange({ starts, postings }: Ranges, start: IpWords, posting: Posting | undefined): void {
  const last = starts[starts.length - 1];
  if (last !== undefined && compareWords(last, start) === 0) postings[postings.length - 1] = posting;
  else {
    starts.push(start);
    postings.push(posting);
  }
}

/** A block that contains the current position of the sweep. */
interface Open {
  readonly end: IpWords | undefined;
  readonly posting: Posting;
}

const BLOCKS_PER_STEP = 128;

function* sweep(blocks: readonly BlockIds[], sets: IdSets | undefined): Steps<Ranges> {
  const ranges: Ranges = { starts: [], postings: [] };
  const open: Open[] = [];
  const close = (until: IpWords | undefined): void => {
    for (let top = open.at(-1); top?.end !== undefined; top = open.at(-1)) {
      if (until !== undefined && compareWords(top.end, until) > 0) return;
      open.pop();
      addRange(ranges, top.end, open.at(-1)?.posting);
    }
  };
  for (const [at, { block, ids }] of blocks.entries()) {
    if (at % BLOCKS_PER_STEP === 0) yield;
    close(block.words);
    const posting = createPosting(ids, open.at(-1)?.posting, sets);
    open.push({ end: endOf(block), posting });
    addRange(ranges, block.words, posting);
  }
  close(undefined);
  return ranges;
}

/** Builds the table; all blocks must be of one address family and distinct. `undefined`: there are no blocks. @param sets see `createPosting` */
export function* buildBlockTable(blocks: readonly BlockIds[], sets: IdSets | undefined): Steps<BlockTable | undefined> {
  if (blocks.length === 0) return undefined;
  const sorted = yield* sortInSteps(
    blocks,
    (left, right) => compareWords(left.block.words, right.block.words) || left.block.bits - right.block.bits,
  );
  const { starts, postings } = yield* sweep(sorted, sets);
  const worst = postings.reduce((most, posting) => Math.max(most, posting?.total ?? 0), 0);
  return {
    worst,
    find: (address) => {
      let low = 0;
      let high = starts.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (compareWords(starts[middle] as IpWords, address) <= 0) low = middle + 1;
        else high = middle;
      }
      return postings[low - 1];
    },
  };
}
