/*
 * A request or connection that a rule probably matches, from the values of its clauses and without a search. Whether it does is for the engine to
 * say; but it is one that a client can send.
 */
import { METHODS } from '../http/methods.ts';
import { parsePathTemplate } from '../policy/match/path-template.ts';
import type { Clause, IdentityMatch, PathMatch, Rule, StringMatch } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { type AttributeKey, claimKey, sentKey } from './attribute-key.ts';
import type { Values } from './candidate.ts';
import type { AttributeValue } from './solve-attribute.ts';

/** Text of a path that every normalization leaves as it is, except for slashes next to each other and dots as segments. */
const PLAIN_PATH = /^\/[\w/.-]*$/;
const CHANGED_PATH = /\/(\/|\.\.?(\/|$))/;
const PLAIN_HOST = /^[\w.:-]+$/;
/** Printable ASCII that begins and ends with a visible character. */
const PLAIN_TEXT = /^[!-~]([ -~]*[!-~])?$/;
const OPERATOR = /\{\*\*?\}/g;
const FILLER = 'x';

type Entry = readonly [AttributeKey, AttributeValue];

/** Values of the rule's first source and operation; undefined: they are not obvious. */
export function exampleOf({ from: [source], to: [operation], when }: Rule): Values | undefined {
  if (source === undefined || operation === undefined) return undefined;
  const values = new Map<AttributeKey, AttributeValue>();
  for (const clause of [...operation, ...source, ...when]) {
    // Whether the values pass a negative list is for the engine to say.
    const entries = isNegative(clause) ? [] : entriesOf(clause);
    if (entries === undefined) return undefined;
    for (const [key, value] of entries) {
      if (values.has(key)) return undefined;
      values.set(key, value);
    }
  }
  return values;
}

function isNegative({ anyOf }: Clause): boolean {
  return anyOf === undefined;
}

/** The values that the first match of the clause wants; undefined: they are not obvious. */
function entriesOf(clause: Clause): readonly Entry[] | undefined {
  switch (clause.attribute) {
    case 'requestPrincipal':
      return principalEntries(clause);
    case 'claim':
      return isNested(clause.path) ? undefined : entry(claimKey(0, clause.path), clause.anyOf, plainText);
    case 'header':
      return isPseudoHeader(clause.name) ? undefined : entry(sentKey(clause.name), clause.anyOf, plainText);
    case 'destinationPort':
      return entry('port', clause.anyOf, (port) => (port > 0 ? port : undefined));
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return entry(clause.attribute, clause.anyOf, (block) => block.split('/', 1)[0]);
    case 'path':
      return entry('path', clause.anyOf, plainPath);
    case 'method':
      return entry('method', clause.anyOf, plainMethod);
    case 'host':
      return entry('host', clause.anyOf, (match) => checked(textOf(match), PLAIN_HOST));
    case 'peer':
      return entry('peer', clause.anyOf, (match) => checked(identityOf(match), PLAIN_TEXT));
    default:
      return undefined;
  }
}

function principalEntries({ anyOf }: Extract<Clause, { readonly attribute: 'requestPrincipal' }>): readonly Entry[] | undefined {
  const issuer = entry(claimKey(0, ['iss']), anyOf, ({ iss }) => plainText(iss));
  const subject = entry(claimKey(0, ['sub']), anyOf, ({ sub }) => plainText(sub));
  return issuer === undefined || subject === undefined ? undefined : [...issuer, ...subject];
}

/** A claim inside of another one may clash with a value of the outer one. */
function isNested(path: readonly string[]): boolean {
  return path.length !== 1;
}

function entry<M>(
  key: AttributeKey,
  matches: readonly M[] | undefined,
  read: (match: M) => string | number | undefined,
): readonly Entry[] | undefined {
  const [first] = matches ?? [];
  const value = first === undefined ? undefined : read(first);
  return value === undefined ? undefined : [[key, value]];
}

function checked(text: string | undefined, allowed: RegExp): string | undefined {
  return text !== undefined && allowed.test(text) ? text : undefined;
}

/** A shortest text that matches, as far as it is obvious. */
function textOf(match: StringMatch): string {
  if (match.kind === 'present') return FILLER;
  return match.kind === 'suffix' ? FILLER + match.value : match.value;
}

function plainText(match: StringMatch): string | undefined {
  return checked(textOf(match), PLAIN_TEXT);
}

function plainMethod(match: StringMatch): string | undefined {
  if (match.kind === 'present') return 'GET';
  return match.kind === 'exact' && METHODS.has(match.value) && match.value !== 'CONNECT' ? match.value : undefined;
}

function plainPath(match: PathMatch): string | undefined {
  const path = pathOf(match);
  return path === undefined || CHANGED_PATH.test(path) ? undefined : checked(path, PLAIN_PATH);
}

function pathOf(match: PathMatch): string | undefined {
  switch (match.kind) {
    case 'present':
      return '/';
    case 'template':
      return templatePath(match.value);
    case 'suffix':
      return `/${FILLER}${match.value}`;
    default:
      return match.value;
  }
}

function templatePath(value: string): string | undefined {
  return parsePathTemplate(value) === undefined ? undefined : value.replaceAll(OPERATOR, FILLER);
}

function identityOf(match: IdentityMatch): string {
  switch (match.kind) {
    case 'spiffeSuffix':
      return `spiffe://${FILLER}${match.value}`;
    case 'namespace':
      return `spiffe://${FILLER}/ns/${match.pattern.replaceAll('*', FILLER)}/sa/${FILLER}`;
    case 'serviceAccount':
      return `spiffe://${FILLER}/ns/${match.namespace}/sa/${match.name}`;
    case 'trustDomain':
      return `spiffe://${match.prefix}${match.suffix}/${FILLER}`;
    default:
      return textOf(match);
  }
}
