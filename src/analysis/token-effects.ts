/*
 * What JWT rules do to a request besides showing claims: they remove headers that only a token may set, set them, and remove tokens. A filter
 * behind them reads the request through a {@link View}.
 */
import { isToken } from '../http/field-syntax.ts';
import { isChangeableRequestHeader } from '../http/header-changes.ts';
import { isMergedHeader } from '../http/normalize/inline-headers.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { type AttributeKey, sentKey, type TokenSlot } from './attribute-key.ts';
import { sentView, type View } from './view.ts';

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

/** Equal for rules that look in the same places. */
export function placesText(provider: JwtProvider): string {
  return JSON.stringify(placesOf(provider));
}

/** What a rule decides, without its name and source. */
export function contentOf({ name: _name, source: _source, ...content }: JwtProvider): string {
  return JSON.stringify(content);
}

/** Lower-case names of the headers that tokens of the rule set. */
function outputsOf({ payloadHeader, claimHeaders }: JwtProvider): readonly string[] {
  return [payloadHeader, ...claimHeaders.map(({ header }) => header)].filter((name) => name !== '').map((name) => name.toLowerCase());
}

/** Folded names of the headers that are removed from every request, because only tokens may set them. */
function strippedBy(providers: readonly JwtProvider[]): ReadonlySet<string> {
  return new Set(providers.flatMap(outputsOf).map(folded));
}

/** The rules without places that hold no token when they look there: headers that only tokens may set are removed before. */
export function withReachablePlaces(providers: readonly JwtProvider[]): readonly JwtProvider[] {
  const stripped = strippedBy(providers);
  if (stripped.size === 0) return providers;
  return providers.map((provider) => ({ ...provider, headers: provider.headers.filter(({ name }) => !stripped.has(folded(name))) }));
}

/** May a rule find a token in a header that another rule sets? */
export function findsOutputs(providers: readonly JwtProvider[]): boolean {
  const stripped = strippedBy(providers);
  return providers.some(({ headers }) => headers.some(({ name }) => stripped.has(folded(name))));
}

/**
 * Places from which the rule may remove a token although it refuses the request for another one. It verifies the token that it finds last
 * first.
 */
export function removablePlaces(provider: JwtProvider): readonly TokenPlace[] {
  const [first, ...others] = placesOf(provider);
  if (provider.forward || first === undefined) return [];
  return first.kind === 'header' && !isMergedHeader(first.name) ? [first, ...others] : others;
}

/** Names that an application may take for each other are removed together. */
function folded(name: string): string {
  return name.replaceAll('_', '-');
}

const REQUIRED_TO_FORWARD: ReadonlySet<string> = new Set([':path', ':method', ':authority', 'host']);

/** Only a token may set a pseudo header that every forwarded request needs, which no request can have then: all are refused. */
export function refusesAll(providers: readonly JwtProvider[]): boolean {
  return providers.some((provider) => outputsOf(provider).some((name) => REQUIRED_TO_FORWARD.has(folded(name))));
}

/** Can the agent forward a request with a header of this name that a token sets? */
function canSet(name: string): boolean {
  return isToken(name, 0, name.length) && isChangeableRequestHeader(name);
}

/** Is a request without this token refused because it lost a pseudo header, which held the token? */
function losesPseudoHeader({ forward }: JwtProvider, place: TokenPlace): boolean {
  return !forward && place.kind === 'header' && REQUIRED_TO_FORWARD.has(place.name);
}

/** Can a request be forwarded whose token the rule accepts? */
export function canForward(provider: JwtProvider): boolean {
  const { payloadHeader } = provider;
  return (payloadHeader === '' || canSet(payloadHeader)) && placesOf(provider).some((place) => !losesPseudoHeader(provider, place));
}

/** A claim of an accepted token by which the request cannot be forwarded: any value, or one that no header can hold. */
export interface RefusingClaim {
  readonly path: readonly string[];
  readonly value: 'any' | 'unsendable';
}

/** How `provider` refuses requests whose tokens it accepts, where `other` does not. */
export function refusalsAfter(
  provider: JwtProvider,
  other: JwtProvider | undefined,
): { readonly byPlace: boolean; readonly claims: readonly RefusingClaim[] } {
  const refusing = (own: JwtProvider): readonly RefusingClaim[] =>
    own.claimHeaders.map(({ header, claim }) => ({ path: claim.split('.'), value: canSet(header.toLowerCase()) ? 'unsendable' : 'any' }));
  const known = new Set((other === undefined ? [] : refusing(other)).map((one) => JSON.stringify(one)));
  return {
    byPlace: !canForward(provider) || placesOf(provider).some((place) => losesPseudoHeader(provider, place)),
    claims: refusing(provider).filter((one) => !known.has(JSON.stringify(one))),
  };
}

/** The rules of one side, and those of which one accepts its token; undefined: it sees none. */
export interface SideTokens {
  readonly providers: readonly JwtProvider[];
  readonly accepting: readonly JwtProvider[] | undefined;
  readonly slot: TokenSlot;
}

/** How two sides read requests behind their JWT rules. */
export interface ViewOptions {
  /** May rules other than the accepting ones have changed the request on one side only? */
  readonly isLoose: boolean;
  /** The names of headers and pseudo headers that CUSTOM rules read. */
  readonly readBeforeTokens: ReadonlySet<string>;
  /** The headers that hold tokens; undefined: it is not known which. */
  readonly taken: ReadonlySet<string> | undefined;
  /** Top-level claims that the two sides see in different forms. */
  readonly apart: Pick<ReadonlySet<string>, 'has'>;
}

/** The views of both sides, and whether the query of the target that they see may be rewritten. */
export interface SideViews {
  readonly views: readonly [View, View];
  readonly isQueryRewritten: boolean;
}

/** The views of two sides. What changes in the same way on both is one attribute. */
export function viewsBehind(sides: readonly [SideTokens, SideTokens], { isLoose, readBeforeTokens, taken, apart }: ViewOptions): SideViews {
  const [one, other] = sides;
  const isEqual = effectsText(one) === effectsText(other);
  const isShared = (name: string): boolean =>
    isEqual || (!isLoose && one.accepting !== undefined && isDefinedAndEqual(changesText(one, name), changesText(other, name)));
  const rewrites = sides.map(mayRewriteQuery);
  // What CUSTOM rules and the other side read is the same query as what a rule rewrites, unless both sides read the rewritten one alone.
  const isQueryRewritten = rewrites.includes(true) && isShared(':path') && !readBeforeTokens.has(':path');
  const view = (index: 0 | 1): View => {
    const side = sides[index];
    const { slot } = side;
    const outputs = new Set(side.providers.flatMap(outputsOf));
    const stripped = strippedBy(side.providers);
    if (stripped.size === 0 && side.accepting === undefined) return sentView(slot);
    const keyOf = (name: string): AttributeKey | undefined => {
      if (side.accepting === undefined) return stripped.has(folded(name)) ? undefined : sentKey(name);
      const id = isShared(name) ? 0 : index;
      if (stripped.has(folded(name))) return outputs.has(name) ? `set ${id} ${name}` : undefined;
      if (name === ':path') return isQueryRewritten || rewrites[index] !== true ? 'path' : `set ${id} :path`;
      if (removingRules(side, name).length === 0 || REQUIRED_TO_FORWARD.has(name)) return sentKey(name);
      if (taken !== undefined) return taken.has(name) ? undefined : sentKey(name);
      return `left ${id} ${name}`;
    };
    return { slot, slotOf: (claim) => (slot === 0 && index === 1 && apart.has(claim) ? 1 : slot), keyOf };
  };
  return { views: [view(0), view(1)], isQueryRewritten };
}

function isDefinedAndEqual(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && one === other;
}

function effectsText({ providers, accepting, slot }: SideTokens): string {
  return JSON.stringify([providers.map(contentOf), accepting?.map(contentOf), slot]);
}

/** What a rule does to a request, whatever tokens it accepts. */
function effectOf({ forward, payloadHeader, claimHeaders, headers, params, cookies }: JwtProvider): string {
  return JSON.stringify([forward, payloadHeader, claimHeaders, headers, params, cookies]);
}

/**
 * Equal for two sides that do the same to a header when they accept the same token; undefined: an earlier rule may have accepted another token
 * and changed the header before it refused a third one, which a rule of the other side need not do.
 */
function changesText(side: SideTokens, name: string): string | undefined {
  const { providers, accepting = [], slot } = side;
  const removing = new Set(name === ':path' ? rewritingRules(side) : removingRules(side, name));
  const isChangedBefore = accepting.some((own) =>
    providers.slice(0, providers.indexOf(own)).some((earlier) => {
      const isSameRemoval = placesText(earlier) === placesText(own) && earlier.forward === own.forward;
      return outputsOf(earlier).some((output) => folded(output) === folded(name)) || (removing.has(earlier) && !isSameRemoval);
    }),
  );
  return isChangedBefore ? undefined : JSON.stringify([accepting.map(effectOf), slot]);
}

function removingRules({ providers }: SideTokens, name: string): readonly JwtProvider[] {
  return providers.filter(({ forward, headers }) => !forward && headers.some((header) => header.name === name));
}

function rewritingRules({ providers }: SideTokens): readonly JwtProvider[] {
  return providers.filter(({ forward, params }) => !forward && params.length > 0);
}

function mayRewriteQuery(side: SideTokens): boolean {
  return side.accepting !== undefined && rewritingRules(side).length > 0;
}

/** Top-level claims of one token that the two sides split at spaces differently, and the side that does not split each. */
export function splitApart([one, other]: readonly [SideTokens, SideTokens]): ReadonlyMap<string, 0 | 1> {
  const names = (side: SideTokens): readonly string[] => side.accepting?.flatMap(({ spaceDelimitedClaims }) => spaceDelimitedClaims) ?? [];
  if (one.slot === undefined || one.slot !== other.slot) return new Map();
  const [first, second] = [names(one), names(other)];
  const lacking = (all: readonly string[], own: readonly string[], side: 0 | 1): readonly (readonly [string, 0 | 1])[] =>
    all.filter((name) => !own.includes(name)).map((name) => [name, side]);
  return new Map([...lacking(first, second, 1), ...lacking(second, first, 0)]);
}

/** A header or pseudo header in which rules look for a token. */
export interface TokenHeader {
  readonly key: AttributeKey;
  readonly name: string;
  readonly prefixes: readonly string[];
}

/**
 * The headers in which all rules of both sides look, if these find the same tokens wherever they are, and each side either keeps all of them or
 * none. Then a header is removed if and only if it holds a token. undefined: it is not that simple.
 */
export function commonTokenHeaders(
  sides: readonly [SideTokens, SideTokens],
  isRead: (name: string) => boolean,
): readonly TokenHeader[] | undefined {
  const all = sides.flatMap(({ providers }) => providers);
  const [first] = all;
  const isUniform =
    all.every((provider) => first !== undefined && placesText(provider) === placesText(first)) &&
    sides.every(({ providers }) => providers.every(({ forward }) => forward === providers[0]?.forward));
  if (first === undefined || !isUniform) return undefined;
  return headersOf([first], isRead);
}

/** Has the rule no other place for a token than these headers? */
export function looksOnlyIn(provider: JwtProvider, headers: readonly TokenHeader[]): boolean {
  return placesOf(provider).every((place) => place.kind === 'header' && headers.some(({ name }) => name === place.name));
}

/** The headers in which rules look for tokens, as far as it matters. Pseudo headers always do: without them no request is forwarded. */
export function headersOf(providers: readonly JwtProvider[], isRead: (name: string) => boolean): readonly TokenHeader[] {
  const found = providers.flatMap(({ headers }) => headers).filter(({ name }) => isPseudoHeader(name) || isRead(name));
  return [...Map.groupBy(found, ({ name }) => name)].map(([name, group]) => ({
    key: sentKey(name),
    name,
    prefixes: [...new Set(group.map(({ prefix }) => prefix))],
  }));
}

/** Is the request of an accepted token refused, because the header that held it is removed, and every forwarded request needs it? */
export function isLost({ providers }: SideTokens, name: string): boolean {
  return REQUIRED_TO_FORWARD.has(name) && providers.some(({ forward }) => !forward);
}
