/*
 * Web-safe base64 as the reference proxy reads it: padding optional, ASCII white space ignored, `+` and `/` refused.
 * In: one piece of a token or one member of a key. Out: bytes, or nothing. Called by token and key set parsing.
 */

const PLAIN = /^[A-Za-z0-9_-]*$/;
const PADDED = /^[A-Za-z0-9_-]*={0,2}$/;
const SPACE = /[\t\n\v\f\r ]+/g;

/**
 * The bytes that `text` encodes; `undefined` when it is no web-safe base64. Unused trailing bits are ignored.
 * @param text latin1 text; ASCII white space anywhere is skipped; padding is absent or exactly right
 * @see RFC 4648, section 5
 */
export function decodeBase64Url(text: string): Buffer | undefined {
  if (PLAIN.test(text)) {
    return text.length % 4 === 1 ? undefined : Buffer.from(text, 'base64url');
  }
  const packed = text.replace(SPACE, '');
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
