/*
 * Finds conditions on claims that are not strings, or that are split into words before they are matched.
 */
import type { AuthorizationPolicy, JwtRule } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { checkValues, type Reason } from './dead-values.ts';
import { conditionsOf, inform, rulesOf, warn } from './shared/lint-finding.ts';

/** Claims that are not strings according to a standard. @see RFC 7519 section 4.1, OpenID Connect Core sections 2 and 5.1 */
const TYPES: ReadonlyMap<string, string> = new Map([
  ...['exp', 'iat', 'nbf', 'auth_time', 'updated_at'].map((claim) => [claim, 'number'] as const),
  ...['email_verified', 'phone_number_verified'].map((claim) => [claim, 'boolean'] as const),
]);
/** Claims that are split regardless of the JWT rules. */
const ALWAYS_SPLIT: readonly string[] = ['scope', 'permission'];
const ONLY_STRINGS = 'only strings and arrays of strings are matched';
const STRING_HINT = 'use a claim in which the issuer puts the value as a string';

/** A finding for each condition on a claim that is a number or boolean, by standard (warning) or apparently by its values (info). */
export function findTypedClaims(policy: AuthorizationPolicy): readonly Finding[] {
  return claimConditions(policy).flatMap(({ claim, path, lists }) => {
    const type = TYPES.get(claim);
    if (type !== undefined) {
      const message = `${claim} is a ${type}: ${ONLY_STRINGS}`;
      return [warn({ code: 'SP_NEVER_MATCHES', path: `${path}.key`, message, hint: STRING_HINT })];
    }
    return lists.flatMap(({ path: at, values }) =>
      values.flatMap((value, index) =>
        value === 'true' || value === 'false'
          ? [
              inform({
                code: 'SP_NEVER_MATCHES',
                path: `${at}[${index}]`,
                message: `"${value}" matches the string and not the boolean: ${ONLY_STRINGS}`,
                hint: `check in a token whether the value of ${claim} is in quotes; if not, ${STRING_HINT}`,
              }),
            ]
          : [],
      ),
    );
  });
}

/** A warning for each value with a space for a claim that is split at spaces. @param claims absent: those that are always split */
export function findSplitClaims(policy: AuthorizationPolicy, claims: readonly string[] = ALWAYS_SPLIT): readonly Finding[] {
  return claimConditions(policy)
    .filter(({ claim }) => claims.includes(claim))
    .flatMap(({ claim, lists }) =>
      lists.flatMap(({ path, values }) => checkValues(path, values, (value) => (hasSpaces(value) ? splitReason(claim) : undefined))),
    );
}

function splitReason(claim: string): Reason {
  return [`${claim} is split at spaces, and each word is matched separately`, 'write one condition per word'];
}

/** Claims that all of `rules` split, without those that are always split. */
export function claimsSplitBy(rules: readonly JwtRule[]): readonly string[] {
  const [first, ...rest] = rules.map(({ spaceDelimitedClaims = [] }) => spaceDelimitedClaims);
  return (first ?? []).filter((claim) => !ALWAYS_SPLIT.includes(claim) && rest.every((other) => other.includes(claim)));
}

/** A value that consists of spaces is not split. */
function hasSpaces(value: string): boolean {
  const match = parseStringMatch(value);
  return match.kind !== 'present' && match.value.includes(' ') && match.value.trim() !== '';
}

interface ClaimCondition {
  readonly claim: string;
  readonly path: string;
  readonly lists: readonly { readonly path: string; readonly values: readonly string[] }[];
}

/** Conditions on top-level claims. */
function claimConditions(policy: AuthorizationPolicy): readonly ClaimCondition[] {
  return rulesOf(policy)
    .flatMap(conditionsOf)
    .flatMap(({ condition, path }) => {
      const claim = /^request\.auth\.claims\[([^[\]]+)\]$/.exec(condition.key)?.[1];
      if (claim === undefined) return [];
      const { values = [], notValues = [] } = condition;
      const lists = [
        { path: `${path}.values`, values },
        { path: `${path}.notValues`, values: notValues },
      ];
      return [{ claim, path, lists }];
    });
}
