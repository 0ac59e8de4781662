/*
 * IP addresses and CIDR blocks: parsing, canonical form, and a containment test. Strict in the way of Go's netip and inet_pton.
 * @see semantics of ipBlocks, remoteIpBlocks, source.ip, remote.ip, destination.ip
 */

/** 1 word for IPv4, 4 words for IPv6; each an unsigned 32-bit number, most significant first. */
export type IpWords = readonly number[];

/** The addresses whose first `bits` bits are those of `words` (host bits are zero). */
export interface IpBlock {
  readonly words: IpWords;
  readonly bits: number;
}

const COLON = 58;
const DOT = 46;
const MAX_DECIMAL_DIGITS = 3;
const MAX_HEX_DIGITS = 4;
const GROUPS = 8;
const ZEROS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0];

function decimalDigit(code: number): number {
  return code >= 48 && code <= 57 ? code - 48 : -1;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const upper = code & ~32;
  return upper >= 65 && upper <= 70 ? upper - 55 : -1;
}

/** The address of four decimal numbers 0-255 without leading zeros, from `start` to the end of the string; -1: invalid. */
function parseIpv4(value: string, start: number): number {
  let address = 0;
  let byte = 0;
  let digits = 0;
  let dots = 0;
  for (let i = start; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return -1;
      address = address * 256 + byte;
      byte = 0;
      digits = 0;
      continue;
    }
    const digit = decimalDigit(code);
    if (digit === -1 || (digits > 0 && byte === 0) || ++digits > MAX_DECIMAL_DIGITS) return -1;
    byte = byte * 10 + digit;
    if (byte > 255) return -1;
  }
  return dots === 3 && digits > 0 ? address * 256 + byte : -1;
}

/** 16-bit groups before and after `::`; `gap` is the number of groups before it, -1 without `::`. */
interface Ipv6Groups {
  readonly groups: number[];
  gap: number;
}

function parseIpv6(value: string): IpWords | undefined {
  const state: Ipv6Groups = { groups: [], gap: -1 };
  let i = 0;
  if (value.startsWith('::')) {
    state.gap = 0;
    i = 2;
  }
  while (i < value.length) {
    i = readGroup(state, value, i);
    if (i === -1) return undefined;
  }
  return wordsOf(state);
}

/** Reads one group and the colons after it. Returns the next index; -1: malformed. */
function readGroup(state: Ipv6Groups, value: string, start: number): number {
  const { groups } = state;
  if (groups.length === GROUPS) return -1;
  let i = start;
  let group = 0;
  for (; i < value.length; i++) {
    const digit = hexDigit(value.charCodeAt(i));
    if (digit === -1) break;
    group = group * 16 + digit;
    if (i - start >= MAX_HEX_DIGITS) return -1;
  }
  if (value.charCodeAt(i) === DOT) return readEmbeddedIpv4(groups, value, start);
  if (i === start) return -1;
  groups.push(group);
  if (i === value.length) return i;
  if (value.charCodeAt(i) !== COLON) return -1;
  if (value.charCodeAt(i + 1) !== COLON) return i + 1 === value.length ? -1 : i + 1;
  if (state.gap !== -1) return -1;
  state.gap = groups.length;
  return i + 2;
}

function readEmbeddedIpv4(groups: number[], value: string, start: number): number {
  const address = parseIpv4(value, start);
  if (address === -1 || groups.length > GROUPS - 2) return -1;
  groups.push(Math.floor(address / 65536), address % 65536);
  return value.length;
}

function wordsOf({ groups, gap }: Ipv6Groups): IpWords | undefined {
  if (gap === -1 ? groups.length !== GROUPS : groups.length >= GROUPS) return undefined;
  const all = gap === -1 ? groups : [...groups.slice(0, gap), ...ZEROS.slice(groups.length), ...groups.slice(gap)];
  const word = (index: number): number => (all[index] as number) * 65536 + (all[index + 1] as number);
  return [word(0), word(2), word(4), word(6)];
}

/** Parses an address literal without zone, port or brackets; `undefined`: not an address. */
export function parseIp(value: string): IpWords | undefined {
  if (value.includes(':')) return parseIpv6(value);
  const address = parseIpv4(value, 0);
  return address === -1 ? undefined : [address];
}

/** Is the whole string an IPv4 or IPv6 literal? */
export function isIpLiteral(value: string): boolean {
  return value.includes(':') ? parseIpv6(value) !== undefined : parseIpv4(value, 0) !== -1;
}

/**
 * Parses `address` or `address/bits`; a bare address is a block of one. Host bits may be set and are cleared.
 * @returns undefined if Istio rejects the value, too (zones, leading zeros, bits out of range)
 */
export function parseIpBlock(value: string): IpBlock | undefined {
  const slash = value.indexOf('/');
  const words = parseIp(slash === -1 ? value : value.slice(0, slash));
  if (words === undefined) return undefined;
  const width = words.length * 32;
  const bits = slash === -1 ? width : parseBits(value.slice(slash + 1), width);
  if (bits === -1) return undefined;
  return { words: words.map((word, index) => (word & maskOf(bits, index)) >>> 0), bits };
}

function parseBits(value: string, width: number): number {
  if (value.length === 0 || value.length > MAX_DECIMAL_DIGITS || (value.length > 1 && value.startsWith('0'))) return -1;
  let bits = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = decimalDigit(value.charCodeAt(i));
    if (digit === -1) return -1;
    bits = bits * 10 + digit;
  }
  return bits > width ? -1 : bits;
}

/** The network mask of word `index` for a prefix of `bits`. */
function maskOf(bits: number, index: number): number {
  const rest = bits - index * 32;
  if (rest <= 0) return 0;
  return rest >= 32 ? -1 : ~(-1 >>> rest);
}

/** Does the block contain the address? IPv4 and IPv6 never contain each other. */
export function blockContains(block: IpBlock, address: IpWords): boolean {
  if (block.words.length !== address.length) return false;
  for (let i = 0; i < address.length; i++) {
    if (((address[i] as number) & maskOf(block.bits, i)) >>> 0 !== block.words[i]) return false;
  }
  return true;
}

/** A test whether an address is in any of `cidrs`. Invalid CIDRs contain no address; `undefined`, an invalid address, is in none. */
export function compileIpBlocks(cidrs: readonly string[]): (address: IpWords | undefined) => boolean {
  const blocks = cidrs.map(parseIpBlock).filter((block): block is IpBlock => block !== undefined);
  return (address) => {
    if (address === undefined) return false;
    for (const block of blocks) {
      if (blockContains(block, address)) return true;
    }
    return false;
  };
}

/** The canonical form of a block, e.g. `10.0.0.0/8` or `2001:db8::/32` (RFC 5952 for IPv6). */
export function formatIpBlock(block: IpBlock): string {
  const value = block.words.length === 1 ? formatIpv4(block.words[0] as number) : formatIpv6(block.words);
  return `${value}/${block.bits}`;
}

function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

function formatIpv6(words: IpWords): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 65535]);
  let best = 0;
  let bestLength = 1;
  for (let start = 0; start < GROUPS; start++) {
    let end = start;
    while (end < GROUPS && groups[end] === 0) end++;
    if (end - start > bestLength) {
      best = start;
      bestLength = end - start;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestLength === 1) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}
