/*
 * Reads text that is JSON without the YAML parser, which takes ten times as long.
 */

/** As deep as YAML may be nested. */
const MAX_DEPTH = 1000;

/** What a text says. */
export interface JsonText {
  readonly value: unknown;
  /** Where the value starts. */
  readonly offset: number;
}

/** The value of `text`; undefined when it is no JSON object, or has a member twice: the YAML parser then says what is wrong. */
export function readJsonObject(text: string): JsonText | undefined {
  const offset = text.search(/[^ \t\r\n]/);
  if (offset === -1 || text[offset] !== '{') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return membersIn(value) === writtenMembers(text) ? { value, offset } : undefined;
}

/** The members of all objects in `value`; NaN when it is nested too deeply. */
function membersIn(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAX_DEPTH) return Number.NaN;
  const members: readonly unknown[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : members.length;
  for (const member of members) count += membersIn(member, depth + 1);
  return count;
}

/** The number of colons outside of strings. */
function writtenMembers(json: string): number {
  let count = 0;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === COLON) count += 1;
    else if (code === QUOTE) at = endOfString(json, at);
  }
  return count;
}

const COLON = 58;
const QUOTE = 34;
const BACKSLASH = 92;

/** @param start position of the opening quote */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
