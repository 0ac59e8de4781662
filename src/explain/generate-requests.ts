/*
 * Requests made up from the words of policies. In: programs and a seed. Out: requests that are likely to tell the programs
 * apart: for each value that a rule names, the value, something near it, and nothing. Called by the command `diff`.
 */

import type { Json } from '../policy/facts.ts';
import type { Clause, PathMatch, Program } from '../policy/model/program.ts';
import { FILLER, type GeneratedRequest, peerOf, textOf, withClaim } from './made-up-request.ts';
import { requestsForRules, rulesOf } from './requests-for-rules.ts';

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
 * `count` requests: first, for each rule, one that it matches and ones that miss it by a single clause; then any mixture of what
 * the rules name. The same programs, count and seed give the same requests.
 * @param seed whole number
 */
export function* generateRequests(programs: readonly Program[], count: number, seed: number): Generator<GeneratedRequest> {
  let left = count;
  for (const request of requestsForRules(programs)) {
    if (left-- <= 0) return;
    yield request;
  }
  const words = vocabularyOf(programs);
  const random = createRandom(seed);
  for (; left > 0; left--) yield makeRequest(words, random);
}

function vocabularyOf(programs: readonly Program[]): Vocabulary {
  const words: Vocabulary = {
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
    for (const { issuer } of program.providers) words.principals.set(issuer, [issuer, FILLER]);
    for (const rule of rulesOf(program)) {
      for (const clause of [...rule.from.flat(), ...rule.to.flat(), ...rule.when]) addWords(words, clause);
    }
  }
  return words;
}

function addWords(words: Vocabulary, clause: Clause): void {
  switch (clause.attribute) {
    case 'method':
      addTexts(words.methods, clause);
      break;
    case 'path':
      addTexts(words.paths, clause);
      break;
    case 'host':
      addTexts(words.hosts, clause);
      break;
    case 'header':
      addTexts(entryOf(words.headers, clause.name), clause);
      break;
    case 'claim':
      addTexts(entryOf(words.claims, JSON.stringify(clause.path)), clause);
      break;
    case 'sourceIp':
    case 'remoteIp':
      for (const block of both(clause)) words.addresses.add(block.slice(0, block.lastIndexOf('/')));
      break;
    case 'destinationPort':
      for (const port of both(clause)) if (port > 0) words.ports.add(port);
      break;
    case 'requestPrincipal':
      for (const { iss, sub } of both(clause)) words.principals.set(`${textOf(iss)}/${textOf(sub)}`, [textOf(iss), textOf(sub)]);
      break;
    case 'peer':
      for (const match of both(clause)) words.peers.add(peerOf(match));
      break;
    case 'destinationIp':
    case 'sni':
    case 'metadata':
      // Nothing that a request brings.
      break;
  }
}

function both<M>({ anyOf = [], noneOf = [] }: { readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] }): readonly M[] {
  return [...anyOf, ...noneOf];
}

function addTexts(texts: Set<string>, clause: { readonly anyOf?: readonly PathMatch[]; readonly noneOf?: readonly PathMatch[] }): void {
  for (const match of both(clause)) texts.add(textOf(match));
}

function entryOf(map: Map<string, Set<string>>, key: string): Set<string> {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = new Set<string>();
  map.set(key, made);
  return made;
}

type Random = (below: number) => number;

/** Mulberry32: small, seeded, good enough to pick words. */
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
  const list = [...values];
  return list[random(list.length)];
}

/** Mostly a known text; now and then one beside it. */
function pickText(texts: Iterable<string>, random: Random): string | undefined {
  const text = pick(texts, random);
  return text === undefined || random(4) > 0 ? text : `${text}${FILLER}`;
}

function makeRequest(words: Vocabulary, random: Random): GeneratedRequest {
  const path = pickText(words.paths, random) ?? '/';
  const host = random(2) === 0 ? pickText(words.hosts, random) : undefined;
  const sourceIp = random(2) === 0 ? pick(words.addresses, random) : undefined;
  const port = random(2) === 0 ? pick(words.ports, random) : undefined;
  const peer = random(2) === 0 ? pick(words.peers, random) : undefined;
  const claims = random(4) === 0 ? undefined : makeClaims(words, random);
  const headers = [...words.headers].flatMap(([name, values]): readonly (readonly [string, string])[] => {
    const value = name.startsWith(':') || name === 'host' || random(2) === 0 ? undefined : pickText(values, random);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    method: pick(words.methods, random) ?? 'GET',
    path: path.startsWith('/') ? path : `/${path}`,
    headers,
    ...(host === undefined ? {} : { host }),
    ...(sourceIp === undefined ? {} : { sourceIp }),
    ...(port === undefined ? {} : { port }),
    ...(peer === undefined ? {} : { peer }),
    ...(claims === undefined ? {} : { claims }),
  };
}

function makeClaims(words: Vocabulary, random: Random): Readonly<Record<string, Json>> | undefined {
  const principal = pick(words.principals.values(), random);
  if (principal === undefined) return undefined;
  let claims: Readonly<Record<string, Json>> = { iss: principal[0], sub: principal[1] };
  for (const [path, values] of words.claims) {
    const value = random(3) === 0 ? undefined : pickText(values, random);
    if (value !== undefined) claims = withClaim(claims, JSON.parse(path) as readonly string[], random(2) === 0 ? value : [value, FILLER]);
  }
  return claims;
}
