/*
 * Finds tokens that the JWT rules accept and whose claims meet constraints.
 */
import type { JwtProvider } from '../../policy/model/program.ts';
import { type PartKey, type PartValue, partOf, uniqueValues, valuesOf } from './clause-values.ts';
import { type Constraint, factsOfDraft, meets } from './draft.ts';
import { FILLER, type GeneratedClaims, type GeneratedToken, type TokenPlace, withClaim } from './generated-request.ts';
import { pickPassing, type Random } from './random.ts';

/** The value of a part that is given. */
export interface Pin {
  readonly key: PartKey;
  readonly value: PartValue;
}

/** Which token the request has to carry. */
export type TokenPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly provider: JwtProvider; readonly audience?: string; readonly place?: TokenPlace };

/** What the tokens have to meet. */
export interface TokenGoal {
  /** On claims and principals only. */
  readonly constraints: readonly Constraint[];
  readonly pin?: Pin | undefined;
  /** Absent: any token, or none where none is needed. */
  readonly plan?: TokenPlan | undefined;
}

const NO_FACTS = factsOfDraft(new Map());
const MAX_JOINED = 4;

/** Whether the part is in a token. */
export function isTokenPart(key: PartKey): boolean {
  return key === 'principal' || key.startsWith('claim ');
}

/** The places where the provider looks for a token. */
export function placesOf({ headers, params, cookies }: JwtProvider): readonly TokenPlace[] {
  return [
    ...headers.map(({ name, prefix }): TokenPlace => ({ kind: 'header', name, prefix })),
    ...params.map((name): TokenPlace => ({ kind: 'parameter', name })),
    ...cookies.map((name): TokenPlace => ({ kind: 'cookie', name })),
  ];
}

/**
 * The tokens of a request, the identity last; `[]`: no token. Every provider that requires its token gets one.
 * @returns undefined when no token that `providers` accept meets the goal
 */
export function solveTokens(goal: TokenGoal, providers: readonly JwtProvider[], random: Random): readonly GeneratedToken[] | undefined {
  const lastRequired = providers.findLastIndex(({ required }) => required);
  const isPossible = (claims: GeneratedClaims | undefined): boolean => goal.constraints.every((one) => meets(one, NO_FACTS, claims));
  if (goal.plan?.kind === 'none') return isPossible(undefined) ? [] : undefined;
  const isOptional = lastRequired === -1 && goal.plan === undefined && goal.pin?.value === undefined;
  if (isOptional && isPossible(undefined) && (goal.constraints.length === 0 || random(2) === 0)) return [];
  // With required tokens, the identity is that of the last token that a provider finds.
  const eligible = goal.plan === undefined ? providers.slice(Math.max(0, lastRequired)) : [goal.plan.provider];
  const found = pickPassing(eligible, (provider) => claimsFor(provider, goal, random) !== undefined, random);
  if (found === undefined) return isOptional && isPossible(undefined) ? [] : undefined;
  const { value: provider } = found;
  const claims = claimsFor(provider, goal, random);
  const place = goal.plan?.place ?? placesOf(provider)[0];
  if (claims === undefined || place === undefined) return undefined;
  const others = providers.filter((one) => one.required && one !== provider).flatMap(plainToken);
  return [...others, { claims, place }];
}

function plainToken({ issuer, audiences, ...provider }: JwtProvider): readonly GeneratedToken[] {
  const [place] = placesOf({ issuer, audiences, ...provider });
  const [audience] = audiences;
  const claims = { iss: issuer === '' ? FILLER : issuer, sub: FILLER, ...(audience === undefined ? {} : { aud: audience }) };
  return place === undefined ? [] : [{ claims, place }];
}

function claimsFor(provider: JwtProvider, goal: TokenGoal, random: Random): GeneratedClaims | undefined {
  let claims = identityFor(provider, goal, random);
  if (claims === undefined) return undefined;
  const keys = new Set([...goal.constraints.map(({ clause }) => partOf(clause)), goal.pin?.key, AUDIENCE]);
  for (const key of keys) {
    if (key === undefined || !key.startsWith('claim ') || key === ISSUER || key === SUBJECT) continue;
    const found = claimValue(key, provider, goal, random);
    if (found === undefined) return undefined;
    if (found.value !== undefined) claims = withClaim(claims, JSON.parse(key.slice('claim '.length)) as readonly string[], found.value);
  }
  return goal.constraints.every((constraint) => meets(constraint, NO_FACTS, claims)) ? claims : undefined;
}

const ISSUER: PartKey = 'claim ["iss"]';
const SUBJECT: PartKey = 'claim ["sub"]';
const AUDIENCE: PartKey = 'claim ["aud"]';

/** Claims with issuer and subject that meet the constraints on them; undefined: no such claims. */
function identityFor({ issuer }: JwtProvider, { constraints, pin }: TokenGoal, random: Random): GeneratedClaims | undefined {
  const own = constraints.filter(({ clause }) => ['principal', ISSUER, SUBJECT].includes(partOf(clause) ?? ''));
  const valuesAt = (key: PartKey): readonly PartValue[] =>
    pin?.key === key ? [pin.value] : own.flatMap(({ clause }) => (partOf(clause) === key ? valuesOf(clause) : []));
  const principals = valuesAt('principal').filter((value) => Array.isArray(value)) as readonly (readonly string[])[];
  const issuers = uniqueValues([...principals.map(([iss]) => iss), ...valuesAt(ISSUER), FILLER]);
  const subjects = uniqueValues([...principals.map(([, sub]) => sub), ...valuesAt(SUBJECT), FILLER, undefined]);
  const pairs = issuers.flatMap((iss) =>
    subjects.map((sub): GeneratedClaims => ({ ...(iss !== undefined && { iss }), ...(sub !== undefined && { sub }) })),
  );
  // A token of another issuer is refused, so it says nothing about rules.
  const accepted = issuer === '' ? pairs : pairs.map((claims) => ({ ...claims, iss: issuer }));
  const isPinned = (claims: GeneratedClaims): boolean => {
    if (pin?.key === 'principal') return isPrincipal(claims, pin.value);
    return pin?.key === ISSUER ? claims['iss'] === pin.value : pin?.key !== SUBJECT || claims['sub'] === pin.value;
  };
  const passes = (claims: GeneratedClaims): boolean => isPinned(claims) && own.every((constraint) => meets(constraint, NO_FACTS, claims));
  return pickPassing(accepted, passes, random)?.value;
}

/** Whether the claims are the principal `value`; undefined: whether they are no principal, because the subject is absent. */
function isPrincipal({ iss, sub }: GeneratedClaims, value: PartValue): boolean {
  return Array.isArray(value) ? iss === value[0] && sub === value[1] : sub === undefined;
}

/** A value for one claim; the audience also has to be one that the provider accepts. */
function claimValue(key: PartKey, provider: JwtProvider, goal: TokenGoal, random: Random): { readonly value: PartValue } | undefined {
  const own = goal.constraints.filter(({ clause }) => partOf(clause) === key);
  const path = JSON.parse(key.slice('claim '.length)) as readonly string[];
  const isPinned = goal.pin?.key === key;
  const values = isPinned ? [goal.pin?.value] : uniqueValues([...own.flatMap(({ clause }) => valuesOf(clause)), undefined]);
  const passes = (value: PartValue): boolean => {
    const claims = value === undefined ? {} : withClaim({}, path, value);
    return own.every((constraint) => meets(constraint, NO_FACTS, claims));
  };
  if (key === AUDIENCE && provider.audiences.length > 0) return pickPassing(audienceValues(provider, goal, values), passes, random);
  const found = pickPassing(values, passes, random);
  if (found === undefined) return isPinned ? undefined : pickPassing([joinedValue(own, path, random)], passes, random);
  // An array with the value is another form of the same claim.
  const array: PartValue = typeof found.value === 'string' ? [found.value, FILLER] : undefined;
  return array !== undefined && !isPinned && random(4) === 0 && passes(array) ? { value: array } : found;
}

function audienceValues({ audiences }: JwtProvider, { plan }: TokenGoal, values: readonly PartValue[]): readonly PartValue[] {
  const accepted = plan?.kind === 'token' && plan.audience !== undefined ? [plan.audience] : audiences;
  return uniqueValues([
    ...accepted,
    ...accepted.flatMap((audience) => values.flatMap((value) => (typeof value === 'string' ? [[audience, value]] : []))),
  ]);
}

/** An array with one value for each of several clauses on the same claim. */
function joinedValue(own: readonly Constraint[], path: readonly string[], random: Random): PartValue {
  const items = own
    .filter(({ holds }) => holds)
    .slice(0, MAX_JOINED)
    .flatMap((constraint) => {
      const found = pickPassing(
        valuesOf(constraint.clause),
        (value) => value !== undefined && meets(constraint, NO_FACTS, withClaim({}, path, value)),
        random,
      );
      return typeof found?.value === 'string' ? [found.value] : [];
    });
  return items;
}
