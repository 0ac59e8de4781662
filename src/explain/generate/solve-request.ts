/*
 * Finds a request that meets constraints. The parts of a request are independent of each other, so each gets a separate value.
 */
import type { JwtProvider } from '../../policy/model/program.ts';
import { matchersOf, type PartKey, type PartValue, partOf, uniqueValues, valuesOf } from './clause-values.ts';
import { type Constraint, type Draft, factsOfDraft, meets, requestOfDraft } from './draft.ts';
import { FILLER, type GeneratedRequest } from './generated-request.ts';
import { pickPassing, type Random } from './random.ts';
import { isTokenPart, type Pin, solveTokens, type TokenPlan } from './solve-tokens.ts';

/** What a request has to meet. */
export interface Goal {
  readonly constraints: readonly Constraint[];
  /** A part with a given value. */
  readonly pin?: Pin | undefined;
  readonly token?: TokenPlan | undefined;
  /** Values of parts without a constraint; absent parts have their defaults. */
  readonly extra?: Draft | undefined;
}

/** What requests are made for. */
export interface SolveContext {
  readonly providers: readonly JwtProvider[];
  readonly random: Random;
}

const MAX_COMBINED = 200;

/** A request that meets the goal, with its parts; undefined: none was found. */
export function solveRequest(
  goal: Goal,
  { providers, random }: SolveContext,
): { readonly request: GeneratedRequest; readonly draft: Draft } | undefined {
  const byPart = groupByPart(goal.constraints);
  if (byPart === undefined) return undefined;
  const draft = new Map(goal.extra);
  const keys = new Set([...byPart.keys(), ...(goal.pin === undefined ? [] : [goal.pin.key])]);
  for (const key of keys) {
    if (isTokenPart(key)) continue;
    const found = partValue(key, byPart.get(key) ?? [], goal.pin, random);
    if (found === undefined) return undefined;
    if (found.value === undefined) draft.delete(key);
    else draft.set(key, found.value);
  }
  const constraints = [...byPart].flatMap(([key, own]) => (isTokenPart(key) ? own : []));
  const pin = goal.pin !== undefined && isTokenPart(goal.pin.key) ? goal.pin : undefined;
  const tokens = solveTokens({ constraints, pin, plan: goal.token }, providers, random);
  return tokens === undefined ? undefined : { request: requestOfDraft(draft, tokens), draft };
}

/** @returns undefined when a constraint cannot be met, because no request carries what its clause looks at */
function groupByPart(constraints: readonly Constraint[]): ReadonlyMap<PartKey, readonly Constraint[]> | undefined {
  const byPart = new Map<PartKey, Constraint[]>();
  for (const constraint of constraints) {
    const key = partOf(constraint.clause);
    if (key === undefined) {
      if (constraint.holds === (constraint.clause.anyOf !== undefined)) return undefined;
      continue;
    }
    const own = byPart.get(key);
    if (own === undefined) byPart.set(key, [constraint]);
    else own.push(constraint);
  }
  return byPart;
}

function partValue(
  key: PartKey,
  own: readonly Constraint[],
  pin: Pin | undefined,
  random: Random,
): { readonly value: PartValue } | undefined {
  const passes = (value: PartValue): boolean => {
    const facts = factsOfDraft(new Map([[key, value]]));
    return own.every((constraint) => meets(constraint, facts, undefined));
  };
  if (pin?.key === key) return passes(pin.value) ? { value: pin.value } : undefined;
  const values = own.length === 1 ? valuesOf((own[0] as Constraint).clause) : uniqueValues(own.flatMap(({ clause }) => valuesOf(clause)));
  return pickPassing([...values, undefined], passes, random) ?? pickPassing(combinedTexts(own), passes, random);
}

/** Values that meet two matchers together: a prefix with a suffix, and templates with the segments of other matchers. */
function combinedTexts(own: readonly Constraint[]): readonly PartValue[] {
  const matchers = own.flatMap(({ clause }) =>
    clause.attribute === 'path' || clause.attribute === 'host' || clause.attribute === 'header' ? matchersOf<PathKind>(clause) : [],
  );
  const texts = matchers.flatMap((match) => (match.kind === 'present' ? [] : [match.value]));
  const joined = texts.flatMap((one) =>
    texts.flatMap((other) => [`${one}${other}`, `${one}${FILLER}${other}`, `${one}${other.replace(/^\//, '')}`]),
  );
  const segments = [...new Set([...texts.flatMap((text) => text.split('/')), FILLER])].filter(
    (segment) => segment !== '' && !segment.includes('{'),
  );
  const templates = texts.filter((text) => text.includes('{'));
  const filled = templates.flatMap((template) =>
    segments.flatMap((segment) =>
      [FILLER, segment].map((rest) => template.replaceAll('{**}', rest).replace('{*}', segment).replaceAll('{*}', FILLER)),
    ),
  );
  return uniqueValues([...joined, ...filled].slice(0, MAX_COMBINED));
}

type PathKind = { readonly kind: 'present' } | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'template'; readonly value: string };
