/*
 * Text in quotes as Go prints it with `%q`. Text in, quoted text out. Called wherever a message of Istio quotes a value.
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
/** What Go's unicode.IsPrint takes needs no escape. */
const UNPRINTABLE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

/** `text` as Go's `strconv.Quote` writes it: only what cannot be printed is escaped. A lone surrogate is U+FFFD, as after JSON in Go. */
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
