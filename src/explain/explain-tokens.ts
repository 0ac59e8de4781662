/*
 * What each JWT rule makes of a request, in words. In: the rules with their key sets and the prepared request. Out: one
 * sentence per rule. The outcome is the authenticator's own; only the words are made here, from the parsed token.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { type Authentication, createAuthenticator } from '../jwt/authenticator.ts';
import { CLOCK_SKEW_SECONDS } from '../jwt/check-claims.ts';
import { extractTokens } from '../jwt/extract-tokens.ts';
import { type ParsedToken, parseToken } from '../jwt/parse-token.ts';
import { AUDIENCE_NOT_ALLOWED, MISSING, NO_MATCHING_KEY, type TokenFault, UNKNOWN_ISSUER, VERIFICATION_FAILS } from '../jwt/status.ts';
import { firstHeader, type TokenRequest } from '../jwt/token-request.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import type { JwtRuleExplanation } from './explanation.ts';
import { ruleRef } from './rule-ref.ts';
import { momentText, spanText } from './span-text.ts';

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
        text: tokens.length > 0 ? 'a CORS preflight: the token is not looked at' : nothingFound(provider, context.request),
      };
    case 'verified':
      return { ...known, outcome: 'accepted', text: acceptedText(answer, context.nowSeconds) };
    case 'refused': {
      if (answer.fault === MISSING) {
        const text = `${nothingFound(provider, context.request)}, and presence is REQUIRED`;
        return { ...known, outcome: 'refused', fault: MISSING, text };
      }
      // Tokens are verified from the last found to the first; all must be good.
      const bad = tokens.map(({ text }) => text).findLast((text) => faultOf(provider, text, context) === answer.fault);
      return { ...known, outcome: 'refused', fault: answer.fault, text: faultText(answer.fault, bad ?? '', { provider, context }) };
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
  return `token of ${token.principal} accepted; it ${token.expires === 0 ? 'never expires' : life}`;
}

/** Where the rule looks, and what stands there that only looks like a token. */
function nothingFound(provider: JwtProvider, request: TokenRequest): string {
  const places = [
    ...provider.headers.map(({ name, prefix }) => (prefix === '' ? `header ${name}` : `header ${name} after ${JSON.stringify(prefix)}`)),
    ...provider.params.map((name) => `query parameter ${name}`),
    ...provider.cookies.map((name) => `cookie ${name}`),
  ];
  const stray = provider.headers.find(({ name }) => firstHeader(request.headers, name) !== undefined);
  const note = stray === undefined ? '' : strayNote(stray, firstHeader(request.headers, stray.name) ?? '');
  return `no token in ${places.join(', ')}${note}`;
}

function strayNote({ name, prefix }: { readonly name: string; readonly prefix: string }, value: string): string {
  const scheme = value.slice(0, prefix.length);
  const differs = scheme !== prefix && scheme.toLowerCase() === prefix.toLowerCase();
  return differs
    ? `; ${name} begins with ${JSON.stringify(scheme)}, and case counts`
    : `; ${name} is there, but does not hold ${JSON.stringify(prefix)}`;
}

interface Words {
  readonly provider: JwtProvider;
  readonly context: TokenContext;
}

/** The fault with what was seen and what the rule says. */
function faultText(fault: TokenFault, text: string, words: Words): string {
  const token = parseToken(text);
  if (typeof token === 'string') return `the token is malformed: ${fault}${text === '' ? ' (it is empty)' : ''}`;
  switch (fault) {
    case 'Jwt is expired':
      return `token expired ${spanText(words.context.nowSeconds - token.expires)} ago (exp ${momentText(token.expires)})`;
    case 'Jwt not yet valid':
      return `token becomes valid in ${spanText(token.notBefore - words.context.nowSeconds)} (nbf ${momentText(token.notBefore)})`;
    case UNKNOWN_ISSUER:
      return issuerText(token.issuer, words.provider.issuer);
    case AUDIENCE_NOT_ALLOWED:
      return `aud is ${listText(token.audiences)}, the policy says ${listText(words.provider.audiences)}`;
    case NO_MATCHING_KEY:
    case VERIFICATION_FAILS:
      return keyText(fault, token, words);
    default:
      return fault;
  }
}

function issuerText(seen: string, wanted: string): string {
  if (seen === '') return `the token has no iss, the policy says ${wanted}`;
  if (seen === `${wanted}/`) return `iss ends in /, the policy says ${wanted}`;
  if (`${seen}/` === wanted) return `iss is ${seen}, the policy says ${wanted} with a / at the end`;
  const note = seen.toLowerCase() === wanted.toLowerCase() ? ' (case counts)' : '';
  return `iss is ${seen}, the policy says ${wanted}${note}`;
}

function keyText(fault: TokenFault, { alg, kid }: ParsedToken, { provider, context }: Words): string {
  const set = Object.hasOwn(context.keySets, provider.keySet) ? context.keySets[provider.keySet] : undefined;
  if (set === undefined)
    return `no keys of ${provider.issuer === '' ? 'this rule' : provider.issuer} are known here, so the signature cannot be verified`;
  if (fault === VERIFICATION_FAILS) return `no key from ${set.source} made this signature (alg ${alg}${kid === '' ? '' : `, kid ${kid}`})`;
  const kids = set.keys.map((key) => key['kid'] ?? '(no kid)');
  return `the token says ${kid === '' ? 'no kid' : `kid ${kid}`} and alg ${alg}; the keys from ${set.source} are ${listText(kids)}`;
}

function listText(values: readonly string[]): string {
  return values.length === 0 ? 'absent' : values.join(', ');
}
