/*
 * Matchers of strings as patterns: short sequences of character sets, some of which repeat. Every matcher of a program is a union of
 * them, so that one search over positions decides all kinds of strings.
 */
import { isSegmentByte, parsePathTemplate } from '../policy/match/path-template.ts';
import { asciiLowerCase, toByteMatch, toByteString } from '../policy/match/string-match.ts';
import type { IdentityMatch, PathMatch, StringMatch } from '../policy/model/program.ts';
import type { Containing } from './constraint.ts';

/** One element of a pattern: a character of a set, or any number of them. */
export interface Element {
  readonly has: (code: number) => boolean;
  /** The whole set when it is small; absent: the set is one of the wide ones below. */
  readonly codes?: readonly number[];
  /** Any number of characters of the set, none included. */
  readonly repeats: boolean;
  /** The set contains every character, so a repeated last element accepts every continuation. */
  readonly isUniversal?: boolean;
}

/** Elements in order. */
export type Pattern = readonly Element[];

const NEWLINE = 10;
const SLASH = 47;
const STAR = '*';

const inRest = (code: number): boolean => code === SLASH || isSegmentByte(code);

const ANY: Element = { has: () => true, repeats: true, isUniversal: true };
/** One character, whichever. */
export const ANYTHING: Element = { ...ANY, repeats: false };
const ON_LINE: Element = { has: (code) => code !== NEWLINE, repeats: true };
const ONE_ON_LINE: Element = { ...ON_LINE, repeats: false };
const BEFORE_SLASH: Element = { has: (code) => code !== SLASH, repeats: true };
const SEGMENT: Element = { has: isSegmentByte, repeats: true };
const ONE_OF_SEGMENT: Element = { has: isSegmentByte, repeats: false };
const REST: Element = { has: inRest, repeats: true };

/** A bit set of the wide sets that a character is in: characters with equal bits, that no pattern names, are interchangeable. */
export function classOf(code: number): number {
  return (code === NEWLINE ? 1 : 0) | (code === SLASH ? 2 : 0) | (isSegmentByte(code) ? 4 : 0);
}

/** Any number of characters of a set. @param has characters that a domain's classes do not separate are all in it or all out of it */
export function anyOf(has: (code: number) => boolean): Element {
  return { has, repeats: true };
}

/** One character of `codes`. */
export function oneOf(codes: readonly number[]): Element {
  return { codes, has: (code) => codes.includes(code), repeats: false };
}

/** The characters of `text`, one after the other. */
export function literal(text: string): Pattern {
  return Array.from({ length: text.length }, (_, at) => oneOf([text.charCodeAt(at)]));
}

/** The characters of `text`, ASCII letters in either case. */
function literalInAnyCase(text: string): Pattern {
  return Array.from(asciiLowerCase(text), (character) => {
    const code = character.charCodeAt(0);
    return code >= 97 && code <= 122 ? oneOf([code, code - 32]) : oneOf([code]);
  });
}

/** Any text that contains the elements. */
export function containing(elements: Pattern): Pattern {
  return [ANY, ...elements, ANY];
}

/** Any text that starts with the elements. */
export function startingWith(elements: Pattern): Pattern {
  return [...elements, ANY];
}

/** Any text that ends with the elements. */
export function endingWith(elements: Pattern): Pattern {
  return [ANY, ...elements];
}

/** What `*` requires: presence, or one or more characters on one line. */
export type Present = 'any' | 'non-empty';

function patternOf(match: StringMatch, present: Present, spell: (text: string) => Pattern): Pattern {
  switch (match.kind) {
    case 'exact':
      return spell(match.value);
    case 'prefix':
      return startingWith(spell(match.value));
    case 'suffix':
      return endingWith(spell(match.value));
    case 'present':
      return present === 'any' ? [ANY] : [ONE_ON_LINE, ON_LINE];
  }
}

/** Patterns of a match on Unicode text (claims). */
export function textPatterns(match: StringMatch | Containing, present: Present): readonly Pattern[] {
  if (match.kind === 'containing') return [containing(literal(match.value))];
  return [patternOf(match, present, literal)];
}

/** Control characters, which no header can hold. */
const CONTROLS = oneOf(
  Array.from({ length: 32 }, (_, code) => code)
    .filter((code) => code !== 9)
    .concat(127),
);

/** Patterns of text that cannot be sent in a header. */
export function unsendablePatterns(): readonly Pattern[] {
  return [containing([CONTROLS])];
}

/** Patterns of a match on bytes: methods, headers, SNI. */
export function bytePatterns(match: StringMatch | Containing, present: Present): readonly Pattern[] {
  if (match.kind === 'containing') return [containing(literal(match.value))];
  return [patternOf(toByteMatch(match), present, literal)];
}

/** Patterns of a match on hosts, where the case of letters does not count. */
export function hostPatterns(match: StringMatch): readonly Pattern[] {
  if (match.kind === 'present') return [[ANY]];
  return [patternOf({ kind: match.kind, value: toByteString(asciiLowerCase(match.value)) }, 'any', literalInAnyCase)];
}

/** Patterns of a match on paths; none: a template that Envoy rejects, which matches nothing. */
export function pathPatterns(match: PathMatch): readonly Pattern[] {
  if (match.kind !== 'template') return bytePatterns(match, 'non-empty');
  const template = parsePathTemplate(match.value);
  if (template === undefined) return [];
  return [
    template.pieces.flatMap((piece) =>
      piece.kind === 'literal' ? literal(piece.value) : piece.kind === 'segment' ? [ONE_OF_SEGMENT, SEGMENT] : [REST],
    ),
  ];
}

const QUERY = 63;
const QUERY_AND_REST: Pattern = [...literal('?'), ANY];

/** Patterns of targets whose path, up to the query, one of `patterns` matches. */
export function onTarget(patterns: readonly Pattern[]): readonly Pattern[] {
  return patterns.flatMap((pattern) => {
    const last = pattern.at(-1);
    const isOpen = last?.repeats === true && last.isUniversal === true;
    const inPath = (isOpen ? pattern.slice(0, -1) : pattern).map(beforeQuery);
    return isOpen ? [[...inPath, ANY]] : [inPath, [...inPath, ...QUERY_AND_REST]];
  });
}

function beforeQuery({ has, codes, repeats }: Element): Element {
  const own = { has: (code: number) => code !== QUERY && has(code), repeats };
  return codes === undefined ? own : { ...own, codes };
}

const SCHEME = 'spiffe://';

/** Patterns of a match on an identity of a peer. */
export function identityPatterns(match: IdentityMatch): readonly Pattern[] {
  switch (match.kind) {
    case 'spiffeSuffix':
      return [[...literal(SCHEME), ON_LINE, ...literal(match.value)]];
    case 'namespace':
      return [[ON_LINE, ...`/ns/${match.pattern}/`.split(STAR).flatMap((piece) => [...onLine(piece), ON_LINE])]];
    case 'serviceAccount':
      return serviceAccountPatterns(match.namespace, match.name);
    case 'trustDomain': {
      const { prefix, suffix } = match;
      return [[...literal(SCHEME + prefix), BEFORE_SLASH, ...literal(`${suffix}/`), ON_LINE]];
    }
    default:
      return textPatterns(match, 'non-empty');
  }
}

/** A dot of Istio's expression stands for every `*` of the pattern, so a line break in it matches nothing. */
function onLine(piece: string): Pattern {
  return literal(piece).map((element) => ({ ...element, has: (code: number) => code !== NEWLINE && element.has(code) }));
}

/** `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?` */
function serviceAccountPatterns(namespace: string, name: string): readonly Pattern[] {
  const start = [...literal(SCHEME), ONE_ON_LINE, ON_LINE, ...onLine(`/ns/${namespace}/`)];
  const account = onLine(`sa/${name}`);
  const between: readonly Pattern[] = [[], [ONE_ON_LINE, ON_LINE, ...literal('/')]];
  const after: readonly Pattern[] = [[], [...literal('/'), ONE_ON_LINE, ON_LINE]];
  return between.flatMap((middle) => after.map((end) => [...start, ...middle, ...account, ...end]));
}
