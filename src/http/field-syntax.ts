/*
 * Syntax of header fields (RFC 9110 section 5): which names and values may be sent.
 */

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") TOKEN[character.charCodeAt(0)] = 1;

/** Is `text[start, end)` a token (RFC 9110 section 5.6.2), so at least one byte long? */
export function isToken(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return end > start;
}

/** May `byte` stand in a token? */
export function isTokenByte(byte: number): boolean {
  return TOKEN[byte] === 1;
}

/** Control characters that would end the header field, and characters that are not one byte. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const INVALID_VALUE = /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/;

/** Is every value of `headers` (flat) a single header line? */
export function areValidValues(headers: readonly string[]): boolean {
  for (let at = 1; at < headers.length; at += 2) if (INVALID_VALUE.test(headers[at] ?? '')) return false;
  return true;
}
