/*
 * IP addresses and CIDR blocks. In: text from policies, headers and sockets. Out: parsed values, canonical text, and a
 * containment test. Strict as Go's netip and inet_pton are. Used by lower (canonical text), decide and request.
 * @see semantics of ipBlocks, remoteIpBlocks, source.ip, remote.ip, destination.ip
 */

/** 1 word for IPv4, 4 words for IPv6; each an unsigned 32-bit number, most significant first. */
export type IpWords = readonly number[];

/** Addresses whose first `bits` bits are those of `words` (host bits are zero). */
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

/** Four decimal numbers 0-255 without leading zeros, from `start` to the end of the text; -1: not that. */
function parseIpv4(text: string, start: number): number {
  let address = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return -1;
      address = address * 256 + octet;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = decimalDigit(code);
    if (digit === -1 || (digits > 0 && octet === 0) || ++digits > MAX_DECIMAL_DIGITS) return -1;
    octet = octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && digits > 0 ? address * 256 + octet : -1;
}

/** 16-bit groups before and after `::`; `gap` is the number of groups before it, -1 without `::`. */
interface Ipv6Groups {
  readonly groups: number[];
  gap: number;
}

function parseIpv6(text: string): IpWords | undefined {
  const state: Ipv6Groups = { groups: [], gap: -1 };
  let i = 0;
  if (text.startsWith('::')) {
    state.gap = 0;
    i = 2;
  }
  while (i < text.length) {
    i = takeGroup(state, text, i);
    if (i === -1) return undefined;
  }
  return wordsOf(state);
}

/** Takes one group and the colons after it. Gives the next index; -1: malformed. */
function takeGroup(state: Ipv6Groups, text: string, start: number): number {
  const { groups } = state;
  if (groups.length === GROUPS) return -1;
  let i = start;
  let value = 0;
  for (; i < text.length; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit === -1) break;
    value = value * 16 + digit;
    if (i - start >= MAX_HEX_DIGITS) return -1;
  }
  if (text.charCodeAt(i) === DOT) return takeEmbeddedIpv4(groups, text, start);
  if (i === start) return -1;
  groups.push(value);
  if (i === text.length) return i;
  if (text.charCodeAt(i) !== COLON) return -1;
  if (text.charCodeAt(i + 1) !== COLON) return i + 1 === text.length ? -1 : i + 1;
  if (state.gap !== -1) return -1;
  state.gap = groups.length;
  return i + 2;
}

function takeEmbeddedIpv4(groups: number[], text: string, start: number): number {
  const address = parseIpv4(text, start);
  if (address === -1 || groups.length > GROUPS - 2) return -1;
  groups.push(Math.floor(address / 65536), address % 65536);
  return text.length;
}

function wordsOf({ groups, gap }: Ipv6Groups): IpWords | undefined {
  if (gap === -1 ? groups.length !== GROUPS : groups.length >= GROUPS) return undefined;
  const all = gap === -1 ? groups : [...groups.slice(0, gap), ...ZEROS.slice(groups.length), ...groups.slice(gap)];
  const word = (index: number): number => (all[index] as number) * 65536 + (all[index + 1] as number);
  return [word(0), word(2), word(4), word(6)];
}

/** Parses an address literal without zone, port or brackets; `undefined` when it is none. */
export function parseIp(text: string): IpWords | undefined {
  if (text.includes(':')) return parseIpv6(text);
  const address = parseIpv4(text, 0);
  return address === -1 ? undefined : [address];
}

/** Is `text` an IPv4 or IPv6 literal, alone? */
export function isIpLiteral(text: string): boolean {
  return text.includes(':') ? parseIpv6(text) !== undefined : parseIpv4(text, 0) !== -1;
}

/**
 * Parses `address` or `address/bits`; a bare address is a block of one. Host bits may be set and are cleared.
 * @returns undefined when Istio refuses the text, too (zones, leading zeros, bits out of range)
 */
export function parseIpBlock(text: string): IpBlock | undefined {
  const slash = text.indexOf('/');
  const words = parseIp(slash === -1 ? text : text.slice(0, slash));
  if (words === undefined) return undefined;
  const width = words.length * 32;
  const bits = slash === -1 ? width : parseBits(text.slice(slash + 1), width);
  if (bits === -1) return undefined;
  return { words: words.map((word, index) => (word & maskOf(bits, index)) >>> 0), bits };
}

function parseBits(text: string, width: number): number {
  if (text.length === 0 || text.length > MAX_DECIMAL_DIGITS || (text.length > 1 && text.startsWith('0'))) return -1;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = decimalDigit(text.charCodeAt(i));
    if (digit === -1) return -1;
    bits = bits * 10 + digit;
  }
  return bits > width ? -1 : bits;
}

/** The mask of word `index` under a prefix of `bits`. */
function maskOf(bits: number, index: number): number {
  const rest = bits - index * 32;
  if (rest <= 0) return 0;
  return rest >= 32 ? -1 : ~(-1 >>> rest);
}

/** Does the block hold the address? IPv4 and IPv6 never hold each other. */
export function blockContains(block: IpBlock, address: IpWords): boolean {
  if (block.words.length !== address.length) return false;
  for (let i = 0; i < address.length; i++) {
    if (((address[i] as number) & maskOf(block.bits, i)) >>> 0 !== block.words[i]) return false;
  }
  return true;
}

/** A test whether an address lies in any of `texts`; a text that is no block, and an address that is none, are in nothing. */
export function compileIpBlocks(texts: readonly string[]): (address: IpWords | undefined) => boolean {
  const blocks = texts.map(parseIpBlock).filter((block): block is IpBlock => block !== undefined);
  return (address) => {
    if (address === undefined) return false;
    for (const block of blocks) {
      if (blockContains(block, address)) return true;
    }
    return false;
  };
}

/** `10.0.0.0/8`, `2001:db8::/32`: one text for each block (RFC 5952 for IPv6). */
export function formatIpBlock(block: IpBlock): string {
  const text = block.words.length === 1 ? formatIpv4(block.words[0] as number) : formatIpv6(block.words);
  return `${text}/${block.bits}`;
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
