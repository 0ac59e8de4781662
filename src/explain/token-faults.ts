/*
 * What is wrong with a token, in words. In: the fault that the authenticator found, the token and the rule. Out: one sentence
 * with what was seen and what the rule says. The token itself is never repeated.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { type ParsedToken, parseToken } from '../jwt/parse-token.ts';
import { AUDIENCE_NOT_ALLOWED, NO_MATCHING_KEY, type TokenFault, UNKNOWN_ISSUER, VERIFICATION_FAILS } from '../jwt/token-fault.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { momentText, spanText } from './span-text.ts';

export interface FaultContext {
  readonly provider: JwtProvider;
  readonly keySets: Readonly<Record<string, KeySet>>;
  readonly nowSeconds: number;
}

/** Later than any date that is meant in seconds: the year 5138. */
const SURELY_MILLISECONDS = 1e11;
const PARTS_OF_JWE = 5;

/** The fault with what was seen and what the rule says. @param text the token as extracted */
export function faultText(fault: TokenFault, text: string, context: FaultContext): string {
  const token = parseToken(text);
  if (typeof token === 'string') return `the token is malformed: ${fault}${malformedNote(text)}`;
  switch (fault) {
    case 'Jwt is expired':
      return `token expired ${spanText(context.nowSeconds - token.expires)} ago (exp ${momentText(token.expires)})`;
    case 'Jwt not yet valid':
      return `token becomes valid in ${spanText(token.notBefore - context.nowSeconds)} (nbf ${momentText(token.notBefore)})${millisecondsNote(token)}`;
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

/** What the text is instead of a token. */
function malformedNote(text: string): string {
  const note = malformedReason(text);
  return note === undefined ? '' : ` (${note})`;
}

function malformedReason(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (/^(undefined|null|\[object Object\]|true|false)$/.test(text)) return `it is the word ${text}: the client had no token`;
  if (/^[$<{%]|^TOKEN$/.test(text)) return 'it looks like a placeholder that nobody filled in';
  if (/^Bearer\s/i.test(text)) return 'it begins with Bearer once more';
  if ((text.match(/\beyJ[\w-]+\.eyJ/g) ?? []).length > 1) return 'there are two tokens in one: was the header sent twice?';
  const strange = /[^A-Za-z0-9_.=-]/.exec(text)?.[0];
  if (strange !== undefined) return `it holds ${JSON.stringify(strange)}, which no token has`;
  const parts = text.split('.').filter((part) => part !== '').length;
  if (parts === PARTS_OF_JWE) return 'it has 5 parts, so it is encrypted (JWE); only signed tokens are taken';
  if (parts !== 3) return `it has ${parts === 1 ? '1 part' : `${parts} parts`}; an opaque access token is no JWT`;
  const alg = /"alg"\s*:\s*"([^"]*)"/.exec(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString('latin1'))?.[1];
  return alg === undefined ? undefined : `alg is ${alg}`;
}

function millisecondsNote({ notBefore }: ParsedToken): string {
  return notBefore > SURELY_MILLISECONDS ? '; it seems to be in milliseconds, seconds are wanted' : '';
}

function issuerText(seen: string, wanted: string): string {
  if (seen === '') return `the token has no iss, the policy says ${wanted}`;
  if (seen === `${wanted}/`) return `iss ends in /, the policy says ${wanted}`;
  if (`${seen}/` === wanted) return `iss is ${seen}, the policy says ${wanted} with a / at the end`;
  return `iss is ${seen}, the policy says ${wanted}${differenceNote([seen], [wanted])}`;
}

function audienceText(seen: readonly string[], wanted: readonly string[]): string {
  if (seen.length === 0) return `the token has no aud, the policy says ${listText(wanted)}`;
  return `aud is ${listText(seen)}, the policy says ${listText(wanted)}${differenceNote(seen, wanted)}`;
}

/** In what alone one of `seen` differs from one of `wanted`. */
function differenceNote(seen: readonly string[], wanted: readonly string[]): string {
  const same = (fold: (text: string) => string): boolean => seen.some((one) => wanted.some((other) => fold(one) === fold(other)));
  if (same((text) => text.toLowerCase())) return ' (case counts)';
  if (same((text) => text.replace(/^https?:\/\//, ''))) return ' (http is not https)';
  if (same((text) => text.replace(/^https?:\/\//, '').replace(/\/+$/, ''))) return ' (slashes at the end count)';
  return same((text) => text.trim()) ? ' (blanks count)' : '';
}

function keyText(fault: TokenFault, token: ParsedToken, { provider, keySets }: FaultContext): string {
  const set = Object.hasOwn(keySets, provider.keySet) ? keySets[provider.keySet] : undefined;
  if (set === undefined) {
    return `no keys of ${provider.issuer === '' ? 'this rule' : provider.issuer} are known here, so the signature cannot be verified`;
  }
  return fault === VERIFICATION_FAILS ? signatureText(token, set) : noKeyText(token, set);
}

/** A key was tried and did not make the signature. */
function signatureText({ alg, kid }: ParsedToken, { source, keys }: KeySet): string {
  const types = new Set(keys.filter((key) => kid === '' || (key['kid'] ?? kid) === kid).map((key) => key['kty']));
  const wanted = keyTypeOf(alg);
  const other = types.size > 0 && !types.has(wanted) ? `; ${alg} needs a key of type ${wanted}, there is ${[...types].join(', ')}` : '';
  return `no key from ${source} made this signature (alg ${alg}${kid === '' ? '' : `, kid ${kid}`})${other}`;
}

function keyTypeOf(alg: string): string {
  if (alg === 'EdDSA') return 'OKP';
  if (alg.startsWith('HS')) return 'oct';
  return alg.startsWith('ES') ? 'EC' : 'RSA';
}

/** No key was even tried. */
function noKeyText({ alg, kid }: ParsedToken, { source, keys }: KeySet): string {
  const said = `the token says ${kid === '' ? 'no kid' : `kid ${kid}`} and alg ${alg}`;
  const own = keys.filter((key) => kid === '' || key['kid'] === kid).flatMap((key) => key['alg'] ?? []);
  if (own.length > 0)
    return `${said}; ${kid === '' ? 'the keys' : 'that key'} from ${source} ${own.length > 1 ? 'are' : 'is'} for ${listText(own)} only`;
  const shown = keys.map((key) => `${key['kid'] ?? '(no kid)'}${key['alg'] === undefined ? '' : ` for ${key['alg']}`}`);
  return `${said}; the keys from ${source} are ${listText(shown)}`;
}

function listText(values: readonly string[]): string {
  return values.length === 0 ? 'absent' : values.join(', ');
}
