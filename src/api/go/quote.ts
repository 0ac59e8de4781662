/*
 * Quotes strings like Go's `%q`. Istio's and the API server's messages quote values this way.
 * @see https://pkg.go.dev/strconv#Quote
 */

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};
/** Characters that Go's unicode.IsPrint rejects are escaped. */
const UNPRINTABLE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

/** `text` as Go's `strconv.Quote` writes it: only unprintable characters are escaped. A lone surrogate becomes U+FFFD, like after JSON decoding in Go. */
export function goQuote(text: string): string {
  return `"${text.toWellFormed().replace(UNPRINTABLE, escapeOf)}"`;
}

function escapeOf(character: string): string {
  const short = ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0');
}
