/*
 * Translates the matches of clauses into terms, which an index can hold, and names the axis of a clause: the attribute of a request
 * that its matches are compared with.
 */
import { parsePathTemplate } from '../../../match/path-template.ts';
import { asciiLowerCase, toByteString } from '../../../match/string-match.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../../../model/program.ts';

/**
 * What an index can look for. `account`: a namespace and a service account, joined by {@link ACCOUNT_SEPARATOR}; `namespace`: a prefix
 * of what follows some `/ns/`; `template`: a well-formed path template; `block`: a CIDR block; `port`: a decimal number.
 */
export type TermKind = 'exact' | 'prefix' | 'suffix' | 'present' | 'template' | 'namespace' | 'account' | 'block' | 'port';

/** One match in a form that an index can hold. */
export interface Term {
  readonly kind: TermKind;
  readonly value: string;
  /** Is every hit a match? If not, the term is lossy: every match is a hit, but a hit need not be a match. */
  readonly exact: boolean;
}

/** One of the two lists of a clause. */
export type ListName = 'anyOf' | 'noneOf';

/** Between namespace and service account. */
export const ACCOUNT_SEPARATOR = '/';
/** Between issuer and subject. An issuer or subject that contains it may give too many hits, never too few. */
export const PRINCIPAL_SEPARATOR = '\0';

/** Key of the axis of a clause: clauses with the same key are compared with the same values of a request. */
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

/** Does the clause depend on the token alone? */
export function isTokenClause(clause: Clause): boolean {
  return clause.attribute === 'claim' || clause.attribute === 'requestPrincipal';
}

/** The terms of a list, one for each match that can hold at all; `undefined`: the clause has no such list. */
export function termsOf(clause: Clause, list: ListName): readonly Term[] | undefined {
  switch (clause.attribute) {
    case 'host':
      return terms(clause[list], (match) => stringTerm(match, hostValue));
    case 'method':
    case 'sni':
    case 'header':
      return terms(clause[list], (match) => stringTerm(match, toByteString));
    case 'claim':
      return terms(clause[list], (match) => stringTerm(match, unchanged));
    case 'path':
      return terms(clause[list], pathTerm);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return terms(clause[list], (value) => ({ kind: 'block', value, exact: true }));
    case 'destinationPort':
      return terms(clause[list], (port) => ({ kind: 'port', value: String(port), exact: true }));
    case 'peer':
      return terms(clause[list], identityTerm);
    case 'requestPrincipal':
      return terms(clause[list], principalTerm);
    // Metadata of other Envoy filters exists only in Envoy.
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

const unchanged = (value: string): string => value;

function hostValue(value: string): string {
  return toByteString(asciiLowerCase(value));
}

const PRESENT: Term = { kind: 'present', value: '', exact: true };

function stringTerm(match: StringMatch, convert: (value: string) => string): Term {
  return match.kind === 'present' ? PRESENT : { kind: match.kind, value: convert(match.value), exact: true };
}

function pathTerm(match: PathMatch): Term | undefined {
  if (match.kind !== 'template') return stringTerm(match, toByteString);
  return parsePathTemplate(match.value) === undefined ? undefined : { kind: 'template', value: match.value, exact: false };
}

const SCHEME = 'spiffe://';

function identityTerm(match: IdentityMatch): Term {
  switch (match.kind) {
    case 'spiffeSuffix':
      return { kind: 'suffix', value: match.value, exact: false };
    case 'namespace': {
      const star = match.pattern.indexOf('*');
      const value = star === -1 ? `${match.pattern}/` : match.pattern.slice(0, star);
      return { kind: 'namespace', value, exact: false };
    }
    case 'serviceAccount':
      return accountTerm(match.namespace, match.name);
    case 'trustDomain':
      return { kind: 'prefix', value: SCHEME + match.prefix, exact: false };
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'present':
      return stringTerm(match, unchanged);
  }
}

/** Names without slashes are whole segments of an identity; of others the index holds only the start of the namespace. */
function accountTerm(namespace: string, name: string): Term {
  const plain = !namespace.includes('/') && !name.includes('/');
  if (plain) return { kind: 'account', value: namespace + ACCOUNT_SEPARATOR + name, exact: false };
  return { kind: 'namespace', value: `${namespace}/`, exact: false };
}

/** Issuer and subject form one string, so that an exact issuer with a prefix of a subject is one prefix. */
function principalTerm({ iss, sub }: RequestPrincipalMatch): Term {
  const term = (kind: TermKind, value: string): Term => ({ kind, value, exact: false });
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
