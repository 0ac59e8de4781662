/*
 * The strings that each attribute of a request can have once the agent has normalized it.
 */
import type { PathNormalization } from '../api/mesh-config.ts';
import type { StringDomain } from './find-string.ts';
import { ANYTHING, containing, type Element, endingWith, literal, oneOf, type Pattern, startingWith } from './pattern.ts';

const LETTERS = 'xyzabcdefghijklmnopqrstuvw1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** Of canonical paths, besides letters and digits (Chromium's canonicalization keeps these). */
const CANONICAL = "-_~.!$&'()*+,:;=@%/[]";
const PRINTABLE_ONLY = '"<>\\^`{|}';
/** Of Host and `:authority`, besides letters and digits. */
const AUTHORITY = "-.:_~!$%&'()*+,;=@[]";

function codesOf(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function unique(codes: readonly number[]): readonly number[] {
  return [...new Set(codes)];
}

/** Any text: claims, and identities in a certificate. */
export const TEXT: StringDomain = { alphabet: unique([...codesOf(LETTERS), ...range(0, 0xffff)]), rejected: [] };

/** Any bytes: a header that a JWT rule sets from a claim, and what a JWT rule leaves of a query. */
export const BYTES: StringDomain = { alphabet: unique([...codesOf(LETTERS), ...range(0, 255)]), rejected: [] };

const SPACE: Element = oneOf([9, 32]);

/** A header value from a client: the codec removes whitespace around it and refuses control characters. */
export const HEADER: StringDomain = {
  alphabet: unique([...codesOf(LETTERS), 9, ...range(32, 126), ...range(128, 255)]),
  rejected: [startingWith([SPACE]), endingWith([SPACE])],
};

/** Host with an optional port. */
export const HOST: StringDomain = { alphabet: codesOf(LETTERS + AUTHORITY), rejected: [] };

/** SNI without ASCII letters in upper case; `''`: none. */
export const SNI: StringDomain = {
  alphabet: unique([...codesOf(LETTERS.toLowerCase()), ...range(0, 64), ...range(91, 255)]),
  rejected: [],
};

const pathDomains = new Map<PathNormalization, StringDomain>();

/** Normalized paths without query. */
export function pathDomain(mode: PathNormalization): StringDomain {
  const domain = pathDomains.get(mode) ?? createPathDomain(mode);
  pathDomains.set(mode, domain);
  return domain;
}

function createPathDomain(mode: PathNormalization): StringDomain {
  const accepted = [startingWith(literal('/'))];
  if (mode === 'NONE') return { alphabet: codesOf(LETTERS + CANONICAL + PRINTABLE_ONLY), accepted, rejected: [] };
  const merged = mode === 'BASE' ? [] : UNMERGED_SLASHES;
  const unescaped = mode === 'DECODE_AND_MERGE_SLASHES' ? ['%2F', '%2f', '%5C', '%5c'].map((text) => containing(literal(text))) : [];
  return { alphabet: codesOf(LETTERS + CANONICAL), accepted, rejected: [...DOT_SEGMENTS, ...NEEDLESS_ESCAPES, ...merged, ...unescaped] };
}

/** Merging leaves two slashes in one path only, `//`, which is what it makes of any number of slashes (as Envoy does). */
const UNMERGED_SLASHES: readonly Pattern[] = [
  startingWith([...literal('//'), ANYTHING]),
  endingWith([ANYTHING, ...containing(literal('//')).slice(1)]),
];

const DOT_SEGMENTS: readonly Pattern[] = ['/.', '/..'].flatMap((text) => [endingWith(literal(text)), containing(literal(`${text}/`))]);

/** Escapes of characters that canonicalization decodes, and of NUL, which it refuses. */
const NEEDLESS_ESCAPES: readonly Pattern[] = [
  ['0', '0'],
  ['2', 'DdEe'],
  ['3', '0123456789'],
  ['4', '123456789ABCDEFabcdef'],
  ['5', '0123456789AaFf'],
  ['6', '123456789ABCDEFabcdef'],
  ['7', '0123456789AaEe'],
].map(([high = '', low = '']) => containing([...literal(`%${high}`), oneOf(codesOf(low))]));
