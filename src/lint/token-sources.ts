/*
 * Compares policies that require tokens with the RequestAuthentications that verify them: warnings if one is missing, or if
 * the issuers do not match.
 */
import type { AuthorizationPolicy, JwtRule, Policy, RequestAuthentication } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseRequestPrincipal } from '../policy/match/request-principal.ts';
import { compileStringMatch, parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';
import { canMeet } from './shared/selection.ts';

const MAX_ISSUERS = 5;

interface TokenUse {
  readonly path: string;
  /** Request principals that must match; absent for claims and negatives. */
  readonly principals?: readonly string[];
  /** Values of the claim `iss` that must match; absent for other claims and negatives. */
  readonly issuers?: readonly string[];
}

/** A warning for each issuer that ends in a slash; most identity providers use none, some do. */
export function findIssuerSlashes({ spec }: RequestAuthentication): readonly Finding[] {
  return (spec.jwtRules ?? []).flatMap(({ issuer }, index) =>
    issuer?.endsWith('/') === true
      ? [
          warn({
            code: 'SP_ISSUER',
            path: `spec.jwtRules[${index}].issuer`,
            message: `"${issuer}" ends in a slash: only tokens whose iss claim also ends in one are accepted`,
            hint: `compare with iss of a token; its request principals start with ${issuer}/ (two slashes)`,
          }),
        ]
      : [],
  );
}

/** JWT rules that verify tokens on pods that `policy` may select. */
export function rulesForTokensOf(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly JwtRule[] {
  return all
    .filter((other) => other.kind === 'RequestAuthentication')
    .filter((other) => canMeet(policy, other, rootNamespace))
    .flatMap(({ spec }) => spec.jwtRules ?? []);
}

/** Warnings about tokens that `policy` requires and no JWT rule verifies, or only for another issuer. */
export function findUnknownTokens(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const uses = tokenUses(policy);
  const [first] = uses;
  if (first === undefined) return [];
  const rules = rulesForTokensOf(policy, all, rootNamespace);
  if (rules.length > 0) {
    return uses.flatMap(({ path, principals = [], issuers = [] }) => [
      ...foreignIssuers(principals, rules, path),
      ...foreignClaims(issuers, rules, path),
    ]);
  }
  const message = 'no RequestAuthentication selects the same pods: no request has a verified token';
  return [warn({ code: 'SP_NO_JWT_RULE', path: first.path, message, hint: 'add a RequestAuthentication with the same selector' })];
}

/** At most one warning: no AuthorizationPolicy requires the tokens that `policy` verifies. */
export function findOptionalTokens(policy: RequestAuthentication, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const rules = policy.spec.jwtRules ?? [];
  if (rules.length === 0 || rules.some(({ presence }) => presence === 'REQUIRED')) return [];
  const isRequired = all.some(
    (other) => other.kind === 'AuthorizationPolicy' && tokenUses(other).length > 0 && canMeet(policy, other, rootNamespace),
  );
  if (isRequired) return [];
  return [
    warn({
      code: 'SP_TOKEN_OPTIONAL',
      path: 'spec.jwtRules',
      message: 'requests without a token are allowed: no AuthorizationPolicy for the same pods requires one',
      hint: 'add an AuthorizationPolicy that allows only requestPrincipals: ["*"]',
    }),
  ];
}

function tokenUses(policy: AuthorizationPolicy): readonly TokenUse[] {
  return rulesOf(policy).flatMap((placed) => [
    ...sourcesOf(placed).flatMap(({ source, path }): readonly TokenUse[] => [
      ...(source.requestPrincipals === undefined ? [] : [{ path: `${path}.requestPrincipals`, principals: source.requestPrincipals }]),
      ...(source.notRequestPrincipals === undefined ? [] : [{ path: `${path}.notRequestPrincipals` }]),
    ]),
    ...conditionsOf(placed)
      .filter(({ condition }) => condition.key.startsWith('request.auth.'))
      .map(({ condition, path }): TokenUse => {
        const isPrincipal = condition.key === 'request.auth.principal' && condition.values !== undefined;
        if (condition.key === 'request.auth.claims[iss]' && condition.values !== undefined)
          return { path: `${path}.values`, issuers: condition.values };
        return isPrincipal ? { path: `${path}.values`, principals: condition.values ?? [] } : { path: `${path}.key` };
      }),
  ]);
}

function foreignIssuers(principals: readonly string[], rules: readonly JwtRule[], path: string): readonly Finding[] {
  const issuers = rules.map(({ issuer = '' }) => issuer);
  if (issuers.includes('')) return [];
  return principals.flatMap((value, index) => {
    const test = compileStringMatch(parseRequestPrincipal(value).iss, 'non-empty');
    if (issuers.some(test)) return [];
    const [message, hint] = explainIssuer(value, issuers, test);
    return [warn({ code: 'SP_ISSUER', path: `${path}[${index}]`, message: `${JSON.stringify(value)} ${message}`, hint })];
  });
}

function foreignClaims(values: readonly string[], rules: readonly JwtRule[], path: string): readonly Finding[] {
  const issuers = rules.map(({ issuer = '' }) => issuer);
  if (issuers.includes('')) return [];
  return values.flatMap((value, index) => {
    if (issuers.some(compileStringMatch(parseStringMatch(value), 'non-empty'))) return [];
    const message = `${JSON.stringify(value)} never matches: no JWT rule for the same pods accepts this issuer`;
    return [
      warn({ code: 'SP_ISSUER', path: `${path}[${index}]`, message, hint: `known issuers: ${issuers.slice(0, MAX_ISSUERS).join(', ')}` }),
    ];
  });
}

function explainIssuer(value: string, issuers: readonly string[], test: (iss: string) => boolean): readonly [string, string] {
  const slashed = issuers.find((issuer) => test(issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`));
  if (slashed !== undefined)
    return ['differs from the issuer of the JWT rule by a slash', `the issuer is ${slashed}: write ${slashed}/SUBJECT`];
  const prefix = issuers.find((issuer) => value.startsWith(`${issuer}/`));
  if (prefix !== undefined) {
    return ['never matches: it is split at the last slash, so it cannot match a subject with a slash', 'use request.auth.claims[sub]'];
  }
  return ['has an issuer that no JWT rule for the same pods accepts', `known issuers: ${issuers.slice(0, MAX_ISSUERS).join(', ')}`];
}
