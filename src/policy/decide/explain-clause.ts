/*
 * Describes a clause: what it expects, what the request has, and the likely mistake when it does not hold. The values of claims are
 * included; callers that log must take care of that.
 */

import type { Claims, Json, RequestFacts } from '../facts.ts';
import { lookUpClaim } from '../match/claim.ts';
import { compileClause, compilePathMatch } from '../match/compile-clause.ts';
import { fromByteString } from '../match/string-match.ts';
import type { Clause } from '../model/program.ts';
import { claimHint } from './hints/claim-hint.ts';
import { far, formatPath, formatString, type Hint } from './hints/hint.ts';
import { formatIdentity, formatPrincipal, peerHint, requestPrincipalHint } from './hints/identity-hint.ts';
import { pathHint } from './hints/path-hint.ts';
import { addressHint, headerHint, hostHint, methodHint, sniHint } from './hints/request-hint.ts';

/** The hint of every miss without a verified token. Readers compare it, to join several such misses into one. */
export const NO_TOKEN_HINT = 'the request has no verified token';

const MAX_LENGTH = 200;

/** A clause with a positive list. */
type WithWanted<C> = C extends { readonly anyOf?: infer Wanted } ? C & { readonly anyOf: NonNullable<Wanted> } : never;

function shorten(value: string): string {
  return value.length > MAX_LENGTH ? `${value.slice(0, MAX_LENGTH)}…` : value;
}

function formatLists<M>(lists: { readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] }, format: (match: M) => string): string {
  const parts: string[] = [];
  if (lists.anyOf !== undefined) parts.push(`one of ${lists.anyOf.map(format).join(', ')}`);
  if (lists.noneOf !== undefined) parts.push(`none of ${lists.noneOf.map(format).join(', ')}`);
  return shorten(parts.join(' and '));
}

/** The expected values, e.g. `one of GET, HEAD`. */
export function wantedOf(clause: Clause): string {
  switch (clause.attribute) {
    case 'peer':
      return formatLists(clause, formatIdentity);
    case 'requestPrincipal':
      return formatLists(clause, formatPrincipal);
    case 'path':
      return formatLists(clause, formatPath);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
    case 'destinationPort':
      return formatLists<number | string>(clause, String);
    case 'host':
    case 'method':
    case 'sni':
    case 'header':
    case 'claim':
    case 'metadata':
      return formatLists(clause, formatString);
  }
}

/** Every string that the clause compares, e.g. each instance of a header; empty: the attribute is absent. */
function valuesOf(
  clause: Exclude<Clause, { readonly attribute: 'claim' }>,
  facts: RequestFacts,
  claims: Claims | undefined,
): readonly string[] {
  const { connection } = facts;
  switch (clause.attribute) {
    case 'host':
      return facts.host === undefined ? [] : [facts.host];
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
    case 'metadata':
      return [];
  }
}

function present(value: string): readonly string[] {
  return value === '' ? [] : [value];
}

/** A part that is not a string is shown as JSON. */
function principalOf(claims: Claims | undefined): readonly string[] {
  const [iss, sub] = [lookUpClaim(claims, ['iss']), lookUpClaim(claims, ['sub'])];
  if (iss === undefined && sub === undefined) return [];
  const part = (value: Json | undefined): string => (value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value));
  return [`${part(iss)}/${part(sub)}`];
}

/** The request's value in readable form; `absent`: it has no value, `empty`: it is the empty string. */
export function sawOf(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string {
  if (clause.attribute === 'claim') {
    const value = lookUpClaim(claims, clause.path);
    return value === undefined ? 'absent' : shorten(JSON.stringify(value));
  }
  const values = valuesOf(clause, facts, claims);
  if (values.length === 0) return 'absent';
  const isBytes = clause.attribute === 'header' || clause.attribute === 'path' || clause.attribute === 'host';
  const joined = values.map((value) => (isBytes ? fromByteString(value) : value)).join(', ');
  return joined === '' ? 'empty' : shorten(joined);
}

/** The likely mistake behind a clause that does not hold; `undefined`: unknown. */
export function hintFor(clause: Clause, facts: RequestFacts, claims: Claims | undefined): Hint | undefined {
  const needsToken = clause.attribute === 'claim' || clause.attribute === 'requestPrincipal';
  if (needsToken && claims === undefined) return far(NO_TOKEN_HINT);
  // With `noneOf` alone the value is one that the policy excludes: there is no mistake.
  const { noneOf: _, ...positive } = clause;
  if (clause.anyOf === undefined || compileClause(positive)(facts, claims)) return undefined;
  return positiveHint(clause as WithWanted<Clause>, facts, claims ?? {});
}

/** Why a clause holds, where that may be unexpected. */
export function holdsNote(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string | undefined {
  if (clause.noneOf === undefined || clause.anyOf !== undefined) return undefined;
  return sawOf(clause, facts, claims) === 'absent' ? 'an absent attribute is not in the list' : undefined;
}

function positiveHint(clause: WithWanted<Clause>, facts: RequestFacts, claims: Claims): Hint | undefined {
  switch (clause.attribute) {
    case 'host':
      return hostHint(clause.anyOf, facts.host ?? '');
    case 'method':
      return methodHint(clause.anyOf, facts.method);
    case 'sni':
      return sniHint(clause.anyOf, facts.connection.sni);
    case 'path':
      return clause.anyOf.map((match) => pathHint(match, facts.path, compilePathMatch)).find((hint) => hint !== undefined);
    case 'header':
      return headerHint(clause.name, clause.anyOf, facts);
    case 'sourceIp':
    case 'remoteIp':
      return addressHint(clause.attribute, clause.anyOf, facts);
    case 'destinationPort':
      return far('the port is that of the container, not of the Service');
    case 'destinationIp':
      return undefined;
    case 'peer':
      return peerHint(clause.anyOf, facts.connection.peer);
    case 'requestPrincipal':
      return requestPrincipalHint(clause.anyOf, claims);
    case 'claim':
      return claimHint(clause.path, clause.anyOf, claims);
    case 'metadata':
      return far('metadata of Envoy filters exists only in Envoy');
  }
}
