/*
 * Decides the constraints on one attribute of a request: is there a value, or a set of values, that meets them all?
 */
import type { PathNormalization } from '../api/mesh-config.ts';
import { METHODS } from '../http/methods.ts';
import type { IdentityMatch, PathMatch, StringMatch } from '../policy/model/program.ts';
import type { Budget } from './budget.ts';
import { type AttributeKey, type Constraint, claimOfKey, type ExactCase, isClaimKey, type Matcher } from './constraint.ts';
import { BYTES, HEADER, HOST, pathDomain, SNI, TEXT } from './domains.ts';
import { findAddress } from './find-address.ts';
import { type FoundString, findString, type StringDomain } from './find-string.ts';
import {
  bytePatterns,
  hostPatterns,
  identityPatterns,
  literal,
  type Pattern,
  pathPatterns,
  startingWith,
  textPatterns,
} from './pattern.ts';

/** Values of an attribute; undefined: the request does not have it, or has a default that meets the constraints. */
export type AttributeValue = string | number | readonly string[] | undefined;

/** A value, or constraints that no value meets together. */
export type SolvedAttribute =
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'none'; readonly core: readonly Constraint[] };

/** What attributes are solved for. */
export interface SolveContext {
  readonly pathNormalization: PathNormalization;
  /** Lower-case names of headers that a JWT rule may set, from any claim. */
  readonly outputs: ReadonlySet<string>;
  readonly budget: Budget;
}

/** Addresses for documentation (RFC 5737, RFC 3849), which policies rarely name. */
const ADDRESSES: readonly string[] = ['192.0.2.1', '192.0.2.77', '2001:db8::77'];
const HEADER_KEY = 'header ';
const PORTS: readonly number[] = [80, 8080];
const MAX_PORT = 65_535;
/** A CONNECT request has no route, so that the agent forwards none. */
const FORWARDED_METHODS: readonly string[] = ['GET', 'POST', ...METHODS].filter((method) => method !== 'CONNECT');

interface Split {
  readonly positive: readonly Constraint[];
  readonly negative: readonly Constraint[];
}

function split(constraints: readonly Constraint[]): Split {
  return { positive: constraints.filter(({ holds }) => holds), negative: constraints.filter(({ holds }) => !holds) };
}

/** A value of `key` that meets `constraints`, all of which are on `key`. @throws OutOfTime */
export function solveAttribute(key: AttributeKey, constraints: readonly Constraint[], context: SolveContext): SolvedAttribute {
  switch (key) {
    case 'method':
      return solveMethod(split(constraints));
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return solveAddress(split(constraints), context);
    case 'port':
      return solvePort(split(constraints));
    case 'path':
    case 'host':
    case 'sni':
      return solveText(key, split(constraints), context);
    default:
      return isSingleClaim(key) ? solveText(key, split(constraints), context) : solveValues(key, split(constraints), context);
  }
}

/** Issuer and subject are strings in every verified token. */
function isSingleClaim(key: AttributeKey): boolean {
  if (!isClaimKey(key)) return false;
  const { path } = claimOfKey(key);
  return path.length === 1 && (path[0] === 'iss' || path[0] === 'sub');
}

function solveMethod({ positive, negative }: Split): SolvedAttribute {
  const test = ({ matchers }: Constraint, method: string): boolean => matchers.some((match) => matchesText(match as StringMatch, method));
  const value = FORWARDED_METHODS.find(
    (method) => positive.every((one) => test(one, method)) && !negative.some((one) => test(one, method)),
  );
  return value === undefined ? { kind: 'none', core: [...positive, ...negative] } : { kind: 'value', value };
}

function matchesText(match: StringMatch, text: string): boolean {
  if (match.kind === 'present') return true;
  if (match.kind === 'exact') return text === match.value;
  return match.kind === 'prefix' ? text.startsWith(match.value) : text.endsWith(match.value);
}

function solveAddress({ positive, negative }: Split, { budget }: SolveContext): SolvedAttribute {
  const blocks = (all: readonly Constraint[]): readonly (readonly string[])[] => all.map(({ matchers }) => matchers as readonly string[]);
  const found = findAddress({ positive: blocks(positive), negative: blocks(negative), preferred: ADDRESSES }, budget);
  return found.kind === 'value' ? found : { kind: 'none', core: coreOf(positive, negative, found.blockedBy) };
}

function coreOf(positive: readonly Constraint[], negative: readonly Constraint[], blockedBy: readonly number[]): readonly Constraint[] {
  return [...positive, ...blockedBy.flatMap((index) => negative[index] ?? [])];
}

function solvePort({ positive, negative }: Split): SolvedAttribute {
  const [first] = positive;
  const excluded = new Set(negative.flatMap(({ matchers }) => matchers));
  const passes = (port: number): boolean => port > 0 && positive.every(({ matchers }) => matchers.includes(port)) && !excluded.has(port);
  const candidates = first === undefined ? PORTS : (first.matchers as readonly number[]);
  const value = candidates.find(passes) ?? (first === undefined ? otherPort(passes) : undefined);
  return value === undefined ? { kind: 'none', core: [...positive, ...negative] } : { kind: 'value', value };
}

function otherPort(passes: (port: number) => boolean): number | undefined {
  for (let port = 1; port <= MAX_PORT; port++) if (passes(port)) return port;
  return undefined;
}

/** Headers to which the agent adds, or whose bytes a JWT rule decoded. */
const NOT_OF_CLIENTS = /^header (?::|x-forwarded-client-cert$)/;

function domainOf(key: AttributeKey, { pathNormalization, outputs }: SolveContext): StringDomain {
  if (key === 'path') return pathDomain(pathNormalization);
  if (key === 'host') return HOST;
  if (key === 'sni') return SNI;
  if (key === 'peer' || isClaimKey(key)) return TEXT;
  return NOT_OF_CLIENTS.test(key) || outputs.has(key.slice(HEADER_KEY.length)) ? BYTES : HEADER;
}

const patternsByConstraint = new WeakMap<Constraint, readonly Pattern[]>();

function patternsOf(constraint: Constraint): readonly Pattern[] {
  const known = patternsByConstraint.get(constraint);
  if (known !== undefined) return known;
  const patterns = constraint.matchers.flatMap((match) => patternsFor(constraint.key, match));
  patternsByConstraint.set(constraint, patterns);
  return patterns;
}

function patternsFor(key: AttributeKey, match: Matcher): readonly Pattern[] {
  if (key === 'path') return pathPatterns(match as PathMatch);
  if (key === 'peer') return identityPatterns(match as IdentityMatch);
  if (key === 'sni') return bytePatterns(match as StringMatch, 'non-empty');
  if (isClaimKey(key)) return textPatterns(match as StringMatch, 'non-empty');
  if (key !== 'host') return bytePatterns(match as StringMatch, 'any');
  const host = match as StringMatch | ExactCase;
  return host.kind === 'exactCase' ? bytePatterns(host.match, 'any') : hostPatterns(host);
}

/** The value that a request has where nothing asks for another one; `''` for SNI and absent claims. */
const DEFAULT_TEXT: Readonly<Record<string, string>> = { path: '/', host: 'x', sni: '' };

function solveText(key: AttributeKey, { positive, negative }: Split, context: SolveContext): SolvedAttribute {
  // Every request has a path and a host; SNI and claims may be absent, which meets any number of negative constraints.
  if (positive.length === 0 && (negative.length === 0 || isClaimKey(key))) return { kind: 'value', value: DEFAULT_TEXT[key] };
  const problem = { domain: domainOf(key, context), positive: positive.map(patternsOf), negative: negative.map(patternsOf) };
  const found = findString(problem, context.budget);
  return found.kind === 'value' ? found : { kind: 'none', core: coreOf(positive, negative, blockedBy(found)) };
}

const SPIFFE: readonly Pattern[] = [startingWith(literal('spiffe://'))];

/** States of a search for one value where several values would do, too. */
const MAX_STATES_FOR_ONE = 2000;

/**
 * Headers, claims and identities can have several values: each positive constraint needs one, and no value may match a negative one. One
 * value for all of them is preferred.
 */
function solveValues(key: AttributeKey, { positive, negative }: Split, context: SolveContext): SolvedAttribute {
  if (positive.length === 0) return { kind: 'value', value: undefined };
  const problem = { domain: domainOf(key, context), negative: negative.map(patternsOf) };
  const wanted = positive.map(patternsOf);
  const preferred = [...(key === 'peer' ? [[...wanted, SPIFFE]] : []), ...(wanted.length > 1 ? [wanted] : [])];
  for (const lists of preferred) {
    const found = findString({ ...problem, positive: lists, maxStates: MAX_STATES_FOR_ONE }, context.budget);
    if (found.kind === 'value') return { kind: 'value', value: [found.value] };
  }
  const values: string[] = [];
  for (const [index, one] of positive.entries()) {
    const found = findString({ ...problem, positive: wanted.slice(index, index + 1) }, context.budget);
    if (found.kind !== 'value') return { kind: 'none', core: coreOf([one], negative, blockedBy(found)) };
    values.push(found.value);
  }
  return { kind: 'value', value: [...new Set(values)] };
}

/** A search without a limit ends with a value or with what blocks every value. */
function blockedBy(found: Exclude<FoundString, { readonly kind: 'value' }>): readonly number[] {
  return found.kind === 'none' ? found.blockedBy : [];
}
