/*
 * Finds JWT rules that defeat themselves: headers that are both output and token location, and repeated rules.
 */
import type { JwtRule, RequestAuthentication } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { warn } from './shared/lint-finding.ts';

/** Findings about the JWT rules of one policy. */
export function findJwtRuleTraps({ spec }: RequestAuthentication): readonly Finding[] {
  const rules = spec.jwtRules ?? [];
  return [...undiscoverableKeys(rules), ...overwrittenTokens(rules), ...repeatedRules(rules)];
}

/** Without `jwks` and `jwksUri`, keys are discovered below the issuer, which then has to be a URL. */
function undiscoverableKeys(rules: readonly JwtRule[]): readonly Finding[] {
  return rules.flatMap(({ issuer = '', jwks = '', jwksUri = '' }, index) =>
    jwks !== '' || jwksUri !== '' || issuer === '' || isHttpUrl(issuer)
      ? []
      : [
          warn({
            code: 'SP_ISSUER',
            path: `spec.jwtRules[${index}].issuer`,
            message: `keys cannot be discovered: ${JSON.stringify(issuer)} is not an http(s) URL, so every token is refused with 401`,
            hint: 'add jwksUri',
          }),
        ],
  );
}

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}

/** Output headers are removed from every request before tokens are extracted. */
function overwrittenTokens(rules: readonly JwtRule[]): readonly Finding[] {
  const locations = new Set(rules.flatMap(tokenHeaders).map((name) => name.toLowerCase()));
  return rules.flatMap((rule, index) =>
    outputsOf(rule, `spec.jwtRules[${index}]`)
      .filter(({ header }) => locations.has(header.toLowerCase()))
      .map(({ header, path }) =>
        warn({
          code: 'SP_JWT_RULE',
          path,
          message: `"${header}" is also a token location, and output headers are removed first: no token is ever found there`,
          hint: 'write to another header',
        }),
      ),
  );
}

function tokenHeaders({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): readonly string[] {
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) return ['authorization'];
  return fromHeaders.map(({ name }) => name);
}

function outputsOf(rule: JwtRule, path: string): readonly { readonly header: string; readonly path: string }[] {
  const claims = (rule.outputClaimToHeaders ?? []).map(({ header }, at) => ({
    header,
    path: `${path}.outputClaimToHeaders[${at}].header`,
  }));
  const payload = rule.outputPayloadToHeader;
  return payload === undefined ? claims : [{ header: payload, path: `${path}.outputPayloadToHeader` }, ...claims];
}

/** A second rule for an issuer makes sense with other audiences, keys or locations, and has no effect if it is identical. */
function repeatedRules(rules: readonly JwtRule[]): readonly Finding[] {
  const firstPlace = new Map<string, number>();
  return rules.flatMap((rule, index) => {
    const text = JSON.stringify(rule);
    const first = firstPlace.get(text);
    if (first === undefined) {
      firstPlace.set(text, index);
      return [];
    }
    const message = `this rule has no effect: it repeats spec.jwtRules[${first}]`;
    return [warn({ code: 'SP_UNREACHABLE_RULE', path: `spec.jwtRules[${index}]`, message, hint: 'remove one of the two rules' })];
  });
}
