/*
 * The result of one JWT rule for a request. The outcome is the authenticator's own; the sentence is made from the parsed token.
 */
import { PreparedRequest } from '../http/normalize/prepared-request.ts';
import { type Authentication, createAuthenticator } from '../jwt/authenticator.ts';
import { CLOCK_SKEW_SECONDS } from '../jwt/check-claims.ts';
import { extractTokens } from '../jwt/extract-tokens.ts';
import { MISSING, type TokenFault } from '../jwt/token-fault.ts';
import type { TokenRequest } from '../jwt/token-request.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import type { Enforced } from './evaluate-to-end.ts';
import type { JwtRuleExplanation } from './explanation.ts';
import { missingTokenText } from './missing-token-text.ts';
import { ruleRef } from './rule-ref.ts';
import { durationText } from './time-text.ts';
import { tokenFaultText } from './token-fault-text.ts';

/** The request, and what it is authenticated with. */
export interface TokenContext extends Pick<Enforced, 'keySets' | 'isPublished'> {
  /** After preparation. Not modified. */
  readonly request: TokenRequest;
  /** Whole Unix seconds. */
  readonly nowSeconds: number;
}

/** The result of `provider` as if it were the only JWT rule. */
export function explainJwtRule(provider: JwtProvider, context: TokenContext): JwtRuleExplanation {
  const request = { ...context.request, headers: [...context.request.headers] };
  const common = { rule: ruleRef(provider.source), issuer: provider.issuer };
  const tokens = extractTokens(provider, request);
  const result = createAuthenticator([provider], context.keySets).authenticate(request, context.nowSeconds);
  switch (result.kind) {
    case 'anonymous':
      return {
        ...common,
        outcome: 'no token',
        text: tokens.length > 0 ? 'a CORS preflight request: its token is ignored' : missingTokenText(provider, context.request),
      };
    case 'verified':
      return { ...common, outcome: 'accepted', text: acceptedText(result, context.nowSeconds) };
    case 'refused': {
      if (result.fault === MISSING) {
        const text = `${missingTokenText(provider, context.request)}, and presence is REQUIRED`;
        return { ...common, outcome: 'refused', fault: MISSING, text };
      }
      // Tokens are verified from the last found to the first; all of them must be valid.
      const invalid = tokens.map(({ text }) => text).findLast((text) => faultOf(provider, text, context) === result.fault);
      const text = tokenFaultText(result.fault, invalid ?? '', { provider, ...context });
      return { ...common, outcome: 'refused', fault: result.fault, text };
    }
  }
}

/** The fault of one token of a request; undefined: the token is valid. */
function faultOf(provider: JwtProvider, text: string, { keySets, nowSeconds }: TokenContext): TokenFault | undefined {
  const alone: JwtProvider = { ...provider, headers: [{ name: 'x', prefix: '' }], params: [], cookies: [] };
  const request = new PreparedRequest('GET', ['x', text]);
  request.target = '/';
  const result = createAuthenticator([alone], keySets).authenticate(request, nowSeconds);
  return result.kind === 'refused' ? result.fault : undefined;
}

function acceptedText(token: Extract<Authentication, { readonly kind: 'verified' }>, nowSeconds: number): string {
  const left = token.expires - nowSeconds;
  const lifetime =
    left >= 0
      ? `expires in ${durationText(left)}`
      : `expired ${durationText(-left)} ago, within the allowed clock skew of ${CLOCK_SKEW_SECONDS} s`;
  const { sub } = token.claims;
  const subject = typeof sub === 'string' && sub !== '' ? '' : '; it has no sub, so it matches no request principal';
  return `token of ${token.principal} accepted; it ${token.expires === 0 ? 'never expires' : lifetime}${subject}`;
}
