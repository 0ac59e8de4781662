/*
 * Says what is wrong with a token: what it has and what the rule requires. The token itself is never repeated.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { type ParsedToken, parseToken } from '../jwt/parse-token.ts';
import { AUDIENCE_NOT_ALLOWED, NO_MATCHING_KEY, type TokenFault, UNKNOWN_ISSUER, VERIFICATION_FAILS } from '../jwt/token-fault.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { withoutTrailing } from '../text.ts';
import type { Enforced } from './evaluate-to-end.ts';
import { durationText, timeText } from './time-text.ts';
import { countTokens } from './token-marks.ts';

/** What a token was verified with. */
export interface FaultContext extends Pick<Enforced, 'keySets' | 'isPublished'> {
  readonly provider: JwtProvider;
  /** Whole Unix seconds. */
  readonly nowSeconds: number;
}

/** Of a key that the bundle lacks. The status of the policy names keys that were left out. */
const LEFT_OUT = '; a key that was left out of the bundle is named in the status of the policy';

/** A time beyond this number of seconds (the year 5138) is certainly in milliseconds. */
const MAX_PLAUSIBLE_SECONDS = 1e11;
const PARTS_OF_JWE = 5;

/** One sentence on `fault`, as the authenticator found it. @param text the token as extracted */
export function tokenFaultText(fault: TokenFault, text: string, context: FaultContext): string {
  const token = parseToken(text);
  if (typeof token === 'string') return `the token is malformed: ${fault}${malformedNote(text)}`;
  switch (fault) {
    case 'Jwt is expired':
      return `token expired ${durationText(context.nowSeconds - token.expires)} ago (exp ${timeText(token.expires)})`;
    case 'Jwt not yet valid':
      return `token becomes valid in ${durationText(token.notBefore - context.nowSeconds)} (nbf ${timeText(token.notBefore)})${millisecondsNote(token)}`;
    case UNKNOWN_ISSUER:
      return issuerText(token.issuer, context.provider.issuer);
    case AUDIENCE_NOT_ALLOWED:
      return audienceText(token.audiences, context.provider.audiences);
    case NO_MATCHING_KEY:
    case VERIFICATION_FAILS:
      return keyText(fault, token, context);
    default:
      return fault;
  }
}

/** What the text is, if not a token. */
function malformedNote(text: string): string {
  const note = malformedReason(text);
  return note === undefined ? '' : ` (${note})`;
}

function malformedReason(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (/^(undefined|null|\[object Object\]|true|false)$/.test(text)) return `it is the word ${text}: the client had no token`;
  if (/^[$<{%]|^TOKEN$/.test(text)) return 'it looks like an unreplaced placeholder';
  if (/^Bearer\s/i.test(text)) return 'it starts with a second Bearer';
  if (countTokens(text) > 1) return 'it consists of two tokens: was the header sent twice?';
  const invalid = /[^A-Za-z0-9_.=-]/.exec(text)?.[0];
  if (invalid !== undefined) return `it contains ${JSON.stringify(invalid)}, which is not allowed in a token`;
  const parts = text.split('.').filter((part) => part !== '').length;
  if (parts === PARTS_OF_JWE) return 'it has 5 parts, so it is encrypted (JWE); only signed tokens are accepted';
  if (parts !== 3) return `it has ${parts === 1 ? '1 part' : `${parts} parts`}; an opaque access token is not a JWT`;
  const alg = /"alg"\s*:\s*"([^"]*)"/.exec(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString('latin1'))?.[1];
  return alg === undefined ? undefined : `alg is ${alg}`;
}

function millisecondsNote({ notBefore }: ParsedToken): string {
  return notBefore > MAX_PLAUSIBLE_SECONDS ? '; it seems to be in milliseconds, expected seconds' : '';
}

function issuerText(actual: string, expected: string): string {
  if (actual === '') return `the token has no iss, the policy requires ${expected}`;
  if (actual === `${expected}/`) return `iss ends with /, the policy requires ${expected}`;
  if (`${actual}/` === expected) return `iss is ${actual}, the policy requires ${expected} with a / at the end`;
  return `iss is ${actual}, the policy requires ${expected}${differenceNote([actual], [expected])}`;
}

function audienceText(actual: readonly string[], expected: readonly string[]): string {
  if (actual.length === 0) return `the token has no aud, the policy requires ${listText(expected)}`;
  return `aud is ${listText(actual)}, the policy requires ${listText(expected)}${differenceNote(actual, expected)}`;
}

/** The only difference between one of `actual` and one of `expected`; `''` when they differ in more. */
function differenceNote(actual: readonly string[], expected: readonly string[]): string {
  const equalAfter = (normalize: (text: string) => string): boolean =>
    actual.some((one) => expected.some((other) => normalize(one) === normalize(other)));
  if (equalAfter((text) => text.toLowerCase())) return ' (they differ in case)';
  if (equalAfter((text) => text.replace(/^https?:\/\//, ''))) return ' (http differs from https)';
  if (equalAfter((text) => withoutTrailing(text.replace(/^https?:\/\//, ''), '/'))) return ' (they differ in a trailing slash)';
  return equalAfter((text) => text.trim()) ? ' (they differ in whitespace)' : '';
}

function keyText(fault: TokenFault, token: ParsedToken, { provider, keySets, isPublished }: FaultContext): string {
  const set = Object.hasOwn(keySets, provider.keySet) ? keySets[provider.keySet] : undefined;
  if (set === undefined) {
    if (isPublished === true) return 'the bundle has no keys for this rule, so agents refuse every token for it';
    return `the keys of ${provider.issuer === '' ? 'this rule' : provider.issuer} are unknown here, so the signature cannot be verified`;
  }
  if (fault === VERIFICATION_FAILS) return signatureText(token, set);
  return `${noKeyText(token, set)}${isPublished === true ? LEFT_OUT : ''}`;
}

/** For a token whose signature no key verifies. */
function signatureText({ alg, kid }: ParsedToken, { source, keys }: KeySet): string {
  const types = new Set(keys.filter((key) => kid === '' || (key['kid'] ?? kid) === kid).map((key) => key['kty']));
  const needed = keyTypeOf(alg);
  const other =
    types.size > 0 && !types.has(needed) ? `; ${alg} needs a key of type ${needed}, the type here is ${[...types].join(', ')}` : '';
  return `no key from ${source} verifies this signature (alg ${alg}${kid === '' ? '' : `, kid ${kid}`})${other}`;
}

function keyTypeOf(alg: string): string {
  if (alg === 'EdDSA') return 'OKP';
  if (alg.startsWith('HS')) return 'oct';
  return alg.startsWith('ES') ? 'EC' : 'RSA';
}

/** For a token that no key is eligible for. */
function noKeyText({ alg, kid }: ParsedToken, { source, keys }: KeySet): string {
  const token = `the token has ${kid === '' ? 'no kid' : `kid ${kid}`} and alg ${alg}`;
  const algorithms = keys.filter((key) => kid === '' || key['kid'] === kid).flatMap((key) => key['alg'] ?? []);
  if (algorithms.length > 0) {
    const subject = kid === '' ? 'the keys' : 'that key';
    return `${token}; ${subject} from ${source} ${algorithms.length > 1 ? 'are' : 'is'} for ${listText(algorithms)} only`;
  }
  const known = keys.map((key) => `${key['kid'] ?? '(no kid)'}${key['alg'] === undefined ? '' : ` for ${key['alg']}`}`);
  return `${token}; the keys from ${source} are ${listText(known)}`;
}

function listText(values: readonly string[]): string {
  return values.length === 0 ? 'absent' : values.join(', ');
}
