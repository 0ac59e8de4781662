/*
 * Requests made up from the words of policies. In: programs and a seed. Out: requests that are likely to tell the programs
 * apart: for each value that a rule names, the value, something near it, and nothing. Every other request is made of the words of
 * one rule, each in its turn, or rules with many clauses would hardly ever match. Called by the command `diff`.
 */
import { lookUpClaim } from '../policy/match/claim.ts';
import type { Clause, PathMatch, Program, Rule, Ruleset, StringMatch } from '../policy/model/program.ts';
import type { Json } from '../policy/request/facts.ts';

/** A made-up request; the caller signs the claims. */
export interface GeneratedRequest {
  readonly method: string;
  readonly path: string;
  /** Absent: the caller's default. */
  readonly host?: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly sourceIp?: string;
  readonly port?: number;
  readonly peer?: string;
  /** Absent: no token. */
  readonly claims?: Readonly<Record<string, Json>>;
}

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

const FILLER = 'x1';

/**
 * `count` requests. The same programs, count and seed give the same requests.
 * @param seed whole number
 */
export function generateRequests(programs: readonly Program[], count: number, seed: number): readonly GeneratedRequest[] {
  const rules = programs.flatMap(({ http }) => rulesOf(http));
  const issuers = programs.flatMap(({ providers }) => providers.map(({ issuer }) => issuer));
  const words = addCommon(vocabularyOf(rules), issuers, false);
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const rule = rules[(index >>> 1) % rules.length];
    if (index % 2 === 0 || rule === undefined) return makeRequest(words, random, MIXED);
    return makeRequest(addCommon(vocabularyOf([rule]), issuers, true), random, AIMED);
  });
}

/** One in so many texts is beside a known one, and one in so many attributes is left out. */
interface Odds {
  readonly beside: number;
  readonly absent: number;
}

const MIXED: Odds = { beside: 4, absent: 2 };
const AIMED: Odds = { beside: 10, absent: 10 };

function vocabularyOf(rules: readonly Rule[]): Vocabulary {
  const words: Vocabulary = {
    methods: new Set(),
    paths: new Set(),
    hosts: new Set(),
    addresses: new Set(),
    ports: new Set(),
    peers: new Set(),
    principals: new Map(),
    headers: new Map(),
    claims: new Map(),
  };
  for (const { from, to, when } of rules) for (const clause of [...from.flat(), ...to.flat(), ...when]) addWords(words, clause);
  return words;
}

/** What requests have whatever the rules say. @param onlyMissing where the rules say nothing */
function addCommon(words: Vocabulary, issuers: readonly string[], onlyMissing: boolean): Vocabulary {
  const { methods, paths, principals } = words;
  if (!onlyMissing || methods.size === 0) for (const method of ['GET', 'POST']) methods.add(method);
  if (!onlyMissing || paths.size === 0) paths.add('/');
  if (!onlyMissing || principals.size === 0) for (const issuer of issuers) principals.set(issuer, [issuer, FILLER]);
  return words;
}

function rulesOf({ custom, audit, deny, allow, dryRunDeny, dryRunAllow }: Ruleset): readonly Rule[] {
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
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
      addPeers(words.peers, clause);
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

function addPeers(peers: Set<string>, clause: Extract<Clause, { readonly attribute: 'peer' }>): void {
  for (const match of both(clause)) {
    if (match.kind === 'namespace') peers.add(`spiffe://cluster.local/ns/${match.pattern.replaceAll('*', FILLER)}/sa/${FILLER}`);
    else if (match.kind === 'serviceAccount') peers.add(`spiffe://cluster.local/ns/${match.namespace}/sa/${match.name}`);
    else if (match.kind === 'trustDomain') peers.add(`spiffe://${match.prefix}${FILLER}${match.suffix}/ns/${FILLER}/sa/${FILLER}`);
    else if (match.kind === 'spiffeSuffix') peers.add(`spiffe://${FILLER}${match.value}`);
    else peers.add(textOf(match));
  }
}

/** A text that the match takes. */
function textOf(match: StringMatch | PathMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value;
    case 'prefix':
      return match.value + FILLER;
    case 'suffix':
      return FILLER + match.value;
    case 'present':
      return FILLER;
    case 'template':
      return match.value.replaceAll('{**}', `${FILLER}/${FILLER}`).replaceAll('{*}', FILLER);
  }
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
function pickText(texts: Iterable<string>, random: Random, { beside }: Odds): string | undefined {
  const text = pick(texts, random);
  return text === undefined || random(beside) > 0 ? text : `${text}${FILLER}`;
}

function makeRequest(words: Vocabulary, random: Random, odds: Odds): GeneratedRequest {
  const isAbsent = (): boolean => random(odds.absent) === 0;
  const path = pickText(words.paths, random, odds) ?? '/';
  const host = isAbsent() ? undefined : pickText(words.hosts, random, odds);
  const sourceIp = isAbsent() ? undefined : pick(words.addresses, random);
  const port = isAbsent() ? undefined : pick(words.ports, random);
  const peer = isAbsent() ? undefined : pick(words.peers, random);
  const claims = random(2 * odds.absent) === 0 ? undefined : makeClaims(words, random, odds);
  const headers = [...words.headers].flatMap(([name, values]): readonly (readonly [string, string])[] => {
    const value = name.startsWith(':') || name === 'host' || isAbsent() ? undefined : pickText(values, random, odds);
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

function makeClaims(words: Vocabulary, random: Random, odds: Odds): Readonly<Record<string, Json>> | undefined {
  const principal = pick(words.principals.values(), random);
  if (principal === undefined) return undefined;
  let claims: Readonly<Record<string, Json>> = { iss: principal[0], sub: principal[1] };
  for (const [path, values] of words.claims) {
    const value = random(odds.absent + 1) === 0 ? undefined : pickText(values, random, odds);
    if (value !== undefined) claims = withClaim(claims, JSON.parse(path) as readonly string[], random(2) === 0 ? value : [value, FILLER]);
  }
  return claims;
}

function withClaim(
  claims: Readonly<Record<string, Json>>,
  [name = '', ...rest]: readonly string[],
  value: Json,
): Readonly<Record<string, Json>> {
  if (rest.length === 0) return { ...claims, [name]: value };
  const inner = lookUpClaim(claims, [name]);
  const object = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Readonly<Record<string, Json>>) : {};
  return { ...claims, [name]: withClaim(object, rest, value) };
}
