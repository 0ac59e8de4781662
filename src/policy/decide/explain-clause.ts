/*
 * A clause in words: what it wanted, what it saw, and the nearest miss. In: a clause and facts. Out: texts for people, used by
 * the trace. Values of claims are shown; callers that log must take care of that.
 */

import type { Claims, Json, RequestFacts } from '../facts.ts';
import { lookUpClaim } from '../match/claim.ts';
import { compileClause, compilePathMatch } from '../match/compile-clause.ts';
import { fromByteString } from '../match/string-match.ts';
import type { Clause } from '../model/program.ts';
import { claimHint } from './hints/claim-hint.ts';
import { far, type Hint, pathText, stringText } from './hints/hint.ts';
import { identityText, peerHint, principalText, requestPrincipalHint } from './hints/identity-hint.ts';
import { pathHint } from './hints/path-hint.ts';
import { addressHint, headerHint, hostHint, methodHint, sniHint } from './hints/request-hint.ts';

const MAX_TEXT = 200;

/** A clause that wants one of something. */
type WithWanted<C> = C extends { readonly anyOf?: infer Wanted } ? C & { readonly anyOf: NonNullable<Wanted> } : never;

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
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
function valuesOf(
  clause: Exclude<Clause, { readonly attribute: 'claim' }>,
  facts: RequestFacts,
  claims: Claims | undefined,
): readonly string[] {
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
    case 'metadata':
      return [];
  }
}

function present(value: string): readonly string[] {
  return value === '' ? [] : [value];
}

/** A part that is no text is shown as JSON: the reader sees what stands there instead. */
function principalOf(claims: Claims | undefined): readonly string[] {
  const [iss, sub] = [lookUpClaim(claims, ['iss']), lookUpClaim(claims, ['sub'])];
  if (iss === undefined && sub === undefined) return [];
  const part = (value: Json | undefined): string => (value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value));
  return [`${part(iss)}/${part(sub)}`];
}

/** What the clause saw, for people; `absent` when there is nothing, `empty` when there is a text without characters. */
export function sawOf(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string {
  if (clause.attribute === 'claim') {
    const value = lookUpClaim(claims, clause.path);
    return value === undefined ? 'absent' : shorten(JSON.stringify(value));
  }
  const values = valuesOf(clause, facts, claims);
  if (values.length === 0) return 'absent';
  const isBytes = clause.attribute === 'header' || clause.attribute === 'path' || clause.attribute === 'host';
  const text = values.map((value) => (isBytes ? fromByteString(value) : value)).join(', ');
  return text === '' ? 'empty' : shorten(text);
}

/** What would probably mend a clause that failed; `undefined` when nothing comes to mind. */
export function hintFor(clause: Clause, facts: RequestFacts, claims: Claims | undefined): Hint | undefined {
  const needsToken = clause.attribute === 'claim' || clause.attribute === 'requestPrincipal';
  if (needsToken && claims === undefined) return far('the request has no verified token');
  // With `noneOf` alone the value is what the policy excludes: nothing is mistaken.
  const { noneOf: _, ...positive } = clause;
  if (clause.anyOf === undefined || compileClause(positive)(facts, claims)) return undefined;
  return positiveHint(clause as WithWanted<Clause>, facts, claims ?? {});
}

/** The clause in words when it held, where that may surprise. */
export function holdsNote(clause: Clause, facts: RequestFacts, claims: Claims | undefined): string | undefined {
  if (clause.noneOf === undefined || clause.anyOf !== undefined) return undefined;
  return sawOf(clause, facts, claims) === 'absent' ? 'what is absent is none of them' : undefined;
}

function positiveHint(clause: WithWanted<Clause>, facts: RequestFacts, claims: Claims): Hint | undefined {
  switch (clause.attribute) {
    case 'host':
      return hostHint(clause.anyOf, facts.host);
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
      return far("a port is the pod's own, not that of its Service");
    case 'destinationIp':
      return undefined;
    case 'peer':
      return peerHint(clause.anyOf, facts.connection.peer);
    case 'requestPrincipal':
      return requestPrincipalHint(clause.anyOf, claims);
    case 'claim':
      return claimHint(clause.path, clause.anyOf, claims);
    case 'metadata':
      return far('metadata of Envoy filters exists in Envoy only');
  }
}
