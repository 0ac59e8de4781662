/*
 * Finds audiences of a JWT rule that exclude no token. JWT rules for one workload are alternatives: a token that one rule
 * rejects may be accepted by another. A warning if the other rule accepts any audience, an info if it accepts others.
 */
import type { JwtRule, Policy, RequestAuthentication } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { inform, warn } from './shared/lint-finding.ts';
import { canMeet } from './shared/selection.ts';

/** A finding for each rule of `policy` whose audiences are widened by another rule for the same tokens. */
export function findWidenedAudiences(policy: RequestAuthentication, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const rules = policy.spec.jwtRules ?? [];
  if (!rules.some(({ audiences }) => audiences !== undefined)) return [];
  const others = all
    .filter((other) => other.kind === 'RequestAuthentication')
    .filter((other) => other === policy || canMeet(policy, other, rootNamespace))
    .flatMap((other) => (other.spec.jwtRules ?? []).map((rule, index) => ({ rule, place: placeOf(other, index, policy) })));
  const twins = Map.groupBy(others, ({ rule }) => tokensOf(rule));
  const distinct = new Map([...twins].map(([tokens, some]) => [tokens, withoutRepeated(some)]));
  return rules.flatMap((rule, index) => checkAudiences(rule, `spec.jwtRules[${index}].audiences`, distinct.get(tokensOf(rule)) ?? []));
}

/** The first rule with each set of audiences, so that thousands of equal rules are not compared with each other. */
function withoutRepeated(rules: readonly PlacedJwtRule[]): readonly PlacedJwtRule[] {
  return [...new Map(rules.toReversed().map((one) => [JSON.stringify(one.rule.audiences?.toSorted()), one])).values()].toReversed();
}

interface PlacedJwtRule {
  readonly rule: JwtRule;
  readonly place: string;
}

function checkAudiences({ audiences }: JwtRule, path: string, twins: readonly PlacedJwtRule[]): readonly Finding[] {
  if (audiences === undefined) return [];
  const open = twins.find(({ rule }) => rule.audiences === undefined);
  if (open !== undefined) {
    const message = `these audiences exclude no token: ${open.place} accepts the same tokens for any audience, and one rule that accepts a token is enough`;
    return [warn({ code: 'SP_AUDIENCE', path, message, hint: 'set the audiences in both rules, or remove the other rule' })];
  }
  const own = new Set(audiences);
  const wider = twins.find(({ rule }) => rule.audiences?.some((audience) => !own.has(audience)) === true);
  if (wider === undefined) return [];
  const message = `tokens for the audiences of ${wider.place} are accepted as well: one rule that accepts a token is enough`;
  const hint = 'to distinguish audiences, match request.auth.audiences in an AuthorizationPolicy';
  return [inform({ code: 'SP_AUDIENCE', path, message, hint })];
}

/** Rules with the same result look for the same tokens and verify them with the same keys. */
function tokensOf({ issuer = '', jwks, jwksUri, fromHeaders, fromParams, fromCookies }: JwtRule): string {
  return JSON.stringify([issuer, jwks, jwksUri, fromHeaders, fromParams, fromCookies]);
}

function placeOf({ metadata }: Policy, index: number, from: Policy): string {
  const place = `spec.jwtRules[${index}]`;
  return metadata === from.metadata ? place : `${place} of ${metadata.namespace}/${metadata.name}`;
}
