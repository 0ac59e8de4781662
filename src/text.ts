/*
 * Plain scans over text that other people write. Their time is proportional to the length of the text, where the obvious regular
 * expression (`/-+$/`) would try every position again.
 */

/** `text` without the characters at its end that are in `characters`. */
export function withoutTrailing(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** `text` up to the first `mark`; the whole text when it has none. */
export function upTo(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}

/** The lines of `text` joined by single spaces, without the whitespace around each and without empty lines. */
export function onOneLine(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ');
}

/** Control and format characters, halves of surrogate pairs, and the two line separators that are neither. */
export const SPECIAL_CHARACTERS: RegExp = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/** `text` on one line, with escapes such as `\n` and `\u001b` for everything that a terminal would interpret. */
export function escapeControls(text: string): string {
  return text.replaceAll(SPECIAL_CHARACTERS, (character) => SHORT_ESCAPES.get(character) ?? escapeUnits(character));
}

/** Each UTF-16 unit of `text` as `\uXXXX`. */
export function escapeUnits(text: string): string {
  let escaped = '';
  for (let at = 0; at < text.length; at += 1) escaped += `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return escaped;
}
