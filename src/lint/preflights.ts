/*
 * CORS preflights that no rule lets through. In: all policies. Out: an information at an ALLOW policy for paths or methods
 * that asks for a token where nothing allows OPTIONS without one: authentication passes over preflights, authorization does
 * not. Called by lintPolicies.
 * @see https://fetch.spec.whatwg.org/#cors-preflight-fetch (a preflight carries no credentials)
 */
import type { AuthorizationPolicy, JwtRule, Operation, Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { dryRunOf } from '../policy/lower/dry-run.ts';
import { compileStringMatch, parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, inform, type PlacedRule, rulesOf, sourcesOf } from './shared/lint-finding.ts';
import { canMeet } from './shared/selection.ts';

/** Only where a browser would ask first: for a header, which the tokens come in by, and not for a cookie or a parameter. */
export function findDeniedPreflights(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const demand = isAllowing(policy) ? rulesOf(policy).find(isDemandForOperation) : undefined;
  if (demand === undefined) return [];
  const near = all.filter((other) => canMeet(policy, other, rootNamespace));
  const takesHeaders = near.some((other) => other.kind === 'RequestAuthentication' && (other.spec.jwtRules ?? []).some(isTakenFromHeader));
  if (!takesHeaders) return [];
  if (near.some((other) => isAllowing(other) && rulesOf(other).some(letsPreflightsThrough))) return [];
  return [
    inform({
      code: 'SP_PREFLIGHT',
      path: demand.path,
      message: 'CORS preflights are denied: a browser sends OPTIONS without a token first, and no rule for the same pods allows it',
      hint: 'if pages of another origin call this, add a rule with methods: ["OPTIONS"] and no source; if none do, leave it',
    }),
  ];
}

function isAllowing(policy: Policy): policy is AuthorizationPolicy {
  return policy.kind === 'AuthorizationPolicy' && policy.spec.action === 'ALLOW' && dryRunOf(policy.metadata) !== true;
}

function isTakenFromHeader({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): boolean {
  return fromHeaders.length > 0 || fromParams.length + fromCookies.length === 0;
}

/** An API by its paths or methods, which is what pages call. */
function isDemandForOperation(placed: PlacedRule): boolean {
  const operations = operationsOf(placed);
  return operations.some(({ paths, methods }) => paths !== undefined || methods !== undefined) && asksForToken(placed);
}

function asksForToken(placed: PlacedRule): boolean {
  const sources = sourcesOf(placed);
  return (
    conditionsOf(placed).some(({ condition }) => condition.key.startsWith('request.auth.') && condition.values !== undefined) ||
    (sources.length > 0 && sources.every(({ source }) => source.requestPrincipals !== undefined))
  );
}

/** A rule for other paths helps those alone, unless it names the method. */
function letsPreflightsThrough(placed: PlacedRule): boolean {
  if (asksForToken(placed)) return false;
  const operations = operationsOf(placed);
  return operations.length === 0 || operations.some(isOpenToPreflights);
}

function isOpenToPreflights({ paths, methods, notMethods }: Operation): boolean {
  const isNamed = takesOptions(methods ?? []);
  return (isNamed || (methods === undefined && paths === undefined)) && !takesOptions(notMethods ?? []);
}

function takesOptions(methods: readonly string[]): boolean {
  return methods.some((method) => compileStringMatch(parseStringMatch(method), 'any')('OPTIONS'));
}

function operationsOf({ rule }: PlacedRule): readonly Operation[] {
  return (rule.to ?? []).map(({ operation = {} }) => operation);
}
