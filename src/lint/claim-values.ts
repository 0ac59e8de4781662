/*
 * Conditions on claims that are no strings, or that are split before they are matched. In: a policy, alone or with the JWT
 * rules for the same pods. Out: warnings, and an information where the claim may be a string. Called by lintPolicies and
 * lintPolicy.
 */
import type { AuthorizationPolicy, JwtRule } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { judgeValues, type Reason } from './dead-values.ts';
import { conditionsOf, inform, rulesOf, warn } from './shared/lint-finding.ts';

/** Claims that a standard says are no strings. @see RFC 7519 section 4.1, OpenID Connect Core sections 2 and 5.1 */
const TYPES: ReadonlyMap<string, string> = new Map([
  ...['exp', 'iat', 'nbf', 'auth_time', 'updated_at'].map((claim) => [claim, 'number'] as const),
  ...['email_verified', 'phone_number_verified'].map((claim) => [claim, 'boolean'] as const),
]);
/** Split whatever the JWT rules say. */
const ALWAYS_SPLIT: readonly string[] = ['scope', 'permission'];
const ONLY_STRINGS = 'only strings, and lists with strings, are matched';
const STRING_HINT = 'let the issuer put it into a claim that is a string';

/** Conditions on claims that are numbers or booleans, by standard or by the look of their values. */
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
                message: `this is the string "${value}", which a boolean of the same name is not: ${ONLY_STRINGS}`,
                hint: `see in a token whether ${claim} has quotes around its value; if not, ${STRING_HINT}`,
              }),
            ]
          : [],
      ),
    );
  });
}

/** Values with a blank for claims that are split at blanks. @param claims absent: those that always are */
export function findSplitClaims(policy: AuthorizationPolicy, claims: readonly string[] = ALWAYS_SPLIT): readonly Finding[] {
  return claimConditions(policy)
    .filter(({ claim }) => claims.includes(claim))
    .flatMap(({ claim, lists }) =>
      lists.flatMap(({ path, values }) => judgeValues(path, values, (value) => (holdsWords(value) ? splitReason(claim) : undefined))),
    );
}

function splitReason(claim: string): Reason {
  return [`${claim} is split at blanks, and each word is matched alone`, 'write one condition for each word that is wanted'];
}

/** The claims that every one of `rules` splits, beside those that always are. */
export function claimsSplitBy(rules: readonly JwtRule[]): readonly string[] {
  const [first, ...rest] = rules.map(({ spaceDelimitedClaims = [] }) => spaceDelimitedClaims);
  return (first ?? []).filter((claim) => !ALWAYS_SPLIT.includes(claim) && rest.every((other) => other.includes(claim)));
}

/** A text of blanks alone is not split. */
function holdsWords(value: string): boolean {
  const match = parseStringMatch(value);
  return match.kind !== 'present' && match.value.includes(' ') && match.value.trim() !== '';
}

interface ClaimCondition {
  readonly claim: string;
  readonly path: string;
  readonly lists: readonly { readonly path: string; readonly values: readonly string[] }[];
}

/** The conditions on claims that are not nested. */
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
