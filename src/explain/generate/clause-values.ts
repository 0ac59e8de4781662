/*
 * The values of a request at which a clause may change its result: for every matcher one inside, one just outside, and, of
 * blocks, prefixes and suffixes, the edges.
 */
import { METHODS } from '../../http/methods.ts';
import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch } from '../../policy/model/program.ts';
import { blockEdges } from './block-edges.ts';
import { FILLER, matchingPeer, matchingText } from './generated-request.ts';

/**
 * The part of a request that a clause looks at, e.g. `path` or `header x-tenant`; clauses with equal keys constrain the same value.
 * `claim ` is followed by the claim's path as JSON.
 */
export type PartKey =
  | 'method'
  | 'path'
  | 'host'
  | 'sni'
  | 'sourceIp'
  | 'destinationIp'
  | 'port'
  | 'peer'
  | 'principal'
  | `header ${string}`
  | `claim ${string}`;

/** A value of a part; undefined: the request does not have it. Of `principal` the array of issuer and subject. */
export type PartValue = string | number | readonly string[] | undefined;

/** The remote address is what X-Forwarded-For says. */
export const FORWARDED_FOR: PartKey = 'header x-forwarded-for';

const PSEUDO: Readonly<Record<string, PartKey>> = { ':path': 'path', ':method': 'method', ':authority': 'host', host: 'host' };
const COMMON_METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'DELETE'];
/** A documentation address (RFC 5737) that a policy is unlikely to name. */
const UNLISTED_ADDRESS = '192.0.2.77';
const MAX_PORT = 65_535;

/** The part that `clause` looks at; undefined: none that a request carries. */
export function partOf(clause: Clause): PartKey | undefined {
  switch (clause.attribute) {
    case 'header':
      return PSEUDO[clause.name] ?? `header ${clause.name}`;
    case 'claim':
      return `claim ${JSON.stringify(clause.path)}`;
    case 'remoteIp':
      return FORWARDED_FOR;
    case 'destinationPort':
      return 'port';
    case 'requestPrincipal':
      return 'principal';
    case 'metadata':
      return undefined;
    default:
      return clause.attribute;
  }
}

const valuesByClause = new WeakMap<Clause, readonly PartValue[]>();

/** Values inside and just outside every matcher of `clause`, without duplicates. Whether the clause holds is for the caller to test. */
export function valuesOf(clause: Clause): readonly PartValue[] {
  const known = valuesByClause.get(clause);
  if (known !== undefined) return known;
  const values = uniqueValues(computeValues(clause));
  valuesByClause.set(clause, values);
  return values;
}

/** The values without duplicates, in order. */
export function uniqueValues(values: readonly PartValue[]): readonly PartValue[] {
  return [...new Map(values.map((value) => [JSON.stringify(value) ?? '', value])).values()];
}

function computeValues(clause: Clause): readonly PartValue[] {
  switch (clause.attribute) {
    case 'method':
      return [...matchersOf(clause).flatMap(textsOf), ...COMMON_METHODS].filter((method) => METHODS.has(method));
    case 'path':
      return [...matchersOf(clause).flatMap(pathsOf), '/', `/${FILLER}`];
    case 'host':
      return matchersOf(clause).flatMap((match) => [...textsOf(match), `${matchingText(match)}:8080`]);
    case 'header':
      return headerValuesOf(clause.name, matchersOf(clause).flatMap(textsOf));
    case 'sni':
    case 'claim':
      return [...matchersOf(clause).flatMap(textsOf), FILLER];
    case 'sourceIp':
    case 'destinationIp':
    case 'remoteIp':
      return [...matchersOf(clause).flatMap(blockEdges), UNLISTED_ADDRESS];
    case 'destinationPort':
      return [...matchersOf(clause).flatMap((port) => [port, port + 1, port - 1]), 1].filter((port) => port > 0 && port <= MAX_PORT);
    case 'peer':
      return matchersOf(clause).flatMap(peersOf);
    case 'requestPrincipal':
      return matchersOf(clause).flatMap(principalsOf);
    case 'metadata':
      return [];
  }
}

/** The positive matchers, then the negative ones. */
export function matchersOf<M>({
  anyOf = [],
  noneOf = [],
}: {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}): readonly M[] {
  return [...anyOf, ...noneOf];
}

function textsOf(match: PathMatch): readonly string[] {
  const inside = matchingText(match);
  const value = match.kind === 'present' ? FILLER : match.value;
  return [inside, value, `${value}${FILLER}`, `${FILLER}${value}`, value.slice(0, -1), value.slice(1)].filter((text) => text !== '');
}

/** A pseudo header has the same values as the part that it names. */
function headerValuesOf(name: string, texts: readonly string[]): readonly string[] {
  if (name === ':path') return texts.map(absolutePath);
  return name === ':method' ? [...texts, ...COMMON_METHODS].filter((method) => METHODS.has(method)) : [...texts, FILLER];
}

function absolutePath(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function pathsOf(match: PathMatch): readonly string[] {
  if (match.kind !== 'template') return textsOf(match).flatMap((text) => [absolutePath(text), `${absolutePath(text)}/${FILLER}`]);
  const [one, two] = [FILLER, `${FILLER}/${FILLER}`];
  const inside = [one, two].map((rest) => match.value.replaceAll('{**}', rest).replaceAll('{*}', one));
  const outside = [match.value.replaceAll('{**}', two).replaceAll('{*}', two), match.value.replaceAll(/\/?\{\*\*?\}/g, '')];
  return [...inside, ...outside, `${inside[0] ?? ''}/${FILLER}`, `${inside[0] ?? ''}${FILLER}`].map(absolutePath);
}

function peersOf(match: IdentityMatch): readonly string[] {
  const peer = matchingPeer(match);
  return [peer, `${peer}${FILLER}`, peer.replace(/\/ns\/([^/]*)/, `/ns/$1${FILLER}`), `spiffe://${FILLER}/ns/${FILLER}/sa/${FILLER}`];
}

function principalsOf({ iss, sub }: RequestPrincipalMatch): readonly PartValue[] {
  const issuers = iss.kind === 'present' ? [matchingText(iss)] : [matchingText(iss), iss.value];
  return issuers.flatMap((issuer) => textsOf(sub).map((subject) => [issuer, subject]));
}
