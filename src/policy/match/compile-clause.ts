/*
 * Compiles one clause of a program to a test on facts. Everything that can be parsed once is parsed here, when a program is activated.
 */

import type { Claims, PeerIdentity, RequestFacts } from '../facts.ts';
import type { Clause, IdentityMatch, PathMatch, StringMatch } from '../model/program.ts';
import { isPseudoHeader } from '../pseudo-headers.ts';
import { lookUpClaim, matchesClaim } from './claim.ts';
import { compileIdentityMatch } from './identity.ts';
import { compileIpBlocks, type IpWords, parseIp } from './ip-block.ts';
import { compilePathTemplate, parsePathTemplate } from './path-template.ts';
import { compileRequestPrincipal } from './request-principal.ts';
import { asciiLowerCase, compileStringMatch, type PresentMeaning, type StringTest, toByteMatch, toByteString } from './string-match.ts';

/** Does the clause hold? `claims`: the claims that the clause may read, `undefined` before JWT verification. */
export type ClauseTest = (facts: RequestFacts, claims: Claims | undefined) => boolean;

/** Does any match of a list hold? */
type AnyTest = ClauseTest;

const NEVER: AnyTest = () => false;

/** Compiles `[anyOf] AND NOT [noneOf]`. A missing attribute fails every positive list and passes every negative list. */
export function compileClause(clause: Clause): ClauseTest {
  switch (clause.attribute) {
    case 'host':
      return lists(clause, overHost);
    case 'method':
      return lists(clause, (matches) => overString(matches.map(toByteMatch), 'non-empty', methodOf));
    case 'sni':
      return lists(clause, (matches) => overString(matches.map(toByteMatch), 'non-empty', sniOf));
    case 'path':
      return lists(clause, overPath);
    case 'header':
      return lists(clause, (matches) => overHeader(clause.name, matches.map(toByteMatch)));
    case 'sourceIp':
      return lists(clause, (blocks) => overAddress(blocks, (facts) => facts.connection.sourceIp));
    case 'remoteIp':
      return lists(clause, (blocks) => overAddress(blocks, (facts) => facts.remoteIp));
    case 'destinationIp':
      return lists(clause, (blocks) => overAddress(blocks, (facts) => facts.connection.destinationIp));
    case 'destinationPort':
      return lists(clause, overPort);
    case 'peer':
      return lists(clause, overPeer);
    case 'requestPrincipal':
      return lists(clause, (matches) => {
        const tests = matches.map(compileRequestPrincipal);
        return (_facts, claims) => tests.some((test) => test(lookUpClaim(claims, ISS), lookUpClaim(claims, SUB)));
      });
    case 'claim':
      return lists(clause, (matches) => overClaim(clause.path, matches));
    // Metadata of other Envoy filters exists only in Envoy.
    case 'metadata':
      return lists(clause, () => NEVER);
  }
}

const ISS: readonly string[] = ['iss'];
const SUB: readonly string[] = ['sub'];

function lists<M>(
  clause: { readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] },
  compile: (matches: readonly M[]) => AnyTest,
): ClauseTest {
  const any = clause.anyOf === undefined ? undefined : compile(clause.anyOf);
  const none = clause.noneOf === undefined ? undefined : compile(clause.noneOf);
  if (none === undefined) return any ?? (() => true);
  if (any === undefined) return (facts, claims) => !none(facts, claims);
  return (facts, claims) => any(facts, claims) && !none(facts, claims);
}

function anyString(tests: readonly StringTest[]): StringTest {
  const [first] = tests;
  if (tests.length === 1 && first !== undefined) return first;
  return (value) => {
    for (const test of tests) {
      if (test(value)) return true;
    }
    return false;
  };
}

function overString(matches: readonly StringMatch[], present: PresentMeaning, read: (facts: RequestFacts) => string): AnyTest {
  const test = anyString(matches.map((match) => compileStringMatch(match, present)));
  return (facts) => test(read(facts));
}

function lowerCaseMatch(match: StringMatch): StringMatch {
  return match.kind === 'present' ? match : { kind: match.kind, value: toByteString(asciiLowerCase(match.value)) };
}

function overHost(matches: readonly StringMatch[]): AnyTest {
  const test = anyString(matches.map((match) => compileStringMatch(lowerCaseMatch(match), 'any')));
  return ({ host }) => host !== undefined && test(asciiLowerCase(host));
}

function methodOf(facts: RequestFacts): string {
  return facts.method;
}

function sniOf(facts: RequestFacts): string {
  return facts.connection.sni;
}

/** Compiles one value of `paths`. */
export function compilePathMatch(match: PathMatch): StringTest {
  if (match.kind !== 'template') return compileStringMatch(toByteMatch(match), 'non-empty');
  const template = parsePathTemplate(match.value);
  return template === undefined ? () => false : compilePathTemplate(template);
}

/** A request without a path (CONNECT) matches no path. */
function overPath(matches: readonly PathMatch[]): AnyTest {
  const test = anyString(matches.map(compilePathMatch));
  return (facts) => facts.path !== '' && test(facts.path);
}

/** Tests each instance of the header separately; `*` also matches an empty value. */
function overHeader(name: string, matches: readonly StringMatch[]): AnyTest {
  const test = anyString(matches.map((match) => compileStringMatch(match, 'any')));
  if (isPseudoHeader(name)) return (facts) => facts.headerValues(name).some(test);
  // Collecting the values in an array would allocate for every request.
  return ({ headerList }) => {
    for (let i = 0; i < headerList.length; i += 2) {
      if (headerList[i] === name && test(headerList[i + 1] as string)) return true;
    }
    return false;
  };
}

/** A parser that caches its last result: the addresses of a connection do not change between its requests. */
function cachingParser(): (address: string) => IpWords | undefined {
  let lastAddress = '';
  let last: IpWords | undefined;
  return (address) => {
    if (address !== lastAddress) {
      last = parseIp(address);
      lastAddress = address;
    }
    return last;
  };
}

function overAddress(cidrs: readonly string[], read: (facts: RequestFacts) => string): AnyTest {
  const isInside = compileIpBlocks(cidrs);
  const parse = cachingParser();
  return (facts) => isInside(parse(read(facts)));
}

function overPort(ports: readonly number[]): AnyTest {
  return (facts) => ports.includes(facts.connection.destinationPort);
}

/** Tests URI SANs, DNS SANs and the Subject; one match is enough. */
function overPeer(matches: readonly IdentityMatch[]): AnyTest {
  const test = anyString(matches.map(compileIdentityMatch));
  return (facts) => facts.connection.peer !== undefined && matchesPeer(facts.connection.peer, test);
}

function matchesPeer(peer: PeerIdentity, test: StringTest): boolean {
  return peer.uris.some(test) || peer.dnsNames.some(test) || test(peer.subject);
}

function overClaim(path: readonly string[], matches: readonly StringMatch[]): AnyTest {
  const test = anyString(matches.map((match) => compileStringMatch(match, 'non-empty')));
  return (_facts, claims) => matchesClaim(lookUpClaim(claims, path), test);
}
