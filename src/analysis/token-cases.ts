/*
 * The ways in which two lists of JWT rules can see the tokens of one request: each side sees no token, refuses the request, or sees the
 * claims of a token. The cases together cover every request. Where several tokens in different places are involved, they cover more
 * than that, so that a proof holds and a candidate may turn out to be impossible.
 */
import { canonicalAudience } from '../jwt/check-claims.ts';
import type { JwtProvider, StringMatch } from '../policy/model/program.ts';
import { type Constraint, type ConstraintTable, claimKey, type TokenSlot } from './constraint.ts';

/** What one side sees: the claims of a token, no token, or a reason to refuse the request. */
export type SeenToken = TokenSlot | 'refused';

/** One way to see the tokens of a request. */
export interface TokenCase {
  readonly seen: readonly [SeenToken, SeenToken];
  readonly constraints: readonly Constraint[];
  /** By slot: the JWT rules of which at least one accepts the token. */
  readonly accepting: readonly (readonly JwtProvider[])[];
  /** A place where the request has something that is not a token. */
  readonly invalidAt?: TokenPlace;
}

/** Where a token is in a request. `prefix` precedes it in the header. */
export type TokenPlace =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'parameter' | 'cookie'; readonly name: string };

/** The places where the rule looks for a token, in its order. */
export function placesOf({ headers, params, cookies }: JwtProvider): readonly TokenPlace[] {
  return [
    ...headers.map(({ name, prefix }): TokenPlace => ({ kind: 'header', name, prefix })),
    ...params.map((name): TokenPlace => ({ kind: 'parameter', name })),
    ...cookies.map((name): TokenPlace => ({ kind: 'cookie', name })),
  ];
}

/** What a rule decides, without its name and source. */
function contentOf({ name: _name, source: _source, ...content }: JwtProvider): string {
  return JSON.stringify(content);
}

/** All cases for requests under `before` and `after`. */
export function tokenCases(before: readonly JwtProvider[], after: readonly JwtProvider[], table: ConstraintTable): readonly TokenCase[] {
  const [one, other] = [before.map(contentOf), after.map(contentOf)];
  const isEqual = one.length === other.length && one.every((content, index) => content === other[index]);
  return isEqual ? equalCases(before, table) : differentCases(before, after, table);
}

const NO_TOKEN = { seen: [undefined, undefined], constraints: [], accepting: [] } as const satisfies TokenCase;

/** A CORS preflight needs no token, and its token is not looked at. */
function preflight(table: ConstraintTable): TokenCase {
  const names = ['origin', 'access-control-request-method'] as const;
  const present = names.flatMap((name) => [
    table.create(`header ${name}`, [{ kind: 'present' }], true),
    table.create(`header ${name}`, [{ kind: 'exact', value: '' }], false),
  ]);
  return { ...NO_TOKEN, constraints: [table.create('method', [{ kind: 'exact', value: 'OPTIONS' }], true), ...present] };
}

function withoutToken(providers: readonly JwtProvider[]): undefined | 'refused' {
  return providers.some(({ required }) => required) ? 'refused' : undefined;
}

/** Both sides see the same token. Rules with the same audiences are one case. */
function equalCases(providers: readonly JwtProvider[], table: ConstraintTable): readonly TokenCase[] {
  const groups = Map.groupBy(providers, ({ audiences }) => JSON.stringify(audiences));
  return [
    withoutToken(providers) === 'refused' ? preflight(table) : NO_TOKEN,
    ...[...groups.values()].map((group): TokenCase => ({ seen: [0, 0], constraints: acceptedBy(group, 0, table), accepting: [group] })),
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

/** Does the rule `wide` accept whatever `narrow` accepts? */
function subsumes(wide: JwtProvider, narrow: JwtProvider): boolean {
  const allowed = new Set(wide.audiences.map(canonicalAudience));
  return (
    (wide.issuer === '' || wide.issuer === narrow.issuer) &&
    (allowed.size === 0 || (narrow.audiences.length > 0 && narrow.audiences.every((one) => allowed.has(canonicalAudience(one))))) &&
    wide.keySet === narrow.keySet &&
    JSON.stringify(placesOf(wide)) === JSON.stringify(placesOf(narrow))
  );
}

function differentCases(before: readonly JwtProvider[], after: readonly JwtProvider[], table: ConstraintTable): readonly TokenCase[] {
  const sides = [before, after] as const;
  const isRequired = withoutToken(before) === 'refused' || withoutToken(after) === 'refused';
  const isLoose = isRequired || placesOverlap([...before, ...after]);
  const cases: TokenCase[] = [
    { ...NO_TOKEN, seen: [withoutToken(before), withoutToken(after)] },
    ...(isRequired ? [preflight(table)] : []),
  ];
  for (const one of before) {
    for (const other of after) {
      const constraints = [...acceptedBy([one], 0, table), ...acceptedBy([other], 0, table)];
      cases.push({ seen: [0, 0], constraints, accepting: [[one, other]] });
    }
  }
  for (const side of [0, 1] as const) {
    const [own, others] = [sides[side], sides[1 - side] as readonly JwtProvider[]];
    const seenBy = (mine: SeenToken, theirs: SeenToken): readonly [SeenToken, SeenToken] => (side === 0 ? [mine, theirs] : [theirs, mine]);
    const known = new Set(others.flatMap(placesOf).map((place) => JSON.stringify(place)));
    for (const one of own) {
      const token = { constraints: acceptedBy([one], 0, table), accepting: [[one]] };
      if (!placesOf(one).every((place) => known.has(JSON.stringify(place)))) cases.push({ seen: seenBy(0, undefined), ...token });
      const isAccepted = !isLoose && others.some((other) => subsumes(other, one));
      if (others.length === 0 || isAccepted) continue;
      // The other side refuses this token, or something else in a place where only that side looks.
      const elsewhere = others
        .flatMap(placesOf)
        .find((place) => !placesOf(one).some((own) => JSON.stringify(own) === JSON.stringify(place)));
      cases.push({ seen: seenBy(0, 'refused'), ...token, ...(elsewhere === undefined ? {} : { invalidAt: elsewhere }) });
    }
    const unknown = own.flatMap(placesOf).find((place) => !known.has(JSON.stringify(place)));
    if (unknown !== undefined) cases.push({ ...NO_TOKEN, seen: seenBy('refused', undefined), invalidAt: unknown });
  }
  return [...cases, ...twoTokenCases(before, after, isLoose, table)];
}

/**
 * Do two rules share some places and not all? A rule removes tokens that it accepts, so that one which looks in a part of its places may
 * then find less.
 */
function placesOverlap(providers: readonly JwtProvider[]): boolean {
  const groups = new Map(providers.map((provider) => [JSON.stringify(placesOf(provider)), placesOf(provider)]));
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
  isLoose: boolean,
  table: ConstraintTable,
): readonly TokenCase[] {
  const isPreferred = (rule: JwtProvider, others: readonly JwtProvider[], end: number): boolean =>
    others.slice(0, end).some((other) => subsumes(other, rule));
  return before.flatMap((first, at) =>
    after.flatMap((second, index): TokenCase | readonly TokenCase[] => {
      if (contentOf(first) === contentOf(second)) return [];
      const isSamePlace = JSON.stringify(placesOf(first)) === JSON.stringify(placesOf(second));
      if (!isLoose && (isSamePlace || isPreferred(first, after, index) || isPreferred(second, before, at))) return [];
      const constraints = [...acceptedBy([first], 0, table), ...acceptedBy([second], 1, table)];
      return { seen: [0, 1], constraints, accepting: [[first], [second]] };
    }),
  );
}
