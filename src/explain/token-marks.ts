/*
 * Finds what looks like a compact token inside other text: a JSON object in base64url, a dot, and another one.
 */

/** The start of a JSON object in base64url that goes on. */
const OBJECT_START = /\beyJ[\w-]/;
const WHOLE_OBJECT = /^eyJ[\w-]+$/;
const WORD_CHARACTER = /[\w-]/;

/** Whether `text` has a header and a payload, with a dot behind each. */
export function hasToken(text: string): boolean {
  const parts = text.split('.');
  return parts.some((part, at) => at + 2 < parts.length && WHOLE_OBJECT.test(parts[at + 1] ?? '') && endsInObject(part));
}

/** The number of places in `text` where a header and a payload begin. */
export function countTokens(text: string): number {
  const parts = text.split('.');
  let count = 0;
  for (let at = 0; at + 1 < parts.length; at += 1) {
    if (!(parts[at + 1] ?? '').startsWith('eyJ') || !endsInObject(parts[at] ?? '')) continue;
    count += 1;
    at += 1;
  }
  return count;
}

/** Whether the word at the end of `part` contains the start of an object. */
function endsInObject(part: string): boolean {
  let start = part.length;
  while (start > 0 && WORD_CHARACTER.test(part.charAt(start - 1))) start -= 1;
  return OBJECT_START.test(part.slice(start));
}
