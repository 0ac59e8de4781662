/*
 * The part of a request that one clause looks at, with a value that the clause matches or one that it does not match.
 */

import type { Json } from '../policy/facts.ts';
import { compilePathMatch } from '../policy/match/compile-clause.ts';
import { compileIdentityMatch } from '../policy/match/identity.ts';
import { compileIpBlocks, parseIp } from '../policy/match/ip-block.ts';
import { compileRequestPrincipal } from '../policy/match/request-principal.ts';
import { compileStringMatch, type PresentMeaning } from '../policy/match/string-match.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../policy/model/program.ts';
import { FILLER, type GeneratedRequest, matchingPeer, matchingText } from './generated-request.ts';

/** Whether the clause should match the request. */
export type Aim = 'hit' | 'miss';

/** Members of a request, claims by their path. */
export interface RequestPart extends Partial<Omit<GeneratedRequest, 'claims'>> {
  readonly claims?: readonly { readonly path: readonly string[]; readonly value: Json }[];
}

/** The matchers of a clause. */
interface Matchers<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

/** Documentation addresses (RFC 5737, RFC 3849) that a policy is unlikely to name. */
const UNLISTED_ADDRESSES: readonly string[] = ['192.0.2.77', '2001:db8:ffff::77'];
const UNLISTED_PORTS: readonly number[] = [1, 2];
const COMMON_METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'DELETE'];

/**
 * The part of a request that makes `clause` match, or not match.
 * @param issuers whose tokens are verified
 * @returns an empty part if no value was found: then the clause misses, unless it matches absent attributes
 */
export function requestPartFor(clause: Clause, aim: Aim, issuers: readonly string[]): RequestPart {
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
      // A request does not carry dynamic metadata.
      return {};
  }
}

function member<K extends keyof RequestPart>(name: K, value: RequestPart[K]): RequestPart {
  return value === undefined ? {} : { [name]: value };
}

/** A pseudo header is a member of the request of another name. */
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

/** The first candidate that the clause matches, or for a miss the first one that it does not match. */
function choose<M, V>({ anyOf, noneOf = [] }: Matchers<M>, aim: Aim, { candidates, test }: Choice<M, V>): V | undefined {
  const [positive, negative] = [anyOf?.map(test), noneOf.map(test)];
  const isMatch = (value: V): boolean => positive?.some((one) => one(value)) !== false && !negative.some((one) => one(value));
  return candidates.find((value) => isMatch(value) === (aim === 'hit'));
}

interface Values<M, V> {
  /** A value that satisfies the matcher. */
  readonly valueOf: (match: M) => V;
  /** Similar values, which other matchers may reject. */
  readonly near: (value: V) => readonly V[];
}

/** For a hit, the values of the positive matchers first; for a miss, similar values, then those of the negative matchers. */
function candidatesOf<M, V>({ anyOf = [], noneOf = [] }: Matchers<M>, aim: Aim, { valueOf, near }: Values<M, V>): readonly V[] {
  const values = anyOf.map(valueOf);
  const similar = values.flatMap(near);
  return aim === 'hit' ? [...values, ...similar] : [...similar, ...noneOf.map(valueOf)];
}

const nearText = (text: string): readonly string[] => [`${text}${FILLER}`, `${FILLER}${text}`];

function chooseText(clause: Matchers<StringMatch>, aim: Aim, present: PresentMeaning): string | undefined {
  const candidates = candidatesOf(clause, aim, { valueOf: matchingText, near: nearText });
  return choose(clause, aim, { candidates, test: (match) => compileStringMatch(match, present) });
}

/** Only known methods: codecs reject others. */
function chooseMethod(clause: Matchers<StringMatch>, aim: Aim): string | undefined {
  const candidates = [...candidatesOf(clause, aim, { valueOf: matchingText, near: () => COMMON_METHODS }), ...COMMON_METHODS];
  return choose(clause, aim, { candidates, test: (match) => compileStringMatch(match, 'any') });
}

function choosePath(clause: Matchers<PathMatch>, aim: Aim): string | undefined {
  const valueOf = (match: PathMatch): string => {
    const text = matchingText(match);
    return text.startsWith('/') ? text : `/${text}`;
  };
  const near = (path: string): readonly string[] => [`${path}${FILLER}`, `${path}/${FILLER}`, `/${FILLER}${path}`];
  const candidates = [...candidatesOf(clause, aim, { valueOf, near }), '/', `/${FILLER}`];
  return choose(clause, aim, { candidates, test: compilePathMatch });
}

function chooseAddress(clause: Matchers<string>, aim: Aim): string | undefined {
  const candidates = candidatesOf(clause, aim, { valueOf: addressOf, near: () => UNLISTED_ADDRESSES });
  return choose(clause, aim, { candidates, test: (block) => (address) => compileIpBlocks([block])(parseIp(address)) });
}

/** The address of a CIDR block. @example addressOf('10.0.0.0/8') // '10.0.0.0' */
export function addressOf(block: string): string {
  return block.slice(0, block.lastIndexOf('/'));
}

function choosePort(clause: Matchers<number>, aim: Aim): number | undefined {
  const named = candidatesOf(clause, aim, { valueOf: (port) => port, near: () => UNLISTED_PORTS });
  const candidates = [...named, ...UNLISTED_PORTS].filter((port) => port > 0);
  return choose(clause, aim, { candidates, test: (port) => (value) => value === port });
}

function choosePeer(clause: Matchers<IdentityMatch>, aim: Aim): string | undefined {
  const near = (peer: string): readonly string[] => [`${peer}${FILLER}`, `spiffe://${FILLER}/ns/${FILLER}/sa/${FILLER}`];
  return choose(clause, aim, { candidates: candidatesOf(clause, aim, { valueOf: matchingPeer, near }), test: compileIdentityMatch });
}

type Principal = readonly [iss: string, sub: string];

function choosePrincipal(clause: Matchers<RequestPrincipalMatch>, aim: Aim, issuers: readonly string[]): Principal | undefined {
  const issuerOf = (iss: StringMatch): string => issuers.find(compileStringMatch(iss, 'non-empty')) ?? matchingText(iss);
  const valueOf = ({ iss, sub }: RequestPrincipalMatch): Principal => [issuerOf(iss), matchingText(sub)];
  const near = ([iss, sub]: Principal): readonly Principal[] => [
    [iss, `${sub}${FILLER}`],
    [`${iss}${FILLER}`, sub],
  ];
  const test = (match: RequestPrincipalMatch): ((principal: Principal) => boolean) => {
    const isMatch = compileRequestPrincipal(match);
    return ([iss, sub]) => isMatch(iss, sub);
  };
  return choose(clause, aim, { candidates: candidatesOf(clause, aim, { valueOf, near }), test });
}
