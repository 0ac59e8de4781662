/*
 * The addresses at the edges of a CIDR block.
 */
import { formatIpBlock, parseIpBlock } from '../../policy/match/ip-block.ts';

const WORD_BITS = 32n;
const WORD_MASK = 0xffff_ffffn;

/**
 * The first and the last address of `block`, then the addresses just before and just after it; those beyond the address space are
 * left out. Empty when `block` is invalid.
 * @example blockEdges('10.1.0.0/16') // ['10.1.0.0', '10.1.255.255', '10.0.255.255', '10.2.0.0']
 */
export function blockEdges(block: string): readonly string[] {
  const parsed = parseIpBlock(block);
  if (parsed === undefined) return [];
  const words = parsed.words.length;
  const width = words * Number(WORD_BITS);
  const first = parsed.words.reduce((sum, word) => (sum << WORD_BITS) | BigInt(word), 0n);
  const size = 1n << BigInt(width - parsed.bits);
  const edges = [first, first + size - 1n, first - 1n, first + size];
  const inSpace = edges.filter((address) => address >= 0n && address < 1n << BigInt(width));
  return [...new Set(inSpace.map((address) => addressText(address, words)))];
}

function addressText(address: bigint, count: number): string {
  const words = Array.from({ length: count }, (_, index) => Number((address >> (WORD_BITS * BigInt(count - 1 - index))) & WORD_MASK));
  const text = formatIpBlock({ words, bits: count * Number(WORD_BITS) });
  return text.slice(0, text.lastIndexOf('/'));
}
