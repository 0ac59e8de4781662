/*
 * Creates the lookup of one axis: it reads the values of the axis from a request or its token and adds the postings that they hit.
 */

import type { Claims, Json, RequestFacts } from '../../../facts.ts';
import { lookUpClaim } from '../../../match/claim.ts';
import { type IpWords, parseIp } from '../../../match/ip-block.ts';
import { asciiLowerCase } from '../../../match/string-match.ts';
import type { Clause } from '../../../model/program.ts';
import { isPseudoHeader } from '../../../pseudo-headers.ts';
import { findIdentity } from './identity-lookup.ts';
import type { Hits } from './posting.ts';
import { PRINCIPAL_SEPARATOR } from './term.ts';
import { findAddress, findPath, findPort, findString, type TermIndex } from './term-index.ts';

/** Adds the postings that a request hits. `claims`: the claims that the clause may read. */
export type Lookup = (facts: RequestFacts, claims: Claims | undefined, hits: Hits) => void;

/** Can one request have several values of the clause's axis? */
export function isManyValued(clause: Clause): boolean {
  return clause.attribute === 'header' || clause.attribute === 'claim' || clause.attribute === 'peer';
}

/** The lookup of `clause`'s axis in `index`. */
export function createLookup(clause: Clause, index: TermIndex): Lookup {
  switch (clause.attribute) {
    case 'host':
      return ({ host }, _claims, hits) => {
        if (host !== undefined) findString(index, asciiLowerCase(host), 'any', hits);
      };
    case 'method':
      return (facts, _claims, hits) => findString(index, facts.method, 'non-empty', hits);
    case 'sni':
      return (facts, _claims, hits) => findString(index, facts.connection.sni, 'non-empty', hits);
    case 'path':
      return (facts, _claims, hits) => findPath(index, facts.path, hits);
    case 'header':
      return headerLookup(clause.name, index);
    case 'sourceIp':
      return addressLookup(index, (facts) => facts.connection.sourceIp);
    case 'remoteIp':
      return addressLookup(index, (facts) => facts.remoteIp);
    case 'destinationIp':
      return addressLookup(index, (facts) => facts.connection.destinationIp);
    case 'destinationPort':
      return (facts, _claims, hits) => findPort(index, facts.connection.destinationPort, hits);
    case 'peer':
      return (facts, _claims, hits) => findPeer(index, facts, hits);
    case 'requestPrincipal':
      return (_facts, claims, hits) => findPrincipal(index, claims, hits);
    case 'claim':
      return (_facts, claims, hits) => findClaim(index, lookUpClaim(claims, clause.path), hits);
    case 'metadata':
      return () => {};
  }
}

function headerLookup(name: string, index: TermIndex): Lookup {
  if (isPseudoHeader(name)) {
    return (facts, _claims, hits) => {
      for (const value of facts.headerValues(name)) findString(index, value, 'any', hits);
    };
  }
  // Collecting the values in an array would allocate for every request.
  return ({ headerList }, _claims, hits) => {
    for (let i = 0; i < headerList.length; i += 2) {
      if (headerList[i] === name) findString(index, headerList[i + 1] as string, 'any', hits);
    }
  };
}

/** Caches the last parsed address: the addresses of a connection do not change between its requests. */
function addressLookup(index: TermIndex, read: (facts: RequestFacts) => string): Lookup {
  let lastAddress = '';
  let last: IpWords | undefined;
  return (facts, _claims, hits) => {
    const address = read(facts);
    if (address !== lastAddress) {
      last = parseIp(address);
      lastAddress = address;
    }
    findAddress(index, last, hits);
  };
}

function findPeer(index: TermIndex, { connection: { peer } }: RequestFacts, hits: Hits): void {
  if (peer === undefined) return;
  for (const uri of peer.uris) findIdentity(index, uri, hits);
  for (const name of peer.dnsNames) findIdentity(index, name, hits);
  findIdentity(index, peer.subject, hits);
}

const ISS: readonly string[] = ['iss'];
const SUB: readonly string[] = ['sub'];

function findPrincipal(index: TermIndex, claims: Claims | undefined, hits: Hits): void {
  const iss = lookUpClaim(claims, ISS);
  const sub = lookUpClaim(claims, SUB);
  if (typeof iss === 'string' && typeof sub === 'string') findString(index, iss + PRINCIPAL_SEPARATOR + sub, 'any', hits);
}

/** Adds what a claim hits: a string, or the strings of an array. */
export function findClaim(index: TermIndex, value: Json | undefined, hits: Hits): void {
  if (typeof value === 'string') findString(index, value, 'non-empty', hits);
  else if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'string') findString(index, element, 'non-empty', hits);
  }
}
