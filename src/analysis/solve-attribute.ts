/*
 * Decides the constraints on one attribute of a request: is there a value, or a set of values, that meets them all?
 */
import type { PathNormalization } from '../api/mesh-config.ts';
import { METHODS } from '../http/methods.ts';
import type { IdentityMatch, PathMatch, StringMatch } from '../policy/model/program.ts';
import { type AttributeKey, changedHeaderOf, claimOfKey, isClaimKey, sentHeaderOf } from './attribute-key.ts';
import type { Budget } from './budget.ts';
import type { Constraint, Containing, Matcher, Repeated, Unsendable } from './constraint.ts';
import { canSendHeader, HEADER, HOST, METHOD, pathDomain, type QueryForm, SCHEME, SNI, TEXT, targetDomain } from './domains.ts';
import { findAddress } from './find-address.ts';
import { type FoundString, findString, type StringDomain } from './find-string.ts';
import {
  bytePatterns,
  hostPatterns,
  identityPatterns,
  literal,
  onTarget,
  type Pattern,
  pathPatterns,
  startingWith,
  textPatterns,
  unsendablePatterns,
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
  /** May a JWT rule have set any header, even one that a client cannot send? Where it is known which ones, they are other attributes. */
  readonly tokensSetHeaders: boolean;
  /** What the filters find in the query of a target. */
  readonly query: QueryForm;
  readonly budget: Budget;
}

/** Addresses for documentation (RFC 5737, RFC 3849), which policies rarely name. */
const ADDRESSES: readonly string[] = ['192.0.2.1', '192.0.2.77', '2001:db8::77'];
const PORTS: readonly number[] = [80, 8080];
const MAX_PORT = 65_535;
/** Methods that HTTP/1.1 knows, preferred ones first. */
const KNOWN_METHODS: readonly string[] = ['GET', 'POST', ...METHODS].filter((method) => method !== 'CONNECT');

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
      return solveMethod(split(constraints), context);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return solveAddress(split(constraints), context);
    case 'port':
      return solvePort(split(constraints));
    case 'path':
    case 'host':
    case 'scheme':
    case 'sni':
      return solveText(key, split(constraints), context);
    default:
      return isSingleClaim(key) || isWhole(key, constraints)
        ? solveText(key, split(constraints), context)
        : solveValues(key, split(constraints), context);
  }
}

/** Issuer and subject are strings in every verified token. */
function isSingleClaim(key: AttributeKey): boolean {
  if (!isClaimKey(key)) return false;
  const { path } = claimOfKey(key);
  return path.length === 1 && (path[0] === 'iss' || path[0] === 'sub');
}

/** A claim with a space, which only one side splits there, is one string. */
function isWhole(key: AttributeKey, constraints: readonly Constraint[]): boolean {
  return isClaimKey(key) && constraints.some(({ holds, matchers }) => holds && matchers.some(isContaining));
}

function isContaining(match: Matcher): boolean {
  return typeof match === 'object' && match.kind === 'containing';
}

function solveMethod({ positive, negative }: Split, context: SolveContext): SolvedAttribute {
  const test = ({ matchers }: Constraint, method: string): boolean =>
    matchers.some((match) => matchesText(match as StringMatch | Containing, method));
  const value = KNOWN_METHODS.find((method) => positive.every((one) => test(one, method)) && !negative.some((one) => test(one, method)));
  return value === undefined ? solveText('method', { positive, negative }, context) : { kind: 'value', value };
}

function matchesText(match: StringMatch | Containing, text: string): boolean {
  switch (match.kind) {
    case 'present':
      return true;
    case 'exact':
      return text === match.value;
    case 'prefix':
      return text.startsWith(match.value);
    case 'suffix':
      return text.endsWith(match.value);
    case 'containing':
      return text.includes(match.value);
  }
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

function domainOf(key: AttributeKey, { pathNormalization }: SolveContext): StringDomain {
  if (changedHeaderOf(key) === ':path') return targetDomain(pathNormalization, 'rewritten');
  switch (key) {
    case 'path':
      return pathDomain(pathNormalization);
    case 'method':
      return METHOD;
    case 'host':
      return HOST;
    case 'scheme':
      return SCHEME;
    case 'sni':
      return SNI;
    default:
      return key === 'peer' || isClaimKey(key) ? TEXT : HEADER;
  }
}

const patternsByConstraint = new WeakMap<Constraint, readonly Pattern[]>();
const targetPatternsByConstraint = new WeakMap<Constraint, readonly Pattern[]>();

function patternsOf(constraint: Constraint): readonly Pattern[] {
  return patternsFrom(patternsByConstraint, constraint, patternsFor);
}

/** Patterns of a constraint on `path` over paths with query. */
function targetPatternsOf(constraint: Constraint): readonly Pattern[] {
  return patternsFrom(targetPatternsByConstraint, constraint, (_key, match) =>
    isRepeated(match) ? bytePatterns(match.match, 'any') : onTarget(pathPatterns(match as PathMatch)),
  );
}

function patternsFrom(
  cache: WeakMap<Constraint, readonly Pattern[]>,
  constraint: Constraint,
  create: (key: AttributeKey, match: Matcher) => readonly Pattern[],
): readonly Pattern[] {
  const known = cache.get(constraint);
  if (known !== undefined) return known;
  const patterns = constraint.matchers.flatMap((match) => create(constraint.key, match));
  cache.set(constraint, patterns);
  return patterns;
}

function isRepeated(match: Matcher): match is Repeated {
  return typeof match === 'object' && match.kind === 'repeated';
}

function patternsFor(key: AttributeKey, match: Matcher): readonly Pattern[] {
  if (isRepeated(match)) return bytePatterns(match.match, 'any');
  if (key === 'path') return pathPatterns(match as PathMatch);
  if (key === 'peer') return identityPatterns(match as IdentityMatch);
  if (key === 'host') return hostPatterns(match as StringMatch);
  if (!isClaimKey(key)) return bytePatterns(match as StringMatch | Containing, key === 'sni' ? 'non-empty' : 'any');
  const claim = match as StringMatch | Containing | Unsendable;
  return claim.kind === 'unsendable' ? unsendablePatterns() : textPatterns(claim, 'non-empty');
}

/** The value that a request has where nothing asks for another one; `''` for SNI and absent claims. */
const DEFAULT_TEXT: Readonly<Record<string, string>> = { path: '/', host: 'x', sni: '' };

function solveText(key: AttributeKey, { positive, negative }: Split, context: SolveContext): SolvedAttribute {
  // Every request has a path and a host; SNI and claims may be absent, which meets any number of negative constraints.
  if (positive.length === 0 && (negative.length === 0 || isClaimKey(key))) return { kind: 'value', value: DEFAULT_TEXT[key] };
  // Most rules are about the path alone, whose automata are smaller.
  const isTarget = key === 'path' && [...positive, ...negative].some(({ matchers }) => matchers.some(isRepeated));
  const domain = isTarget ? targetDomain(context.pathNormalization, context.query) : domainOf(key, context);
  const read = isTarget ? targetPatternsOf : patternsOf;
  const found = findString({ domain, positive: positive.map(read), negative: negative.map(read) }, context.budget);
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
  const [first] = positive;
  if (first === undefined) return { kind: 'value', value: undefined };
  if (!canHaveValues(key, context)) return { kind: 'none', core: [first] };
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

function canHaveValues(key: AttributeKey, { tokensSetHeaders }: SolveContext): boolean {
  const name = sentHeaderOf(key);
  return name === undefined || tokensSetHeaders || canSendHeader(name);
}

/** A search without a limit ends with a value or with what blocks every value. */
function blockedBy(found: Exclude<FoundString, { readonly kind: 'value' }>): readonly number[] {
  return found.kind === 'none' ? found.blockedBy : [];
}
