/*
 * JSON parsing and encoding where Go's encoding/json differs from JavaScript: first value of a text, nesting limit, error
 * texts, HTML-safe strings.
 * @see https://pkg.go.dev/encoding/json
 */

/** The parsed value, or Go's error text. */
export type JsonResult = { readonly kind: 'ok'; readonly value: unknown } | { readonly kind: 'error'; readonly message: string };

const MAX_DEPTH = 10_000;
const WHITESPACE: ReadonlySet<string> = new Set([' ', '\t', '\r', '\n']);
const LITERALS: readonly string[] = ['true', 'false', 'null'];

/** Parses the first value of `text`, like Go's `Decoder`; ignores what follows an object or an array. */
export function parseFirstJson(text: string): JsonResult {
  const end = endOfFirst(text);
  if (end === 'too deep') return { kind: 'error', message: 'exceeded max depth' };
  try {
    return { kind: 'ok', value: JSON.parse(end === undefined ? text : text.slice(0, end)) };
  } catch {
    // V8's error text differs from Go's, which is part of Istio's admission message.
    return { kind: 'error', message: jsonError(text) };
  }
}

/** `text` as a JSON string the way Go encodes it: well-formed, with characters escaped that are unsafe in HTML. */
export function goJsonString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Go's error text for a JSON value that does not fit the Go type `wanted`. */
export function goTypeError(value: unknown, wanted: string): string {
  return `json: cannot unmarshal ${jsonType(value)} into Go value of type ${wanted}`;
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** End offset of the object or array at the start of `text`; undefined if the text starts with another value or is incomplete. */
function endOfFirst(text: string): number | 'too deep' | undefined {
  let index = 0;
  while (WHITESPACE.has(text.charAt(index))) index += 1;
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

/** Go's error text for input that does not start like JSON; a generic one otherwise. */
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
