/*
 * Finds the JWT rules that can accept a token without running them all: rules that look in the same places are grouped, so that a
 * token is extracted once, and each group is indexed by issuer.
 */
import { type ExtractedToken, extractTokens } from './extract-tokens.ts';
import type { TokenRequest } from './token-request.ts';
import type { TokenRule } from './token-rule.ts';

/** Rules with the same token locations. */
export interface LocationGroup {
  /** In the order of the rules; at least one. */
  readonly rules: readonly TokenRule[];
  /** Rules for this issuer or any issuer, in the order of the rules. */
  readonly byIssuer: ReadonlyMap<string, readonly TokenRule[]>;
  /** Rules for any issuer. */
  readonly ofAnyIssuer: readonly TokenRule[];
}

/** The tokens that the rules of one group find in a request. */
export interface FoundTokens {
  readonly group: LocationGroup;
  /** At least one, in the order of the locations. */
  readonly tokens: readonly ExtractedToken[];
}

/** All rules of an authenticator. */
export interface RuleIndex {
  readonly rules: readonly TokenRule[];
  readonly groups: readonly LocationGroup[];
  readonly groupOf: ReadonlyMap<TokenRule, LocationGroup>;
}

const NOTHING: readonly FoundTokens[] = Object.freeze([]);

/** The index of `rules`. */
export function indexRules(rules: readonly TokenRule[]): RuleIndex {
  const byLocations = Map.groupBy(rules, ({ provider: { headers, params, cookies } }) => JSON.stringify([headers, params, cookies]));
  const groups = [...byLocations.values()].map(toGroup);
  return { rules, groups, groupOf: new Map(groups.flatMap((group) => group.rules.map((rule) => [rule, group] as const))) };
}

function toGroup(rules: readonly TokenRule[]): LocationGroup {
  const ofIssuer = Map.groupBy(rules, ({ provider }) => provider.issuer);
  const ofAnyIssuer = ofIssuer.get('') ?? [];
  const inOrder = (named: readonly TokenRule[]): readonly TokenRule[] =>
    ofAnyIssuer.length === 0 ? named : [...named, ...ofAnyIssuer].sort((a, b) => a.index - b.index);
  const byIssuer = [...ofIssuer].filter(([issuer]) => issuer !== '').map(([issuer, named]) => [issuer, inOrder(named)] as const);
  return { rules, byIssuer: new Map(byIssuer), ofAnyIssuer };
}

/** The rules of `group` that a token of `issuer` concerns; to all others its issuer is unknown. */
export function rulesFor(group: LocationGroup, issuer: string): readonly TokenRule[] {
  return group.byIssuer.get(issuer) ?? group.ofAnyIssuer;
}

/** The tokens of `request`, by the groups that find any. */
export function findTokens({ groups }: RuleIndex, request: TokenRequest): readonly FoundTokens[] {
  let found: FoundTokens[] | undefined;
  for (const group of groups) {
    const tokens = extractTokens((group.rules[0] as TokenRule).provider, request);
    if (tokens.length > 0) (found ??= []).push({ group, tokens });
  }
  return found ?? NOTHING;
}
