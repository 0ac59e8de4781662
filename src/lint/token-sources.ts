/*
 * Rules that ask for tokens and the RequestAuthentications that make them known. In: all policies. Out: warnings where one
 * is there without the other, or where issuers do not fit. Called by lintPolicies and, for one policy alone, lintPolicy.
 */
import type { AuthorizationPolicy, JwtRule, Policy, RequestAuthentication } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseRequestPrincipal } from '../policy/match/request-principal.ts';
import { compileStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';
import { canMeet } from './shared/selection.ts';

interface TokenUse {
  readonly path: string;
  /** Request principals that must match; absent for claims and negatives. */
  readonly principals?: readonly string[];
}

/** Issuers that end in a slash, which most identity providers write without one and some with. */
export function findIssuerSlashes({ spec }: RequestAuthentication): readonly Finding[] {
  return (spec.jwtRules ?? []).flatMap(({ issuer }, index) =>
    issuer?.endsWith('/') === true
      ? [
          warn({
            code: 'SP_ISSUER',
            path: `spec.jwtRules[${index}].issuer`,
            message: 'the issuer ends in a slash: only tokens whose iss claim ends in one too are taken',
            hint: `compare with iss of a token; its request principals begin with ${issuer}/ (two slashes)`,
          }),
        ]
      : [],
  );
}

/** The JWT rules that verify tokens on pods that `policy` selects, too. */
export function rulesForTokensOf(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly JwtRule[] {
  return all
    .filter((other) => other.kind === 'RequestAuthentication')
    .filter((other) => canMeet(policy, other, rootNamespace))
    .flatMap(({ spec }) => spec.jwtRules ?? []);
}

/** Tokens asked for without a rule that verifies them, or from another issuer. */
export function findUnknownTokens(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const uses = tokenUses(policy);
  const [first] = uses;
  if (first === undefined) return [];
  const rules = rulesForTokensOf(policy, all, rootNamespace);
  if (rules.length > 0) return uses.flatMap(({ path, principals = [] }) => foreignIssuers(principals, rules, path));
  const message = 'no RequestAuthentication for the same pods: no request has a verified token';
  return [warn({ code: 'SP_NO_JWT_RULE', path: first.path, message, hint: 'add a RequestAuthentication with the same selector' })];
}

/** A RequestAuthentication that nothing turns into a demand: requests without a token pass. */
export function findOptionalTokens(policy: RequestAuthentication, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const rules = policy.spec.jwtRules ?? [];
  if (rules.length === 0 || rules.some(({ presence }) => presence === 'REQUIRED')) return [];
  const isDemanded = all.some(
    (other) => other.kind === 'AuthorizationPolicy' && tokenUses(other).length > 0 && canMeet(policy, other, rootNamespace),
  );
  if (isDemanded) return [];
  return [
    warn({
      code: 'SP_TOKEN_OPTIONAL',
      path: 'spec.jwtRules',
      message: 'a request without a token passes: no AuthorizationPolicy for the same pods asks for one',
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

function explainIssuer(value: string, issuers: readonly string[], test: (iss: string) => boolean): readonly [string, string] {
  const slashed = issuers.find((issuer) => test(issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`));
  if (slashed !== undefined)
    return ['differs from the issuer of the JWT rule by a slash', `the issuer is ${slashed}: write ${slashed}/SUBJECT`];
  const prefix = issuers.find((issuer) => value.startsWith(`${issuer}/`));
  if (prefix !== undefined) {
    return ['never matches: it is split at the last slash, so a subject with a slash is not seen as one', 'use request.auth.claims[sub]'];
  }
  return ['is of an issuer that no JWT rule for the same pods has', `known issuers: ${issuers.slice(0, 5).join(', ')}`];
}
