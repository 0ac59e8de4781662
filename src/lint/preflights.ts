/*
 * Finds CORS preflights that no rule allows: an ALLOW policy requires a token for paths or methods, and nothing allows OPTIONS
 * without one. jwt_authn skips preflights, rbac does not.
 * @see https://fetch.spec.whatwg.org/#cors-preflight-fetch (a preflight carries no credentials)
 */
import type { AuthorizationPolicy, JwtRule, Operation, Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { dryRunOf } from '../policy/lower/dry-run.ts';
import { compileStringMatch, parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, inform, type PlacedRule, rulesOf, sourcesOf } from './shared/lint-finding.ts';
import { canMeet } from './shared/selection.ts';

/** At most one info. Only tokens in a header cause a preflight, not tokens in a cookie or a parameter. */
export function findDeniedPreflights(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const requirement = isAllowing(policy) ? rulesOf(policy).find(requiresTokenForOperation) : undefined;
  if (requirement === undefined) return [];
  const near = all.filter((other) => canMeet(policy, other, rootNamespace));
  const acceptsHeaders = near.some((other) => other.kind === 'RequestAuthentication' && (other.spec.jwtRules ?? []).some(isReadFromHeader));
  if (!acceptsHeaders) return [];
  if (near.some((other) => isAllowing(other) && rulesOf(other).some(allowsPreflights))) return [];
  return [
    inform({
      code: 'SP_PREFLIGHT',
      path: requirement.path,
      message: 'CORS preflights are denied: a browser first sends OPTIONS without a token, and no rule for the same pods allows it',
      hint: 'if pages of another origin call this API, add a rule with methods: ["OPTIONS"] and no source; otherwise ignore this',
    }),
  ];
}

function isAllowing(policy: Policy): policy is AuthorizationPolicy {
  return policy.kind === 'AuthorizationPolicy' && policy.spec.action === 'ALLOW' && dryRunOf(policy.metadata) !== true;
}

function isReadFromHeader({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): boolean {
  return fromHeaders.length > 0 || fromParams.length + fromCookies.length === 0;
}

/** Whether the rule requires a token for certain paths or methods: an API that web pages may call. */
function requiresTokenForOperation(placed: PlacedRule): boolean {
  const operations = operationsOf(placed);
  return operations.some(({ paths, methods }) => paths !== undefined || methods !== undefined) && requiresToken(placed);
}

function requiresToken(placed: PlacedRule): boolean {
  const sources = sourcesOf(placed);
  return (
    conditionsOf(placed).some(({ condition }) => condition.key.startsWith('request.auth.') && condition.values !== undefined) ||
    (sources.length > 0 && sources.every(({ source }) => source.requestPrincipals !== undefined))
  );
}

/** A rule for other paths allows preflights only for those, unless it names the method. */
function allowsPreflights(placed: PlacedRule): boolean {
  if (requiresToken(placed)) return false;
  const operations = operationsOf(placed);
  return operations.length === 0 || operations.some(isOpenToPreflights);
}

function isOpenToPreflights({ paths, methods, notMethods }: Operation): boolean {
  const isNamed = matchesOptions(methods ?? []);
  return (isNamed || (methods === undefined && paths === undefined)) && !matchesOptions(notMethods ?? []);
}

function matchesOptions(methods: readonly string[]): boolean {
  return methods.some((method) => compileStringMatch(parseStringMatch(method), 'any')('OPTIONS'));
}

function operationsOf({ rule }: PlacedRule): readonly Operation[] {
  return (rule.to ?? []).map(({ operation = {} }) => operation);
}
