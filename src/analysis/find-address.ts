/*
 * Decides whether an address exists that is in a block of every positive list and in no block of a negative one. The addresses that
 * solve the problem are intervals, and each begins where a block begins or directly after one, so that those addresses are enough to try.
 */
import { formatIpBlock, type IpBlock, type IpWords, parseIp, parseIpBlock } from '../policy/match/ip-block.ts';
import type { Budget } from './budget.ts';

/** Lists of CIDR blocks. */
export interface AddressProblem {
  readonly positive: readonly (readonly string[])[];
  readonly negative: readonly (readonly string[])[];
  /** Tried first. */
  readonly preferred: readonly string[];
}

/** An address, or the negative lists that leave none. */
export type FoundAddress =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'none'; readonly blockedBy: readonly number[] };

interface Interval {
  /** Number of 32-bit words of the family: 1 for IPv4, 4 for IPv6. */
  readonly words: number;
  readonly first: bigint;
  readonly last: bigint;
}

const WORD_BITS = 32n;
const WORD_MASK = (1n << WORD_BITS) - 1n;

function numberOf(words: IpWords): bigint {
  return words.reduce((sum, word) => (sum << WORD_BITS) | BigInt(word), 0n);
}

function intervalOf({ words, bits }: IpBlock): Interval {
  const first = numberOf(words);
  return { words: words.length, first, last: first + (1n << BigInt(words.length * 32 - bits)) - 1n };
}

const parsed = new Map<string, Interval | undefined>();

function intervalsOf(blocks: readonly string[]): readonly Interval[] {
  return blocks.flatMap((block) => {
    if (!parsed.has(block)) {
      const found = parseIpBlock(block);
      parsed.set(block, found === undefined ? undefined : intervalOf(found));
    }
    return parsed.get(block) ?? [];
  });
}

interface Point {
  readonly words: number;
  readonly at: bigint;
}

function isIn({ words, at }: Point, intervals: readonly Interval[]): boolean {
  return intervals.some((one) => one.words === words && one.first <= at && at <= one.last);
}

function formatPoint({ words, at }: Point): string {
  const all = Array.from({ length: words }, (_, index) => Number((at >> (WORD_BITS * BigInt(words - 1 - index))) & WORD_MASK));
  return formatIpBlock({ words: all, bits: words * 32 }).replace(/\/\d+$/, '');
}

function pointOf(address: string): readonly Point[] {
  const words = parseIp(address);
  return words === undefined ? [] : [{ words: words.length, at: numberOf(words) }];
}

/** An address that solves the problem. @throws OutOfTime when the budget ends before */
export function findAddress({ positive, negative, preferred }: AddressProblem, budget: Budget): FoundAddress {
  const inside = positive.map(intervalsOf);
  const outside = negative.map(intervalsOf);
  const starts = (inside.toSorted((one, other) => one.length - other.length)[0] ?? [ALL_IPV4, ALL_IPV6]).map(({ words, first }) => ({
    words,
    at: first,
  }));
  const more = [
    ...inside.flat().map(({ words, first }) => ({ words, at: first })),
    ...outside.flat().map(({ words, last }) => ({ words, at: last + 1n })),
  ];
  const blockedBy = new Set<number>();
  for (const point of [...preferred.flatMap(pointOf), ...starts, ...more]) {
    budget.spend(inside.length + outside.length);
    if (point.at >> BigInt(point.words * 32) !== 0n || !inside.every((intervals) => isIn(point, intervals))) continue;
    const blocking = outside.findIndex((intervals) => isIn(point, intervals));
    if (blocking === -1) return { kind: 'value', value: formatPoint(point) };
    blockedBy.add(blocking);
  }
  return { kind: 'none', blockedBy: [...blockedBy] };
}

const ALL_IPV4: Interval = { words: 1, first: 0n, last: WORD_MASK };
const ALL_IPV6: Interval = { words: 4, first: 0n, last: (1n << 128n) - 1n };
