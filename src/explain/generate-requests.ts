/*
 * Generates requests that are likely to be decided differently by different policies: for each value in a rule they have that
 * value, a similar one, or none. For `sallyport diff`.
 */
import type { Json } from '../policy/facts.ts';
import type { Clause, PathMatch, Program } from '../policy/model/program.ts';
import { addressOf } from './clause-request-part.ts';
import { FILLER, type GeneratedRequest, matchingPeer, matchingText, withClaim } from './generated-request.ts';
import { httpRulesOf, requestsForRules } from './requests-for-rules.ts';

/** Values that the rules name, by attribute. */
interface Vocabulary {
  readonly methods: Set<string>;
  readonly paths: Set<string>;
  readonly hosts: Set<string>;
  readonly addresses: Set<string>;
  readonly ports: Set<number>;
  readonly peers: Set<string>;
  readonly principals: Map<string, readonly [iss: string, sub: string]>;
  readonly headers: Map<string, Set<string>>;
  /** By the path as JSON. */
  readonly claims: Map<string, Set<string>>;
}

/**
 * `count` requests: first, for each rule, one that it matches and ones that miss it by a single clause; then random combinations
 * of the values in the rules. The same programs, count and seed give the same requests.
 * @param seed whole number
 */
export function* generateRequests(programs: readonly Program[], count: number, seed: number): Generator<GeneratedRequest> {
  let left = count;
  for (const request of requestsForRules(programs)) {
    if (left-- <= 0) return;
    yield request;
  }
  const vocabulary = vocabularyOf(programs);
  const random = createRandom(seed);
  for (; left > 0; left--) yield randomRequest(vocabulary, random);
}

function vocabularyOf(programs: readonly Program[]): Vocabulary {
  const vocabulary: Vocabulary = {
    methods: new Set(['GET', 'POST']),
    paths: new Set(['/']),
    hosts: new Set(),
    addresses: new Set(),
    ports: new Set(),
    peers: new Set(),
    principals: new Map(),
    headers: new Map(),
    claims: new Map(),
  };
  for (const program of programs) {
    for (const { issuer } of program.providers) vocabulary.principals.set(issuer, [issuer, FILLER]);
    for (const rule of httpRulesOf(program)) {
      for (const clause of [...rule.from.flat(), ...rule.to.flat(), ...rule.when]) addValues(vocabulary, clause);
    }
  }
  return vocabulary;
}

function addValues(vocabulary: Vocabulary, clause: Clause): void {
  switch (clause.attribute) {
    case 'method':
      addTexts(vocabulary.methods, clause);
      break;
    case 'path':
      addTexts(vocabulary.paths, clause);
      break;
    case 'host':
      addTexts(vocabulary.hosts, clause);
      break;
    case 'header':
      addTexts(setAt(vocabulary.headers, clause.name), clause);
      break;
    case 'claim':
      addTexts(setAt(vocabulary.claims, JSON.stringify(clause.path)), clause);
      break;
    case 'sourceIp':
    case 'remoteIp':
      for (const block of allMatchers(clause)) vocabulary.addresses.add(addressOf(block));
      break;
    case 'destinationPort':
      for (const port of allMatchers(clause)) if (port > 0) vocabulary.ports.add(port);
      break;
    case 'requestPrincipal':
      for (const match of allMatchers(clause)) {
        const [iss, sub] = [matchingText(match.iss), matchingText(match.sub)];
        vocabulary.principals.set(`${iss}/${sub}`, [iss, sub]);
      }
      break;
    case 'peer':
      for (const match of allMatchers(clause)) vocabulary.peers.add(matchingPeer(match));
      break;
    case 'destinationIp':
    case 'sni':
    case 'metadata':
      // Not varied in random requests.
      break;
  }
}

function allMatchers<M>({ anyOf = [], noneOf = [] }: { readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] }): readonly M[] {
  return [...anyOf, ...noneOf];
}

function addTexts(texts: Set<string>, clause: { readonly anyOf?: readonly PathMatch[]; readonly noneOf?: readonly PathMatch[] }): void {
  for (const match of allMatchers(clause)) texts.add(matchingText(match));
}

function setAt(map: Map<string, Set<string>>, key: string): Set<string> {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = new Set<string>();
  map.set(key, created);
  return created;
}

/** A whole number from 0 to `below - 1`. */
type Random = (below: number) => number;

/** Mulberry32: a small seeded generator, good enough to pick values. */
function createRandom(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function pick<T>(values: Iterable<T>, random: Random): T | undefined {
  const array = [...values];
  return array[random(array.length)];
}

/** A known string in three cases of four, else a similar one. */
function pickText(texts: Iterable<string>, random: Random): string | undefined {
  const text = pick(texts, random);
  return text === undefined || random(4) > 0 ? text : `${text}${FILLER}`;
}

function randomRequest(vocabulary: Vocabulary, random: Random): GeneratedRequest {
  const path = pickText(vocabulary.paths, random) ?? '/';
  const host = random(2) === 0 ? pickText(vocabulary.hosts, random) : undefined;
  const sourceIp = random(2) === 0 ? pick(vocabulary.addresses, random) : undefined;
  const port = random(2) === 0 ? pick(vocabulary.ports, random) : undefined;
  const peer = random(2) === 0 ? pick(vocabulary.peers, random) : undefined;
  const claims = random(4) === 0 ? undefined : randomClaims(vocabulary, random);
  const headers = [...vocabulary.headers].flatMap(([name, values]): readonly (readonly [string, string])[] => {
    const value = name.startsWith(':') || name === 'host' || random(2) === 0 ? undefined : pickText(values, random);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    method: pick(vocabulary.methods, random) ?? 'GET',
    path: path.startsWith('/') ? path : `/${path}`,
    headers,
    ...(host === undefined ? {} : { host }),
    ...(sourceIp === undefined ? {} : { sourceIp }),
    ...(port === undefined ? {} : { port }),
    ...(peer === undefined ? {} : { peer }),
    ...(claims === undefined ? {} : { claims }),
  };
}

function randomClaims(vocabulary: Vocabulary, random: Random): Readonly<Record<string, Json>> | undefined {
  const principal = pick(vocabulary.principals.values(), random);
  if (principal === undefined) return undefined;
  let claims: Readonly<Record<string, Json>> = { iss: principal[0], sub: principal[1] };
  for (const [path, values] of vocabulary.claims) {
    const value = random(3) === 0 ? undefined : pickText(values, random);
    if (value !== undefined) claims = withClaim(claims, JSON.parse(path) as readonly string[], random(2) === 0 ? value : [value, FILLER]);
  }
  return claims;
}
