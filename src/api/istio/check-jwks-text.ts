/*
 * Would Istio's admission take this text as an inline JWKS? Text in, the reason for a refusal out, and the places of private
 * keys. It asks less than verification does (an empty key list passes). Called by validate-request-authentication.
 * @see github.com/lestrrat-go/jwx jwk.Parse
 */
import { isRecord } from './decode-message.ts';

export interface JwksTextCheck {
  /** Absent: it would be taken. */
  readonly error?: string;
  /** Positions of keys with private (or symmetric) material. */
  readonly privateKeys: readonly number[];
}

const REQUIRED_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['e', 'n'],
  EC: ['crv', 'x', 'y'],
  oct: ['k'],
  OKP: ['crv', 'x'],
};
const LITERALS: readonly string[] = ['true', 'false', 'null'];

/** Checks the text of `jwks`. */
export function checkJwksText(text: string): JwksTextCheck {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The text of the error is made by hand, to be the one that users of Istio know.
    return { error: jsonError(text), privateKeys: [] };
  }
  if (!isRecord(value)) return { error: `expected '{', but got ${JSON.stringify(text.trim()[0] ?? '')}`, privateKeys: [] };
  if (!Object.hasOwn(value, 'keys')) {
    const error = keyError(value);
    if (error !== undefined) return { error: `failed to parse sole key in key set: ${error}`, privateKeys: [] };
    return { privateKeys: isPrivate(value) ? [0] : [] };
  }
  return checkKeys(value['keys']);
}

function checkKeys(keys: unknown): JwksTextCheck {
  if (keys === null) return { privateKeys: [] };
  if (!Array.isArray(keys))
    return { error: 'failed to decode "keys": json: cannot unmarshal into Go value of type []json.RawMessage', privateKeys: [] };
  const privateKeys: number[] = [];
  for (const [index, key] of keys.entries()) {
    const error = isRecord(key) ? keyError(key) : 'failed to unmarshal JSON into key hint';
    if (error !== undefined) return { error: `failed to decode key #${index} in "keys": ${error}`, privateKeys };
    if (isPrivate(key)) privateKeys.push(index);
  }
  return { privateKeys };
}

function keyError(key: Readonly<Record<string, unknown>>): string | undefined {
  const kty = key['kty'];
  if (kty !== undefined && typeof kty !== 'string') return 'failed to unmarshal JSON into key hint';
  const required = kty !== undefined && Object.hasOwn(REQUIRED_MEMBERS, kty) ? REQUIRED_MEMBERS[kty] : undefined;
  if (required === undefined) return `invalid key type from JSON (${kty ?? ''})`;
  const missing = required.find((member) => typeof key[member] !== 'string');
  return missing === undefined ? undefined : `failed to unmarshal JSON into key: required field ${missing} is missing`;
}

function isPrivate(key: unknown): boolean {
  return isRecord(key) && (key['kty'] === 'oct' || (key['d'] !== undefined && key['d'] !== null));
}

/** Go's text for text that does not even begin as JSON; a plain one otherwise. */
function jsonError(text: string): string {
  const start = text.replace(/^[ \t\r\n]+/, '');
  const first = start[0];
  if (first === undefined) return 'unexpected end of JSON input';
  const literal = LITERALS.find((candidate) => candidate[0] === first);
  if (literal === undefined) {
    return /[{["\-0-9]/.test(first) ? 'invalid JSON' : `invalid character ${goQuote(first)} looking for beginning of value`;
  }
  for (let index = 1; index < literal.length; index++) {
    const character = start[index];
    if (character === undefined) return 'unexpected end of JSON input';
    if (character !== literal[index])
      return `invalid character ${goQuote(character)} in literal ${literal} (expecting '${literal[index] ?? ''}')`;
  }
  return `invalid character ${goQuote(start[literal.length] ?? '')} after top-level value`;
}

function goQuote(character: string): string {
  return character === "'" ? "'\\''" : `'${JSON.stringify(character).slice(1, -1).replace('\\"', '"')}'`;
}
