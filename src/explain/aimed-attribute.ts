/*
 * The part of a request that one clause looks at. In: a clause, and whether it is to hold. Out: members of a request; none where
 * no value does it, which misses every clause that asks for one. Called by requests-for-rules.
 */

import type { Json } from '../policy/facts.ts';
import { compilePathMatch } from '../policy/match/compile-clause.ts';
import { compileIdentityMatch } from '../policy/match/identity.ts';
import { compileIpBlocks, parseIp } from '../policy/match/ip-block.ts';
import { compileRequestPrincipal } from '../policy/match/request-principal.ts';
import { compileStringMatch, type PresentMeaning } from '../policy/match/string-match.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../policy/model/program.ts';
import { FILLER, type GeneratedRequest, peerOf, textOf } from './made-up-request.ts';

export type Aim = 'hit' | 'miss';

/** Members of a request, claims by their path. */
export interface RequestPart extends Partial<Omit<GeneratedRequest, 'claims'>> {
  readonly claims?: readonly { readonly path: readonly string[]; readonly value: Json }[];
}

interface Lists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

const STRANGERS: readonly string[] = ['192.0.2.77', '2001:db8:ffff::77'];
const UNUSED_PORTS: readonly number[] = [1, 2];
const METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'DELETE'];

/** What makes `clause` hold, or not. @param issuers whose tokens are verified */
export function attributeOf(clause: Clause, aim: Aim, issuers: readonly string[]): RequestPart {
  switch (clause.attribute) {
    case 'method':
      return member('method', chooseMethod(clause, aim));
    case 'path':
      return member('path', choosePath(clause, aim));
    case 'host':
      return member('host', chooseText(clause, aim, 'any'));
    case 'sni':
      return member('sni', chooseText(clause, aim, 'non-empty'));
    case 'header':
      return headerPart(clause.name, chooseText(clause, aim, 'any'));
    case 'claim':
      return claimPart(clause.path, chooseText(clause, aim, 'non-empty'));
    case 'sourceIp':
    case 'destinationIp':
      return member(clause.attribute, chooseAddress(clause, aim));
    case 'remoteIp':
      return headerPart('x-forwarded-for', chooseAddress(clause, aim));
    case 'destinationPort':
      return member('port', choosePort(clause, aim));
    case 'peer':
      return member('peer', choosePeer(clause, aim));
    case 'requestPrincipal':
      return principalPart(choosePrincipal(clause, aim, issuers));
    case 'metadata':
      // Nothing that a request brings.
      return {};
  }
}

function member<K extends keyof RequestPart>(name: K, value: RequestPart[K]): RequestPart {
  return value === undefined ? {} : { [name]: value };
}

/** A pseudo header is another member of the request. */
function headerPart(name: string, value: string | undefined): RequestPart {
  if (value === undefined) return {};
  const pseudo = ({ ':path': 'path', ':method': 'method', ':authority': 'host', host: 'host' } as const)[name];
  if (pseudo === undefined) return { headers: [[name, value]] };
  return { [pseudo]: pseudo === 'path' && !value.startsWith('/') ? `/${value}` : value };
}

function claimPart(path: readonly string[], value: string | undefined): RequestPart {
  return value === undefined ? {} : { claims: [{ path, value }] };
}

function principalPart(principal: Principal | undefined): RequestPart {
  if (principal === undefined) return {};
  const [iss, sub] = principal;
  return {
    claims: [
      { path: ['iss'], value: iss },
      { path: ['sub'], value: sub },
    ],
  };
}

interface Choice<M, V> {
  /** In the order in which they are tried. */
  readonly candidates: readonly V[];
  readonly test: (match: M) => (value: V) => boolean;
}

/** The first candidate that makes both lists hold, or one of them not. */
function choose<M, V>({ anyOf, noneOf = [] }: Lists<M>, aim: Aim, { candidates, test }: Choice<M, V>): V | undefined {
  const [wanted, unwanted] = [anyOf?.map(test), noneOf.map(test)];
  const isTaken = (value: V): boolean => wanted?.some((one) => one(value)) !== false && !unwanted.some((one) => one(value));
  return candidates.find((value) => isTaken(value) === (aim === 'hit'));
}

interface Values<M, V> {
  readonly valueOf: (match: M) => V;
  /** Values near one, which other matches may not take. */
  readonly beside: (value: V) => readonly V[];
}

/** To hit, what is wanted comes first; to miss, something near it, then what is left out. */
function candidatesOf<M, V>({ anyOf = [], noneOf = [] }: Lists<M>, aim: Aim, { valueOf, beside }: Values<M, V>): readonly V[] {
  const values = anyOf.map(valueOf);
  const near = values.flatMap(beside);
  return aim === 'hit' ? [...values, ...near] : [...near, ...noneOf.map(valueOf)];
}

const besideText = (text: string): readonly string[] => [`${text}${FILLER}`, `${FILLER}${text}`];

function chooseText(clause: Lists<StringMatch>, aim: Aim, present: PresentMeaning): string | undefined {
  const candidates = candidatesOf(clause, aim, { valueOf: textOf, beside: besideText });
  return choose(clause, aim, { candidates, test: (match) => compileStringMatch(match, present) });
}

/** Codecs take known methods only. */
function chooseMethod(clause: Lists<StringMatch>, aim: Aim): string | undefined {
  const candidates = [...candidatesOf(clause, aim, { valueOf: textOf, beside: () => METHODS }), ...METHODS];
  return choose(clause, aim, { candidates, test: (match) => compileStringMatch(match, 'any') });
}

function choosePath(clause: Lists<PathMatch>, aim: Aim): string | undefined {
  const valueOf = (match: PathMatch): string => (textOf(match).startsWith('/') ? textOf(match) : `/${textOf(match)}`);
  const beside = (path: string): readonly string[] => [`${path}${FILLER}`, `${path}/${FILLER}`, `/${FILLER}${path}`];
  const candidates = [...candidatesOf(clause, aim, { valueOf, beside }), '/', `/${FILLER}`];
  return choose(clause, aim, { candidates, test: compilePathMatch });
}

function chooseAddress(clause: Lists<string>, aim: Aim): string | undefined {
  const valueOf = (block: string): string => block.slice(0, block.lastIndexOf('/'));
  const candidates = candidatesOf(clause, aim, { valueOf, beside: () => STRANGERS });
  return choose(clause, aim, { candidates, test: (block) => (address) => compileIpBlocks([block])(parseIp(address)) });
}

function choosePort(clause: Lists<number>, aim: Aim): number | undefined {
  const named = candidatesOf(clause, aim, { valueOf: (port) => port, beside: () => UNUSED_PORTS });
  const candidates = [...named, ...UNUSED_PORTS].filter((port) => port > 0);
  return choose(clause, aim, { candidates, test: (port) => (value) => value === port });
}

function choosePeer(clause: Lists<IdentityMatch>, aim: Aim): string | undefined {
  const beside = (peer: string): readonly string[] => [`${peer}${FILLER}`, `spiffe://${FILLER}/ns/${FILLER}/sa/${FILLER}`];
  return choose(clause, aim, { candidates: candidatesOf(clause, aim, { valueOf: peerOf, beside }), test: compileIdentityMatch });
}

type Principal = readonly [iss: string, sub: string];

function choosePrincipal(clause: Lists<RequestPrincipalMatch>, aim: Aim, issuers: readonly string[]): Principal | undefined {
  const issuerOf = (iss: StringMatch): string => issuers.find(compileStringMatch(iss, 'non-empty')) ?? textOf(iss);
  const valueOf = ({ iss, sub }: RequestPrincipalMatch): Principal => [issuerOf(iss), textOf(sub)];
  const beside = ([iss, sub]: Principal): readonly Principal[] => [
    [iss, `${sub}${FILLER}`],
    [`${iss}${FILLER}`, sub],
  ];
  const test = (match: RequestPrincipalMatch): ((principal: Principal) => boolean) => {
    const isTaken = compileRequestPrincipal(match);
    return ([iss, sub]) => isTaken(iss, sub);
  };
  return choose(clause, aim, { candidates: candidatesOf(clause, aim, { valueOf, beside }), test });
}
