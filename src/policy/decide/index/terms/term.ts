/*
 * The matches of all clauses as terms of one small language that an index understands. In: a clause. Out: its terms, and the
 * axis that it lies on: what is read from a request to compare them with. Used by whoever builds an index.
 */
import { parsePathTemplate } from '../../match/path-template.ts';
import { asciiLowerCase, toByteString } from '../../match/string-match.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../../model/program.ts';

/**
 * What an index can look for. `account`: a namespace and a service account, joined by {@link ACCOUNT_SEPARATOR}; `namespace`: how
 * the text after some `/ns/` begins; `template`: a well-formed path template; `block`: CIDR text; `port`: a number.
 */
export type TermKind = 'exact' | 'prefix' | 'suffix' | 'present' | 'template' | 'namespace' | 'account' | 'block' | 'port';

export interface Term {
  readonly kind: TermKind;
  readonly text: string;
  /** Whether a hit is a match. If not, a match is a hit, but a hit need not be a match. */
  readonly exact: boolean;
}

/** Which list of a clause. */
export type ListName = 'anyOf' | 'noneOf';

export const ACCOUNT_SEPARATOR = '/';
/** Between issuer and subject. One that holds this character itself may give a hit too many, never one too few. */
export const PRINCIPAL_SEPARATOR = '\0';

/** Text of what a request is asked for: clauses of one axis are compared with the same value. */
export function axisOf(clause: Clause): string {
  switch (clause.attribute) {
    case 'header':
      return `header ${clause.name}`;
    case 'claim':
      return clause.path.length === 1 ? `claim ${clause.path[0]}` : `nested claim ${JSON.stringify(clause.path)}`;
    default:
      return clause.attribute;
  }
}

/** Is what the clause sees decided by the token alone? */
export function isTokenClause(clause: Clause): boolean {
  return clause.attribute === 'claim' || clause.attribute === 'requestPrincipal';
}

/** The terms of a list, one for each match that can be met at all; `undefined`: the clause has no such list. */
export function termsOf(clause: Clause, list: ListName): readonly Term[] | undefined {
  switch (clause.attribute) {
    case 'host':
      return terms(clause[list], (match) => stringTerm(match, hostText));
    case 'method':
    case 'sni':
    case 'header':
      return terms(clause[list], (match) => stringTerm(match, toByteString));
    case 'claim':
      return terms(clause[list], (match) => stringTerm(match, sameText));
    case 'path':
      return terms(clause[list], pathTerm);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return terms(clause[list], (text) => ({ kind: 'block', text, exact: true }));
    case 'destinationPort':
      return terms(clause[list], (port) => ({ kind: 'port', text: String(port), exact: true }));
    case 'peer':
      return terms(clause[list], identityTerm);
    case 'requestPrincipal':
      return terms(clause[list], principalTerm);
    // Metadata of other Envoy filters exists nowhere but in Envoy.
    case 'metadata':
      return terms(clause[list], () => undefined);
  }
}

function terms<M>(matches: readonly M[] | undefined, termOf: (match: M) => Term | undefined): readonly Term[] | undefined {
  if (matches === undefined) return undefined;
  const all: Term[] = [];
  for (const match of matches) {
    const term = termOf(match);
    if (term !== undefined) all.push(term);
  }
  return all;
}

const sameText = (text: string): string => text;

function hostText(text: string): string {
  return toByteString(asciiLowerCase(text));
}

const PRESENT: Term = { kind: 'present', text: '', exact: true };

function stringTerm(match: StringMatch, textOf: (text: string) => string): Term {
  return match.kind === 'present' ? PRESENT : { kind: match.kind, text: textOf(match.value), exact: true };
}

function pathTerm(match: PathMatch): Term | undefined {
  if (match.kind !== 'template') return stringTerm(match, toByteString);
  return parsePathTemplate(match.value) === undefined ? undefined : { kind: 'template', text: match.value, exact: false };
}

const SCHEME = 'spiffe://';

function identityTerm(match: IdentityMatch): Term {
  switch (match.kind) {
    case 'spiffeSuffix':
      return { kind: 'suffix', text: match.value, exact: false };
    case 'namespace': {
      const star = match.pattern.indexOf('*');
      const text = star === -1 ? `${match.pattern}/` : match.pattern.slice(0, star);
      return { kind: 'namespace', text, exact: false };
    }
    case 'serviceAccount':
      return accountTerm(match.namespace, match.name);
    case 'trustDomain':
      return { kind: 'prefix', text: SCHEME + match.prefix, exact: false };
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'present':
      return stringTerm(match, sameText);
  }
}

/** Names without slashes are whole segments of an identity; others are only looked for by how their namespace begins. */
function accountTerm(namespace: string, name: string): Term {
  const plain = !namespace.includes('/') && !name.includes('/');
  if (plain) return { kind: 'account', text: namespace + ACCOUNT_SEPARATOR + name, exact: false };
  return { kind: 'namespace', text: `${namespace}/`, exact: false };
}

/** Issuer and subject are one text, so that an exact issuer with a prefix of a subject is one prefix. */
function principalTerm({ iss, sub }: RequestPrincipalMatch): Term {
  const term = (kind: TermKind, text: string): Term => ({ kind, text, exact: false });
  if (iss.kind === 'exact') {
    if (sub.kind === 'exact' || sub.kind === 'prefix') return term(sub.kind, iss.value + PRINCIPAL_SEPARATOR + sub.value);
    if (sub.kind === 'present') return term('prefix', iss.value + PRINCIPAL_SEPARATOR);
  }
  if (sub.kind === 'exact') {
    return term('suffix', (iss.kind === 'suffix' ? iss.value : '') + PRINCIPAL_SEPARATOR + sub.value);
  }
  if (sub.kind === 'suffix') return term('suffix', sub.value);
  return iss.kind === 'exact' || iss.kind === 'prefix' ? term('prefix', iss.value) : term('present', '');
}
