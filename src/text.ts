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
