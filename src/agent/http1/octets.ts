/*
 * Octet classes and small scans of HTTP/1.1 (RFC 9110, RFC 9112), shared by the head parsers and the chunk reader. In:
 * latin1 strings, one character per octet. Out: predicates that allocate nothing.
 */

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") TOKEN[character.charCodeAt(0)] = 1;

const SPACE = 0x20;
const TAB = 0x09;

/** Is `text[start, end)` a token (RFC 9110 section 5.6.2), so at least one octet long? */
export function isToken(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return end > start;
}

/** `text[start, end)` without the blanks and tabs around it. */
export function trimBlanks(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** Space or tab. */
export function isBlank(octet: number): boolean {
  return octet === SPACE || octet === TAB;
}

/** Does a comma-separated list such as a Connection header hold `token` (given in lower case)? */
export function listHolds(list: string, token: string): boolean {
  if (list.length === token.length) return list.toLowerCase() === token;
  if (list.length < token.length) return false;
  return list
    .toLowerCase()
    .split(',')
    .some((entry) => entry.trim() === token);
}

// Anything but tab, visible octets, space, obs-text and well-paired CR LF.
const ILLEGAL_IN_HEAD = /[^\t\r\n\x20-\x7e\x80-\xff]|\r[^\n]|[^\r]\n/;

// Control octets that no place of a head may hold; CR and LF are another matter.
// oxlint-disable-next-line no-control-regex -- these are the characters to find
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Does `head` hold a control octet other than tab, CR and LF? `false` when it begins with one: that is no request at all. */
export function hasControlOctet(head: string): boolean {
  return head.search(CONTROL) > 0;
}

/** Does a message head, or a part of one, hold control octets, a CR without LF or (but at its very start) a LF without CR? */
export function hasIllegalOctet(head: string): boolean {
  return ILLEGAL_IN_HEAD.test(head);
}
