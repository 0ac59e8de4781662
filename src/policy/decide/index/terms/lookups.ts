/*
 * Creates the lookups of several axes. If there are many axes for headers, one lookup iterates over the headers of the request
 * instead, because policies may name thousands of headers and a request has about ten; the same applies to claims.
 */

import type { Json, RequestFacts } from '../../../facts.ts';
import type { Clause } from '../../../model/program.ts';
import { isPseudoHeader } from '../../../pseudo-headers.ts';
import { createLookup, findClaim, type Lookup } from './axis-lookup.ts';
import { findString, type TermIndex } from './term-index.ts';

/** An index, and any clause of its axis. */
export interface AxisIndex {
  readonly clause: Clause;
  readonly index: TermIndex;
}

type HeaderClause = Extract<Clause, { readonly attribute: 'header' }>;
type ClaimClause = Extract<Clause, { readonly attribute: 'claim' }>;

/** With more headers (or claims) than this, the lookup iterates over those of the request. */
const FEW_NAMES = 8;

/** Lookups that together cover all `axes`. */
export function createLookups(axes: readonly AxisIndex[]): readonly Lookup[] {
  const lookups: Lookup[] = [];
  const headers: (AxisIndex & { readonly clause: HeaderClause })[] = [];
  const claims: (AxisIndex & { readonly clause: ClaimClause })[] = [];
  for (const { clause, index } of axes) {
    if (clause.attribute === 'header' && !isPseudoHeader(clause.name)) headers.push({ clause, index });
    else if (clause.attribute === 'claim') claims.push({ clause, index });
    else lookups.push(createLookup(clause, index));
  }
  if (headers.length > FEW_NAMES) lookups.push(headersLookup(headers));
  else for (const { clause, index } of headers) lookups.push(createLookup(clause, index));
  if (claims.length > FEW_NAMES) lookups.push(claimsLookup(claims));
  else for (const { clause, index } of claims) lookups.push(createLookup(clause, index));
  return lookups;
}

function headersLookup(axes: readonly (AxisIndex & { readonly clause: HeaderClause })[]): Lookup {
  const indexes = new Map<string, TermIndex[]>();
  for (const { clause, index } of axes) indexes.set(clause.name, [...(indexes.get(clause.name) ?? []), index]);
  return ({ headerList }, _claims, hits) => {
    for (let i = 0; i < headerList.length; i += 2) {
      const found = indexes.get(headerList[i] as string);
      if (found === undefined) continue;
      for (const index of found) findString(index, headerList[i + 1] as string, 'any', hits);
    }
  };
}

/** The indexes of a claim and of the claims nested in it. */
interface ClaimNode {
  readonly indexes: TermIndex[];
  readonly members: Map<string, ClaimNode>;
}

function createNode(): ClaimNode {
  return { indexes: [], members: new Map() };
}

function claimsLookup(axes: readonly (AxisIndex & { readonly clause: ClaimClause })[]): Lookup {
  const root = createNode();
  for (const { clause, index } of axes) {
    let node = root;
    for (const key of clause.path) {
      let next = node.members.get(key);
      if (next === undefined) {
        next = createNode();
        node.members.set(key, next);
      }
      node = next;
    }
    node.indexes.push(index);
  }
  const visit: (node: ClaimNode, value: Json, hits: Parameters<Lookup>[2]) => void = ({ indexes, members }, value, hits) => {
    for (const index of indexes) findClaim(index, value, hits);
    if (members.size === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const object = value as NonNullable<RequestFacts['claims']>;
    for (const key of Object.keys(object)) {
      const member = members.get(key);
      if (member !== undefined) visit(member, object[key] as Json, hits);
    }
  };
  return (_facts, claims, hits) => {
    if (claims !== undefined) visit(root, claims, hits);
  };
}
