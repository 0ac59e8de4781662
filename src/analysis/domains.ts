/*
 * The strings that each attribute of a request can have once the agent has normalized it.
 */
import type { PathNormalization } from '../api/mesh-config.ts';
import { isToken } from '../http/field-syntax.ts';
import { isRemovedHeader } from '../http/normalize/inline-headers.ts';
import type { StringDomain } from './find-string.ts';
import {
  ANYTHING,
  anyOf,
  classOf,
  containing,
  type Element,
  endingWith,
  literal,
  oneOf,
  onTarget,
  type Pattern,
  startingWith,
} from './pattern.ts';

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

let anyText: readonly number[] | undefined;

/** Any text: claims, and identities in a certificate. */
export const TEXT: StringDomain = {
  // Most commands never search for a text.
  get alphabet() {
    anyText ??= unique([...codesOf(LETTERS), ...range(0, 0xffff)]);
    return anyText;
  },
  hasAny: true,
  rejected: [],
};

const VISIBLE = range(33, 126);
/** Bytes above ASCII. */
const HIGH = range(128, 255);

/** Values of headers. Over HTTP/2 a client may send whitespace around them; control characters are refused everywhere. */
export const HEADER: StringDomain = { alphabet: unique([...codesOf(LETTERS), 9, 32, ...VISIBLE, ...HIGH]), rejected: [] };

/** Host with an optional port. */
export const HOST: StringDomain = { alphabet: codesOf(LETTERS + AUTHORITY), rejected: [] };

/** Methods, in the order in which they are preferred. Over HTTP/2 a method may be any token. A CONNECT request has no route, so that the agent forwards none. */
export const METHOD: StringDomain = { alphabet: codesOf(`${LETTERS}!#$%&'*+-.^_\`|~`), rejected: [literal(''), literal('CONNECT')] };

/** Schemes in lower case, as the agent writes them. */
export const SCHEME: StringDomain = {
  alphabet: codesOf(`${LETTERS.toLowerCase()}+-.`),
  accepted: [startingWith([oneOf(codesOf('xyzabcdefghijklmnopqrstuvw'))])],
  rejected: [],
};

/** SNI without ASCII letters in upper case; `''`: none. */
export const SNI: StringDomain = {
  alphabet: unique([...codesOf(LETTERS.toLowerCase()), ...range(0, 64), ...range(91, 255)]),
  rejected: [],
};

const PLAIN_PATH = codesOf(LETTERS + CANONICAL);
/** Without normalization, HTTP/2 lets bytes above ASCII through. */
const RAW_PATH = [...PLAIN_PATH, ...codesOf(PRINTABLE_ONLY), ...HIGH];

const pathDomains = new Map<PathNormalization, StringDomain>();

/** Normalized paths without query. */
export function pathDomain(mode: PathNormalization): StringDomain {
  const known = pathDomains.get(mode);
  if (known !== undefined) return known;
  const domain = {
    alphabet: mode === 'NONE' ? RAW_PATH : PLAIN_PATH,
    accepted: [startingWith(literal('/'))],
    rejected: rejectedPaths(mode),
  };
  pathDomains.set(mode, domain);
  return domain;
}

function rejectedPaths(mode: PathNormalization): readonly Pattern[] {
  if (mode === 'NONE') return [];
  const merged = mode === 'BASE' ? [] : UNMERGED_SLASHES;
  const unescaped = mode === 'DECODE_AND_MERGE_SLASHES' ? ['%2F', '%2f', '%5C', '%5c'].map((text) => containing(literal(text))) : [];
  return [...DOT_SEGMENTS, ...NEEDLESS_ESCAPES, ...merged, ...unescaped];
}

/** What a query can consist of: bytes that a client sends, or whatever a JWT rule decodes when it removes a token from a parameter. */
export type QueryForm = 'sent' | 'rewritten';

const targetDomains = new Map<string, StringDomain>();

/** Normalized paths with query. */
export function targetDomain(mode: PathNormalization, query: QueryForm): StringDomain {
  const key = `${mode} ${query}`;
  const domain = targetDomains.get(key) ?? createTargetDomain(mode, query);
  targetDomains.set(key, domain);
  return domain;
}

const QUERY_MARK = literal('?');
const HASH = 35;

function createTargetDomain(mode: PathNormalization, query: QueryForm): StringDomain {
  const { alphabet, rejected } = pathDomain(mode);
  const [inPath, inSent, inRewritten] = [
    new Set(alphabet),
    new Set([...VISIBLE, ...HIGH].filter((code) => code !== HASH)),
    new Set(HEADER.alphabet),
  ];
  const [path, sent, rewritten] = [inPath, inSent, inRewritten].map((codes) => anyOf((code) => codes.has(code))) as [
    Element,
    Element,
    Element,
  ];
  const start = [...literal('/'), path];
  return {
    alphabet: unique([...alphabet, ...(query === 'sent' ? inSent : inRewritten)]),
    accepted: [
      start,
      [...start, ...QUERY_MARK, sent],
      // The rewritten query consists of parameters, each with its equals sign.
      ...(query === 'sent' ? [] : [[...start, ...QUERY_MARK, rewritten, ...literal('='), rewritten]]),
    ],
    rejected: onTarget(rejected),
    classOf: (code) => classOf(code) | (inPath.has(code) ? 8 : 0) | (inSent.has(code) ? 16 : 0) | (code === QUERY_CODE ? 32 : 0),
  };
}

const QUERY_CODE = 63;

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

/** Can a request have this header when policies are evaluated, unless a JWT rule sets it? @param name in lower case */
export function canSendHeader(name: string): boolean {
  return name.startsWith(':') || (isToken(name, 0, name.length) && !isRemovedHeader(name));
}
