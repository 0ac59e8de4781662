/*
 * Byte classes and small scans of HTTP/1.1 (RFC 9110, RFC 9112) on latin1 strings, one character per byte. Nothing here allocates but
 * the strings it returns.
 */

const SPACE = 0x20;
const TAB = 0x09;

/** `text[start, end)` without surrounding spaces and tabs. */
export function trimWhitespace(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isWhitespace(text.charCodeAt(from))) from += 1;
  while (to > from && isWhitespace(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** The same text in separate memory: a slice keeps the text that it is a part of. */
export function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** Space or tab. */
export function isWhitespace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Does a comma-separated list such as a Connection header contain `token` (lower case)? */
export function listContains(list: string, token: string): boolean {
  if (list.length === token.length) return list.toLowerCase() === token;
  if (list.length < token.length) return false;
  return list
    .toLowerCase()
    .split(',')
    .some((entry) => entry.trim() === token);
}

// Anything but tab, CR, LF, visible characters, space and obs-text.
const ILLEGAL_IN_HEAD = /[^\t\r\n\x20-\x7e\x80-\xff]/;
const CR = 0x0d;
const LF = 0x0a;

// Control characters that are not allowed anywhere in a head; CR and LF are checked elsewhere.
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Does `head` contain a control character other than tab, CR and LF? `false` when it begins with one: that is not HTTP at all. */
export function hasControlCharacter(head: string): boolean {
  return head.search(CONTROL) > 0;
}

/** Does a message head, or a part of it, contain control characters, a CR without LF or (except as its first byte) a LF without CR? */
export function hasIllegalByte(head: string): boolean {
  return ILLEGAL_IN_HEAD.test(head) || hasLoneLineEnd(head);
}

/** Searched for with `indexOf`: one expression with these alternatives takes half as long again. */
function hasLoneLineEnd(head: string): boolean {
  for (let at = head.indexOf('\n', 1); at !== -1; at = head.indexOf('\n', at + 1)) if (head.charCodeAt(at - 1) !== CR) return true;
  for (let at = head.indexOf('\r'); at !== -1 && at + 1 < head.length; at = head.indexOf('\r', at + 1)) {
    if (head.charCodeAt(at + 1) !== LF) return true;
  }
  return false;
}
