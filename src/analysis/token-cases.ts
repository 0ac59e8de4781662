/*
 * The ways in which two lists of JWT rules can see the tokens of one request: each side sees no token, refuses the request, or sees the
 * claims of a token. The cases together cover every request. Where several tokens in different places are involved, they cover more
 * than that, so that a proof holds and a candidate may turn out to be impossible.
 */
import { canonicalAudience } from '../jwt/check-claims.ts';
import type { Clause, JwtProvider, Program, Rule, StringMatch } from '../policy/model/program.ts';
import { type AttributeKey, claimKey } from './attribute-key.ts';
import { type Constraint, type ConstraintTable, headerMatcher, type Matcher } from './constraint.ts';
import { canSendHeader, type QueryForm } from './domains.ts';
import {
  canForward,
  commonTokenHeaders,
  contentOf,
  findsOutputs,
  headersOf,
  isLost,
  looksOnlyIn,
  placesOf,
  placesText,
  type RefusingClaim,
  refusalsAfter,
  refusesAll,
  removablePlaces,
  type SideTokens,
  splitApart,
  type TokenHeader,
  type TokenPlace,
  viewsBehind,
  withReachablePlaces,
} from './token-effects.ts';
import { SENT, type View } from './view.ts';

/** How one side reads a request, or `refused`: it refuses the request for its token. */
export type SeenRequest = View | 'refused';

/** One way to see the tokens of a request. */
export interface TokenCase {
  readonly seen: readonly [SeenRequest, SeenRequest];
  readonly constraints: readonly Constraint[];
  /** By slot: the JWT rules of which at least one accepts the token. */
  readonly accepting: readonly (readonly JwtProvider[])[];
  /** A place where the request has something that is not a token. */
  readonly invalidAt?: TokenPlace;
  /** JWT rules of which one may have accepted, and removed, a second token. */
  readonly companions?: readonly JwtProvider[];
  /** What the filters find in the query. */
  readonly query: QueryForm;
}

/** A case without views: on each side the rules of which one accepts the token that it sees; undefined: it sees none. */
interface TokenSketch extends Pick<TokenCase, 'constraints' | 'invalidAt' | 'companions'> {
  /** A rule that accepts the token of slot 1, for which the request is refused. */
  readonly refusing?: JwtProvider;
  readonly sides: readonly [SketchedSide, SketchedSide];
}

type SketchedSide = Pick<SideTokens, 'accepting' | 'slot'> | 'refused';

/** What the cases depend on: the JWT rules of both sides, and the headers that policies read. */
export interface TokenSituation {
  readonly providers: readonly [readonly JwtProvider[], readonly JwtProvider[]];
  /** May a rule find tokens in headers that another rule sets? */
  readonly areOutputsFound: boolean;
  /** By rules of DENY and ALLOW. */
  readonly read: ReadonlySet<string>;
  /** Top-level claims that rules read. */
  readonly claims: ReadonlySet<string>;
  /** By rules of CUSTOM. */
  readonly readBeforeTokens: ReadonlySet<string>;
}

/** A rule of which no request has a token accepts and refuses nothing, unless it requires one. */
function canHaveToken(provider: JwtProvider): boolean {
  return provider.required || placesOf(provider).some(({ kind, name }) => kind !== 'header' || canSendHeader(name));
}

/** The situation of two programs. */
export function situationOf(programs: readonly [Program, Program]): TokenSituation {
  const [before, after] = programs;
  const custom = programs.flatMap(({ http }) => http.custom.flatMap(({ rules }) => rules));
  const rest = programs.flatMap(({ http }) => [...http.deny.rules, ...http.allow.rules]);
  return {
    providers: [withReachablePlaces(before.providers), withReachablePlaces(after.providers)],
    areOutputsFound: findsOutputs(before.providers) || findsOutputs(after.providers),
    read: headersRead(rest),
    readBeforeTokens: headersRead(custom),
    claims: claimsRead(rest),
  };
}

function headersRead(rules: readonly Rule[]): ReadonlySet<string> {
  return new Set(rules.flatMap(clausesOf).flatMap((clause) => (clause.attribute === 'header' ? [clause.name] : [])));
}

function claimsRead(rules: readonly Rule[]): ReadonlySet<string> {
  return new Set(
    rules.flatMap(clausesOf).flatMap((clause) => {
      if (clause.attribute === 'requestPrincipal') return ['iss', 'sub'];
      return clause.attribute === 'claim' ? clause.path.slice(0, 1) : [];
    }),
  );
}

function clausesOf({ from, to, when }: Rule): readonly Clause[] {
  return [...from.flat(), ...to.flat(), ...when];
}

/** The case of connections, and of requests without JWT rules. */
export const NO_TOKENS: TokenCase = { seen: [SENT, SENT], constraints: [], accepting: [], query: 'sent' };

/** All cases for requests under two programs. */
export function tokenCases(situation: TokenSituation, table: ConstraintTable): readonly TokenCase[] {
  const [first, second] = situation.providers;
  const [before, after] = [first.filter(canHaveToken), second.filter(canHaveToken)];
  const [one, other] = [first.map(contentOf), second.map(contentOf)];
  const isEqual = one.length === other.length && one.every((content, index) => content === other[index]);
  const sketches = isEqual ? equalCases(before, situation, table) : differentCases(before, after, situation, table);
  const isLoose = !isEqual && isLooselyOrdered(situation);
  return sketches.flatMap((sketch) => casesOf(sketch, situation, isLoose, table));
}

/** The largest number of headers that are distinguished by whether they hold a token. */
const MAX_HEADERS = 4;

/** The cases of a sketch: which headers hold its tokens, and which claims have another form for the other side. */
function casesOf(sketch: TokenSketch, situation: TokenSituation, isLoose: boolean, table: ConstraintTable): readonly TokenCase[] {
  const sides = ([0, 1] as const).map((index): SideTokens => {
    const side = sketch.sides[index];
    return { providers: situation.providers[index], ...(side === 'refused' ? NONE : side) };
  }) as unknown as readonly [SideTokens, SideTokens];
  const refused = ([0, 1] as const).map((index) => sketch.sides[index] === 'refused' || refusesAll(situation.providers[index]));
  return placings(sides, situation, table).flatMap(({ taken, constraints: placed }) => {
    const isRefused = (index: 0 | 1): boolean =>
      refused[index] === true ||
      sides[index].accepting?.some(canForward) === false ||
      (sides[index].accepting !== undefined && [...(taken ?? [])].some((name) => isLost(sides[index], name)));
    return forms(sides, situation, table).map(({ apart, constraints: formed }): TokenCase => {
      const { views, isQueryRewritten } = viewsBehind(sides, { isLoose, readBeforeTokens: situation.readBeforeTokens, taken, apart });
      const accepting = ([0, 1] as const).map((slot) => sides.flatMap((side) => (side.slot === slot ? (side.accepting ?? []) : [])));
      if (sketch.refusing !== undefined) accepting[1] = [sketch.refusing];
      return {
        seen: [isRefused(0) ? 'refused' : views[0], isRefused(1) ? 'refused' : views[1]],
        constraints: [...sketch.constraints, ...placed, ...formed],
        accepting,
        query: isQueryRewritten ? 'rewritten' : 'sent',
        ...(sketch.invalidAt === undefined ? {} : { invalidAt: sketch.invalidAt }),
        ...(sketch.companions === undefined ? {} : { companions: sketch.companions }),
      };
    });
  });
}

interface Placing {
  readonly taken: ReadonlySet<string> | undefined;
  readonly constraints: readonly Constraint[];
}

function isReadIn({ read, readBeforeTokens }: TokenSituation): (name: string) => boolean {
  return (name) => read.has(name) || readBeforeTokens.has(name);
}

/** Which headers hold the tokens of a request with one. */
function placings(sides: readonly [SideTokens, SideTokens], situation: TokenSituation, table: ConstraintTable): readonly Placing[] {
  const unknown: Placing = { taken: undefined, constraints: [] };
  const accepting = sides.flatMap((side) => side.accepting ?? []);
  const headers = accepting.length === 0 ? undefined : commonTokenHeaders(sides, isReadIn(situation));
  if (headers === undefined || headers.length > MAX_HEADERS) return [unknown];
  const [first] = accepting;
  const isElsewhere = first === undefined || !looksOnlyIn(first, headers);
  return subsetsOf(headers).flatMap((taken): readonly Placing[] => {
    if (taken.size === 0 && !isElsewhere) return [];
    const constraints = headers.flatMap((header) => (taken.has(header) ? [withToken(header, table)] : withoutToken(header, table)));
    return [{ taken: new Set([...taken].map(({ name }) => name)), constraints }];
  });
}

function subsetsOf<T>(all: readonly T[]): readonly ReadonlySet<T>[] {
  return all.reduce<readonly ReadonlySet<T>[]>(
    (subsets, one) => subsets.flatMap((subset) => [subset, new Set([...subset, one])]),
    [new Set<T>()],
  );
}

interface ClaimForm {
  readonly apart: Pick<ReadonlySet<string>, 'has'>;
  readonly constraints: readonly Constraint[];
}

/** Claims that only one side splits have the same values for both, unless there is a space in them. */
function forms(sides: readonly [SideTokens, SideTokens], { claims }: TokenSituation, table: ConstraintTable): readonly ClaimForm[] {
  const apart = new Map([...splitApart(sides)].filter(([name]) => claims.has(name)));
  return [
    { apart: new Set(), constraints: [] },
    ...[...apart].map(([name, whole]) => ({
      apart,
      constraints: [table.create(claimKey(whole, [name]), [{ kind: 'containing', value: ' ' }], true)],
    })),
  ];
}

function withToken({ key, prefixes }: TokenHeader, table: ConstraintTable): Constraint {
  return table.create(
    key,
    prefixes.map((prefix) => tokenMatcher(key, prefix)),
    true,
  );
}

function withoutToken({ key, prefixes }: TokenHeader, table: ConstraintTable): readonly Constraint[] {
  return prefixes.map((prefix) => table.create(key, [tokenMatcher(key, prefix)], false));
}

function tokenMatcher(key: AttributeKey, prefix: string): Matcher {
  return headerMatcher(key, prefix === '' ? { kind: 'present' } : { kind: 'containing', value: prefix });
}

const NONE = { accepting: undefined, slot: undefined } as const satisfies SketchedSide;

/** Requests without a token. A CORS preflight needs no token, and its token is not looked at. */
function casesWithoutToken(sides: TokenSketch['sides'], situation: TokenSituation, table: ConstraintTable): readonly TokenSketch[] {
  const headers = situation.providers.flatMap((providers, index) =>
    sides[index] === 'refused' ? [] : headersOf(providers, isReadIn(situation)),
  );
  const constraints = headers.flatMap((header) => withoutToken(header, table));
  const isRequired = sides.includes('refused');
  return [
    ...(sides.every((side) => side === 'refused') ? [] : [{ sides, constraints }]),
    ...(isRequired || constraints.length > 0 ? [preflight(table)] : []),
  ];
}

function preflight(table: ConstraintTable): TokenSketch {
  const names = ['origin', 'access-control-request-method'] as const;
  const present = names.flatMap((name) => [
    table.create(`header ${name}`, [{ kind: 'present' }], true),
    table.create(`header ${name}`, [{ kind: 'exact', value: '' }], false),
  ]);
  return { sides: [NONE, NONE], constraints: [table.create('method', [{ kind: 'exact', value: 'OPTIONS' }], true), ...present] };
}

function seenWithoutToken(providers: readonly JwtProvider[]): typeof NONE | 'refused' {
  return providers.some(({ required }) => required) ? 'refused' : NONE;
}

/** Both sides see the same token. Rules with the same audiences are one case. */
function equalCases(providers: readonly JwtProvider[], situation: TokenSituation, table: ConstraintTable): readonly TokenSketch[] {
  const none = seenWithoutToken(providers);
  const groups = Map.groupBy(providers.filter(canForward), ({ audiences }) => JSON.stringify(audiences));
  return [
    ...casesWithoutToken([none, none], situation, table),
    ...[...groups.values()].map((group): TokenSketch => {
      const side = { accepting: group, slot: 0 } as const;
      return { sides: [side, side], constraints: acceptedBy(group, 0, table) };
    }),
  ];
}

/** Constraints on a token that one of `providers` accepts; all of them have the same audiences. */
function acceptedBy(providers: readonly JwtProvider[], slot: 0 | 1, table: ConstraintTable): readonly Constraint[] {
  const issuers = [...new Set(providers.map(({ issuer }) => issuer))];
  const audiences = providers[0]?.audiences ?? [];
  return [
    ...(issuers.includes('') ? [] : [table.create(claimKey(slot, ['iss']), issuers.map(exact), true)]),
    ...(audiences.length === 0 ? [] : [table.create(claimKey(slot, ['aud']), audienceForms(audiences), true)]),
  ];
}

function exact(value: string): StringMatch {
  return { kind: 'exact', value };
}

/** Every spelling of the audiences that a JWT rule accepts. */
function audienceForms(audiences: readonly string[]): readonly StringMatch[] {
  const forms = audiences
    .map(canonicalAudience)
    .flatMap((canonical) =>
      ['', 'https://', 'http://']
        .flatMap((scheme) => [`${scheme}${canonical}`, `${scheme}${canonical}/`])
        .filter((form) => canonicalAudience(form) === canonical),
    );
  return [...new Set(forms)].map(exact);
}

/** Does the rule `wide` accept whatever `narrow` accepts, and let it pass? */
function subsumes(wide: JwtProvider, narrow: JwtProvider): boolean {
  const allowed = new Set(wide.audiences.map(canonicalAudience));
  const { byPlace } = refusalsAfter(wide, undefined);
  return (
    !byPlace &&
    (wide.issuer === '' || wide.issuer === narrow.issuer) &&
    (allowed.size === 0 || (narrow.audiences.length > 0 && narrow.audiences.every((one) => allowed.has(canonicalAudience(one))))) &&
    wide.keySet === narrow.keySet &&
    placesText(wide) === placesText(narrow)
  );
}

/** May a rule find less, or more, than what the client sent, because another one ran before? */
function isLooselyOrdered({ providers, areOutputsFound }: TokenSituation): boolean {
  return (
    areOutputsFound || providers.some((own) => seenWithoutToken(own) === 'refused') || placesOverlap(providers.flat().filter(canHaveToken))
  );
}

/** Do the rules accept every token that `one` accepts, so that the request is not refused for it? */
function acceptWhatever(one: JwtProvider, providers: readonly JwtProvider[], areOutputsFound: boolean): boolean {
  if (areOutputsFound || seenWithoutToken(providers) === 'refused') return false;
  return providers.some((wide, at) => subsumes(wide, one) && !providers.slice(0, at).some((earlier) => mayTakeTokens(earlier, wide)));
}

/** Does the rule at `at` run in a request with a token that `accepted` accepts? Not if a rule before it has accepted that token. */
function ruleOrder({ areOutputsFound }: TokenSituation): (all: readonly JwtProvider[], at: number, accepted: JwtProvider) => boolean {
  return (all, at, accepted) => seenWithoutToken(all) === 'refused' || !acceptWhatever(accepted, all.slice(0, at), areOutputsFound);
}

/**
 * Can one side not accept a token by `first` when the other accepts one by `second`, which looks in the same places? If on one side no rule
 * can have removed a token from there, all tokens there are of the issuer of its rule.
 */
function cannotBoth(first: JwtProvider, second: JwtProvider, { providers, areOutputsFound }: TokenSituation): boolean {
  if (areOutputsFound || first.issuer === '' || second.issuer === '' || first.issuer === second.issuer) return false;
  return companionsOf(first, providers[0]).length === 0 || companionsOf(second, providers[1]).length === 0;
}

/**
 * The other rules that may have removed tokens from the places of `rule` before it accepts what is left, in the first or in the second run
 * of all rules; also every other one where a token is required.
 */
function companionsOf(rule: JwtProvider, providers: readonly JwtProvider[]): readonly JwtProvider[] {
  const places = new Set(placesOf(rule).map(({ kind, name }) => `${kind} ${name}`));
  const isRequired = seenWithoutToken(providers) === 'refused';
  return providers.filter(
    (other) =>
      other !== rule &&
      (isRequired || (!areComparable(other, rule) && removablePlaces(other).some(({ kind, name }) => places.has(`${kind} ${name}`)))),
  );
}

/**
 * Does one of two rules in the same places accept whatever the other accepts? Then none refuses a token that the other one leaves: all tokens are
 * valid for the wider one, which accepts them together.
 */
function areComparable(one: JwtProvider, other: JwtProvider): boolean {
  return subsumes(one, other) || subsumes(other, one);
}

/**
 * Does the second list have one rule more, at its end, than the first, where all look in the same places and remove what they accept? What the
 * first accepts, the second accepts, too: by the same rule, or by the last one.
 */
function isExtended(own: readonly JwtProvider[], others: readonly JwtProvider[]): boolean {
  const [first] = own;
  const isUniform = [...own, ...others].every(
    (provider) => first !== undefined && placesText(provider) === placesText(first) && !provider.forward && !provider.required,
  );
  return isUniform && others.length <= own.length + 1 && own.every((provider, at) => isSameRule(provider, others[at]));
}

function isSameRule(one: JwtProvider, other: JwtProvider | undefined): boolean {
  return other !== undefined && contentOf(one) === contentOf(other);
}

/** May `earlier` remove all tokens that `rule` would find, and refuse another one? */
function mayTakeTokens(earlier: JwtProvider, rule: JwtProvider): boolean {
  if (placesText(earlier) === placesText(rule)) return false;
  const places = new Set(placesOf(rule).map(({ kind, name }) => `${kind} ${name}`));
  return removablePlaces(earlier).some(({ kind, name }) => places.has(`${kind} ${name}`));
}

function differentCases(
  before: readonly JwtProvider[],
  after: readonly JwtProvider[],
  situation: TokenSituation,
  table: ConstraintTable,
): readonly TokenSketch[] {
  const sides = [before, after] as const;
  const runs = ruleOrder(situation);
  // Looked at last, because a witness with one token is simpler.
  const withTwoTokens: TokenSketch[] = [];
  const cases: TokenSketch[] = [...casesWithoutToken([seenWithoutToken(before), seenWithoutToken(after)], situation, table)];
  for (const [at, one] of before.entries()) {
    for (const [index, other] of after.entries()) {
      const areFirst = [one, other].every((accepted) => runs(before, at, accepted) && runs(after, index, accepted));
      if (areFirst) cases.push(...sameTokenCases(one, other, table));
    }
  }
  for (const side of [0, 1] as const) {
    const [own, others] = [sides[side], sides[1 - side] as readonly JwtProvider[]];
    const known = new Set(others.flatMap(placesOf).map((place) => JSON.stringify(place)));
    for (const one of own) {
      const mine = { accepting: [one], slot: 0 } as const;
      const constraints = acceptedBy([one], 0, table);
      if (!placesOf(one).every((place) => known.has(JSON.stringify(place)))) cases.push({ sides: inOrder(side, mine, NONE), constraints });
      const companions = companionsOf(one, own);
      const isAcceptedAlone = acceptWhatever(one, others, situation.areOutputsFound);
      if (others.length === 0 || isExtended(own, others) || (isAcceptedAlone && companions.length === 0)) continue;
      // The other side refuses this token, or something else in a place where only that side looks.
      const elsewhere = others
        .flatMap(placesOf)
        .find((place) => !placesOf(one).some((own) => JSON.stringify(own) === JSON.stringify(place)));
      (isAcceptedAlone ? withTwoTokens : cases).push({
        sides: inOrder(side, mine, 'refused'),
        constraints,
        ...(elsewhere === undefined ? {} : { invalidAt: elsewhere }),
        companions,
      });
    }
    const unknown = own.flatMap(placesOf).find((place) => !known.has(JSON.stringify(place)));
    if (unknown !== undefined) cases.push({ sides: inOrder(side, 'refused', NONE), constraints: [], invalidAt: unknown });
  }
  return [...cases, ...twoTokenCases(before, after, situation, table), ...withTwoTokens];
}

function inOrder(side: 0 | 1, mine: SketchedSide, theirs: SketchedSide): TokenSketch['sides'] {
  return side === 0 ? [mine, theirs] : [theirs, mine];
}

/** Both sides accept the same token; each may refuse the request all the same, for what accepting it does to the request. */
function sameTokenCases(one: JwtProvider, other: JwtProvider, table: ConstraintTable): readonly TokenSketch[] {
  const constraints = [...acceptedBy([one], 0, table), ...acceptedBy([other], 0, table)];
  const sides = [{ accepting: [one], slot: 0 } as const, { accepting: [other], slot: 0 } as const] as const;
  const refusals = ([0, 1] as const).flatMap((index): readonly TokenSketch[] => {
    const [own, others] = index === 0 ? [one, other] : [other, one];
    if (contentOf(own) === contentOf(others)) return [];
    const { byPlace, claims } = refusalsAfter(own, others);
    const refused = inOrder(index, 'refused', sides[1 - index] as SketchedSide);
    return [
      ...(byPlace ? [{ sides: refused, constraints }] : []),
      ...claims.map((claim): TokenSketch => ({ sides: refused, constraints: [...constraints, refusingClaim(claim, 0, table)] })),
    ];
  });
  return [{ sides, constraints }, ...refusals];
}

/**
 * Do two rules share some places and not all? A rule removes tokens that it accepts, so that one which looks in a part of its places may
 * then find less.
 */
function placesOverlap(providers: readonly JwtProvider[]): boolean {
  const groups = new Map(providers.map((provider) => [placesText(provider), placesOf(provider)]));
  // A header counts once, whatever prefixes are looked for in it.
  const places = [...groups.values()].flatMap((all) => [...new Set(all.map(({ kind, name }) => `${kind} ${name}`))]);
  return new Set(places).size !== places.length;
}

/**
 * Each side sees another token of the same request. Unless a token is required or places overlap, rules that look in the same places take their claims from
 * the same token, the first one there; and the first rule that accepts wins, so that a side which has both rules in the order of the
 * other one sees the same token.
 */
function twoTokenCases(
  before: readonly JwtProvider[],
  after: readonly JwtProvider[],
  situation: TokenSituation,
  table: ConstraintTable,
): readonly TokenSketch[] {
  const isLoose = isLooselyOrdered(situation);
  const runs = ruleOrder(situation);
  return before.flatMap((first, at) =>
    after.flatMap((second, index): readonly TokenSketch[] => {
      if (contentOf(first) === contentOf(second)) return [];
      const isSamePlace = placesText(first) === placesText(second);
      if (isSamePlace && (!isLoose || cannotBoth(first, second, situation))) return [];
      if (!runs(after, index, first) || !runs(before, at, second)) return [];
      const constraints = [...acceptedBy([first], 0, table), ...acceptedBy([second], 1, table)];
      return [
        {
          sides: [
            { accepting: [first], slot: 0 },
            { accepting: [second], slot: 1 },
          ],
          constraints,
        },
        ...refusedForOther(first, second, 0, table),
        ...refusedForOther(second, first, 1, table),
      ];
    }),
  );
}

/** The side `index` accepts a token by `own` and refuses the request for what that does to it; the other side accepts another token. */
function refusedForOther(own: JwtProvider, other: JwtProvider, index: 0 | 1, table: ConstraintTable): readonly TokenSketch[] {
  const { byPlace, claims } = refusalsAfter(own, undefined);
  const sides = inOrder(index, 'refused', { accepting: [other], slot: 0 });
  const constraints = [...acceptedBy([other], 0, table), ...acceptedBy([own], 1, table)];
  return [
    ...(byPlace ? [{ sides, constraints, refusing: own }] : []),
    ...claims.map((claim): TokenSketch => ({ sides, constraints: [...constraints, refusingClaim(claim, 1, table)], refusing: own })),
  ];
}

function refusingClaim({ path, value }: RefusingClaim, slot: 0 | 1, table: ConstraintTable): Constraint {
  return table.create(claimKey(slot, path), [value === 'any' ? { kind: 'present' } : { kind: 'unsendable' }], true);
}
