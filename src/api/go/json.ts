/*
 * JSON as Go's encoding/json reads and writes it where that differs from JavaScript: the first value of a text, a limit on
 * nesting, the texts of errors, strings safe for HTML. Called by the decoder and by check-jwks-text.
 * @see https://pkg.go.dev/encoding/json
 */

/** What was read, or Go's words for why nothing was. */
export type JsonResult = { readonly kind: 'ok'; readonly value: unknown } | { readonly kind: 'error'; readonly message: string };

const MAX_DEPTH = 10_000;
const BLANKS: ReadonlySet<string> = new Set([' ', '\t', '\r', '\n']);
const LITERALS: readonly string[] = ['true', 'false', 'null'];

/** Reads the first value of `text`, as Go's `Decoder` does; what follows an object or a list is not looked at. */
export function parseFirstJson(text: string): JsonResult {
  const end = endOfFirst(text);
  if (end === 'too deep') return { kind: 'error', message: 'exceeded max depth' };
  try {
    return { kind: 'ok', value: JSON.parse(end === undefined ? text : text.slice(0, end)) };
  } catch {
    // The text of the error is made by hand, to be the one that users of Istio know.
    return { kind: 'error', message: jsonError(text) };
  }
}

/** `text` as a JSON string the way Go writes it: safe in HTML, well-formed. */
export function goJsonString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** What Go says when a value does not fit into a variable of type `wanted`. */
export function goTypeError(value: unknown, wanted: string): string {
  return `json: cannot unmarshal ${jsonType(value)} into Go value of type ${wanted}`;
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Where the object or list that the text begins with ends; undefined: it begins with something else, or has no end. */
function endOfFirst(text: string): number | 'too deep' | undefined {
  let index = 0;
  while (BLANKS.has(text.charAt(index))) index += 1;
  if (text[index] !== '{' && text[index] !== '[') return undefined;
  let depth = 0;
  let isInString = false;
  for (; index < text.length; index++) {
    const character = text[index];
    if (character === '"') isInString = !isInString;
    else if (isInString) index += character === '\\' ? 1 : 0;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth > MAX_DEPTH) return 'too deep';
    if (depth === 0) return index + 1;
  }
  return undefined;
}

/** Go's text for text that does not even begin as JSON; a plain one otherwise. */
function jsonError(text: string): string {
  const start = text.replace(/^[ \t\r\n]+/, '');
  const first = start[0];
  if (first === undefined) return 'EOF';
  const literal = LITERALS.find((candidate) => candidate[0] === first);
  if (literal === undefined) {
    return /[{["\-0-9]/.test(first) ? 'invalid JSON' : `invalid character ${quote(start)} looking for beginning of value`;
  }
  for (let index = 1; index < literal.length; index++) {
    if (start[index] === undefined) return 'unexpected EOF';
    if (start[index] !== literal[index])
      return `invalid character ${quote(start.slice(index))} in literal ${literal} (expecting '${literal[index] ?? ''}')`;
  }
  return `invalid character ${quote(start.slice(literal.length))} after top-level value`;
}

/** The first byte of `text` in single quotes. */
function quote(text: string): string {
  const [byte = 0] = new TextEncoder().encode(text.slice(0, 2));
  const character = String.fromCharCode(byte);
  if (character === "'") return "'\\''";
  return character === '"' ? `'"'` : `'${JSON.stringify(character).slice(1, -1)}'`;
}
