/*
 * Web-safe base64 as Envoy decodes it: padding is optional, ASCII whitespace is ignored, `+` and `/` are refused.
 */

const PLAIN = /^[A-Za-z0-9_-]*$/;
const PADDED = /^[A-Za-z0-9_-]*={0,2}$/;
const SPACE = /[\t\n\v\f\r ]+/g;

/**
 * The bytes that `encoded` represents; `undefined` when it is not web-safe base64. Unused trailing bits are ignored.
 * @param encoded latin1; ASCII whitespace is skipped anywhere; padding is absent or complete
 * @see RFC 4648, section 5
 */
export function decodeBase64Url(encoded: string): Buffer | undefined {
  if (PLAIN.test(encoded)) {
    return encoded.length % 4 === 1 ? undefined : Buffer.from(encoded, 'base64url');
  }
  const packed = encoded.replace(SPACE, '');
  if (!PADDED.test(packed)) {
    return undefined;
  }
  const padding = packed.indexOf('=');
  const digits = padding === -1 ? packed : packed.slice(0, padding);
  const pads = packed.length - digits.length;
  if (digits.length % 4 === 1 || (pads !== 0 && pads !== (4 - (digits.length % 4)) % 4)) {
    return undefined;
  }
  return Buffer.from(digits, 'base64url');
}
