/*
 * What each JWT rule makes of a request, in words. In: the rules with their key sets and the prepared request. Out: one
 * sentence per rule. The outcome is the authenticator's own; only the words are made here, from the parsed token.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { type Authentication, createAuthenticator } from '../jwt/authenticator.ts';
import { CLOCK_SKEW_SECONDS } from '../jwt/check-claims.ts';
import { extractTokens } from '../jwt/extract-tokens.ts';
import { MISSING, type TokenFault } from '../jwt/token-fault.ts';
import type { TokenRequest } from '../jwt/token-request.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import type { JwtRuleExplanation } from './explanation.ts';
import { ruleRef } from './rule-ref.ts';
import { spanText } from './span-text.ts';
import { strayText } from './stray-tokens.ts';
import { faultText } from './token-faults.ts';

export interface TokenContext {
  readonly keySets: Readonly<Record<string, KeySet>>;
  readonly request: TokenRequest;
  readonly nowSeconds: number;
}

/** What `provider` alone makes of the request; the request is left as it is. */
export function explainTokenRule(provider: JwtProvider, context: TokenContext): JwtRuleExplanation {
  const request = { ...context.request, headers: [...context.request.headers] };
  const known = { rule: ruleRef(provider.source), issuer: provider.issuer };
  const tokens = extractTokens(provider, request);
  const answer = createAuthenticator([provider], context.keySets).authenticate(request, context.nowSeconds);
  switch (answer.kind) {
    case 'anonymous':
      return {
        ...known,
        outcome: 'no token',
        text: tokens.length > 0 ? 'a CORS preflight: the token is not looked at' : strayText(provider, context.request),
      };
    case 'verified':
      return { ...known, outcome: 'accepted', text: acceptedText(answer, context.nowSeconds) };
    case 'refused': {
      if (answer.fault === MISSING) {
        const text = `${strayText(provider, context.request)}, and presence is REQUIRED`;
        return { ...known, outcome: 'refused', fault: MISSING, text };
      }
      // Tokens are verified from the last found to the first; all must be good.
      const bad = tokens.map(({ text }) => text).findLast((text) => faultOf(provider, text, context) === answer.fault);
      return { ...known, outcome: 'refused', fault: answer.fault, text: faultText(answer.fault, bad ?? '', { provider, ...context }) };
    }
  }
}

function faultOf(provider: JwtProvider, text: string, { keySets, nowSeconds }: TokenContext): TokenFault | undefined {
  const alone: JwtProvider = { ...provider, headers: [{ name: 'x', prefix: '' }], params: [], cookies: [] };
  const request: TokenRequest = { method: 'GET', scheme: 'http', host: '', target: '/', headers: ['x', text] };
  const answer = createAuthenticator([alone], keySets).authenticate(request, nowSeconds);
  return answer.kind === 'refused' ? answer.fault : undefined;
}

function acceptedText(token: Extract<Authentication, { readonly kind: 'verified' }>, nowSeconds: number): string {
  const left = token.expires - nowSeconds;
  const life = left >= 0 ? `expires in ${spanText(left)}` : `expired ${spanText(-left)} ago, within the ${CLOCK_SKEW_SECONDS} s of grace`;
  const { sub } = token.claims;
  const nobody = typeof sub === 'string' && sub !== '' ? '' : '; it has no sub, so no request principal ever matches it';
  return `token of ${token.principal} accepted; it ${token.expires === 0 ? 'never expires' : life}${nobody}`;
}
