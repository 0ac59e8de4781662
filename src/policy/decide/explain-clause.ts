/*
 * A clause in words: what it wanted, what it saw, and the nearest miss. In: a clause and facts. Out: texts for people, used by
 * the trace. Values of claims are shown; callers that log must take care of that.
 */
import { lookUpClaim } from '../match/claim.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../model/program.ts';
import type { Json, RequestFacts } from '../request/facts.ts';
import type { Claims } from './compile-clause.ts';
import { nearMiss } from './near-miss.ts';

const MAX_TEXT = 200;

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** A match as one would write it in a policy. */
function stringText(match: StringMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value;
    case 'prefix':
      return `${match.value}*`;
    case 'suffix':
      return `*${match.value}`;
    case 'present':
      return '*';
  }
}

function pathText(match: PathMatch): string {
  return match.kind === 'template' ? match.value : stringText(match);
}

function identityText(match: IdentityMatch): string {
  switch (match.kind) {
    case 'spiffeSuffix':
      return `spiffe://*${match.value}`;
    case 'namespace':
      return `namespace ${match.pattern}`;
    case 'serviceAccount':
      return `service account ${match.namespace}/${match.name}`;
    case 'trustDomain':
      return `trust domain ${match.prefix}*${match.suffix}`;
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'present':
      return stringText(match);
  }
}

function principalText({ iss, sub }: RequestPrincipalMatch): string {
  return `${stringText(iss)}/${stringText(sub)}`;
}

function listsText<M>(lists: { readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] }, textOf: (match: M) => string): string {
  const parts: string[] = [];
  if (lists.anyOf !== undefined) parts.push(`one of ${lists.anyOf.map(textOf).join(', ')}`);
  if (lists.noneOf !== undefined) parts.push(`none of ${lists.noneOf.map(textOf).join(', ')}`);
  return shorten(parts.join(' and '));
}

/** What the clause asks for, e.g. `one of GET, HEAD`. */
export function wantedOf(clause: Clause): string {
  switch (clause.attribute) {
    case 'peer':
      return listsText(clause, identityText);
    case 'requestPrincipal':
      return listsText(clause, principalText);
    case 'path':
      return listsText(clause, pathText);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
    case 'destinationPort':
      return listsText<number | string>(clause, String);
    case 'host':
    case 'method':
    case 'sni':
    case 'header':
    case 'claim':
    case 'metadata':
      return listsText(clause, stringText);
  }
}

/** Every string that the clause compared, e.g. each instance of a header; empty: the attribute is absent. */
export function valuesOf(clause: Clause, facts: RequestFacts, claims: Claims | undefined): readonly string[] {
  const { connection } = facts;
  switch (clause.attribute) {
    case 'host':
      return [facts.host];
    case 'method':
      return [facts.method];
    case 'path':
      return [facts.path];
    case 'sni':
      return present(connection.sni);
    case 'header':
      return facts.headerValues(clause.name);
    case 'sourceIp':
      return present(connection.sourceIp);
    case 'remoteIp':
      return present(facts.remoteIp);
    case 'destinationIp':
      return present(connection.destinationIp);
    case 'destinationPort':
      return [String(connection.destinationPort)];
    case 'peer':
      return connection.peer === undefined
        ? []
        : [...connection.peer.uris, ...connection.peer.dnsNames, ...present(connection.peer.subject)];
    case 'requestPrincipal':
      return principalOf(claims);
    case 'claim':
      return stringsOf(lookUpClaim(claims, clause.path));
    case 'metadata':
      return [];
  }
}

function present(value: string): readonly string[] {
  return value === '' ? [] : [value];
}

function principalOf(claims: Claims | undefined): readonly string[] {
  const iss = lookUpClaim(claims, ['iss']);
  const sub = lookUpClaim(claims, ['sub']);
  return typeof iss === 'string' && typeof sub === 'string' ? [`${iss}/${sub}`] : [];
}

function stringsOf(value: Json | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((element: Json): element is string => typeof element === 'string') : [];
}

/** What the clause saw, for people; `absent` when there is nothing. */
export function sawOf(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string {
  if (clause.attribute === 'claim') {
    const value = lookUpClaim(claims, clause.path);
    return value === undefined ? 'absent' : shorten(JSON.stringify(value));
  }
  const values = valuesOf(clause, facts, claims);
  return values.length === 0 ? 'absent' : shorten(values.join(', '));
}

/** What would probably mend it; `undefined` when nothing comes to mind. */
export function hintFor(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string | undefined {
  const needsToken = clause.attribute === 'claim' || clause.attribute === 'requestPrincipal';
  if (needsToken && claims === undefined) return 'the request has no verified token';
  if (clause.attribute === 'peer' && facts.connection.peer === undefined) return 'the connection has no peer identity (mTLS)';
  if (clause.attribute === 'metadata') return 'metadata of Envoy filters exists in Envoy only';
  if (clause.attribute === 'claim') {
    const typed = hintForClaim(clause.path, lookUpClaim(claims, clause.path));
    if (typed !== undefined) return typed;
  }
  if (clause.attribute === 'requestPrincipal' && principalOf(claims).length === 0) return 'the token lacks iss or sub';
  if (clause.anyOf === undefined) return undefined;
  return nearMiss(clause, valuesOf(clause, facts, claims));
}

function hintForClaim(path: readonly string[], value: Json | undefined): string | undefined {
  const name = path.join('.');
  if (value === undefined) return `claim ${name} is absent`;
  if (Array.isArray(value)) return value.length === 0 ? `claim ${name} is an empty list` : undefined;
  if (value === null) return `claim ${name} is null`;
  if (typeof value === 'string') return undefined;
  return `claim ${name} is ${typeof value === 'object' ? 'an object' : `a ${typeof value}`}; only strings and lists of strings match`;
}
