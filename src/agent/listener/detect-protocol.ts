/*
 * What a client's first bytes say about its protocol. In doubt it is HTTP: the codec refuses what is not, whereas an HTTP request that passes
 * as opaque bytes would be seen by the TCP rules only. So everything counts as HTTP that a lenient server would take for a request line, which
 * is more than in Envoy's inspector.
 */

/** `more`: the bytes do not say yet. */
export type DetectedProtocol = 'http' | 'tcp' | 'more';

const LINE_FEED = 0x0a;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** The target of a request in origin, absolute or asterisk form. */
const TARGET = /^(?:\/|https?:|\*(?:\s|$))/i;
const LETTER = /[A-Za-z]/;
/** Below it are control characters. */
const SPACE = 0x20;
const VERSION = /\bHTTP\/[\d.]*\s*$/i;

/** @param max beyond as many bytes without a line end they are HTTP, whose codec refuses a line that is too long */
export function detectProtocol(bytes: Buffer, max: number): DetectedProtocol {
  const isLong = bytes.length >= max;
  const start = skipBlanks(bytes, 0);
  if (start === bytes.length) return isLong ? 'tcp' : 'more';
  const methodEnd = skipWord(bytes, start);
  const method = bytes.toString('latin1', start, Math.min(methodEnd, start + max));
  if (!TOKEN.test(method)) return 'tcp';
  const targetAt = skipBlanks(bytes, methodEnd);
  const lineEnd = bytes.indexOf(LINE_FEED, methodEnd);
  if (lineEnd !== -1 && lineEnd < targetAt) return 'tcp';
  if (targetAt === bytes.length) return isLong ? 'tcp' : 'more';
  // What looks like whitespace is the length of an LDAP bind. No server serves a method like this and resolves the target to another one.
  if ((bytes[targetAt] ?? 0) < SPACE && !LETTER.test(method)) return 'tcp';
  const rest = bytes.toString('latin1', targetAt, lineEnd === -1 ? Math.min(bytes.length, targetAt + max) : lineEnd);
  if (TARGET.test(rest)) return 'http';
  if (lineEnd !== -1) return VERSION.test(rest) ? 'http' : 'tcp';
  return isLong ? 'http' : 'more';
}

/** What servers skip before a request line, or take for the space in it: also what only some programming languages count as whitespace. */
function isBlank(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || (byte >= 0x1c && byte <= 0x1f) || byte === 0x85 || byte === 0xa0;
}

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (isBlank(bytes[at])) at += 1;
  return at;
}

function skipWord(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && !isBlank(bytes[at])) at += 1;
  return at;
}
