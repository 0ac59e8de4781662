/*
 * A strict JSON parser for tokens and key sets, which are untrusted input. It refuses duplicate members, lone surrogates, numbers
 * beyond the range of a double and deep nesting, all of which JSON.parse accepts. Its objects have no prototype. Linear time.
 */
import { isUtf8 } from 'node:buffer';
import { LIMITS } from '../limits/agent-limits.ts';
import type { Json } from '../policy/facts.ts';

/** A JSON object without prototype, so that a lookup never finds an inherited name. */
export interface JsonObject {
  [key: string]: Json;
}

/** Maximum nesting depth; the outermost object or array counts. */
export const MAX_JSON_DEPTH: number = LIMITS.jsonDepth.value;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// A run of characters without special meaning; a control character, quote or backslash ends it.
// oxlint-disable-next-line no-control-regex -- control characters are what ends a run
const PLAIN_RUN = /[^"\\\u0000-\u001f]*/y;
const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
const HEX4 = /^[0-9A-Fa-f]{4}$/;

// Thrown and caught inside this file only.
class NotJson extends Error {}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value();
    this.#skipSpace();
    if (this.#at !== this.#text.length) {
      throw new NotJson();
    }
    return value;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) {
        return;
      }
      this.#at += 1;
    }
  }

  #value(): Json {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #word(word: string, value: boolean | null): boolean | null {
    if (!this.#text.startsWith(word, this.#at)) {
      throw new NotJson();
    }
    this.#at += word.length;
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) {
      throw new NotJson();
    }
    this.#at += match[0].length;
    const value = Number(match[0]);
    if (!Number.isFinite(value)) {
      throw new NotJson();
    }
    return value;
  }

  #string(): string {
    this.#at += 1;
    const first = this.#run();
    if (this.#text[this.#at] === '"') {
      this.#at += 1;
      return first;
    }
    // Joined at the end: a chain of concatenations takes many times the memory of the string.
    const parts = [first];
    while (this.#text[this.#at] === '\\') parts.push(this.#escape(), this.#run());
    const value = parts.join('');
    if (this.#text[this.#at] !== '"' || !value.isWellFormed()) {
      throw new NotJson();
    }
    this.#at += 1;
    return value;
  }

  #run(): string {
    PLAIN_RUN.lastIndex = this.#at;
    const run = PLAIN_RUN.exec(this.#text)?.[0] ?? '';
    this.#at += run.length;
    return run;
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? '';
    if (letter === 'u') {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6);
      if (!HEX4.test(digits)) {
        throw new NotJson();
      }
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const value = SIMPLE_ESCAPES.get(letter);
    if (value === undefined) {
      throw new NotJson();
    }
    this.#at += 2;
    return value;
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > MAX_JSON_DEPTH) {
      throw new NotJson();
    }
    this.#at += 1;
    this.#skipSpace();
  }

  /** After a member or element: does another one follow? */
  #more(close: string): boolean {
    this.#skipSpace();
    const next = this.#text[this.#at];
    this.#at += 1;
    if (next === ',') {
      return true;
    }
    if (next !== close) {
      throw new NotJson();
    }
    this.#depth -= 1;
    return false;
  }

  #object(): JsonObject {
    this.#enter();
    const value = Object.create(null) as JsonObject;
    if (this.#text[this.#at] === '}') {
      this.#more('}');
      return value;
    }
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') {
        throw new NotJson();
      }
      const key = this.#string();
      this.#skipSpace();
      if (this.#text[this.#at] !== ':' || key in value) {
        throw new NotJson();
      }
      this.#at += 1;
      value[key] = this.#value();
    } while (this.#more('}'));
    return value;
  }

  #array(): Json[] {
    this.#enter();
    const value: Json[] = [];
    if (this.#text[this.#at] === ']') {
      this.#more(']');
      return value;
    }
    do {
      value.push(this.#value());
    } while (this.#more(']'));
    return value;
  }
}

/**
 * The value that `json` denotes; `undefined` when it is not acceptable JSON. Never throws.
 * @see RFC 8259; RFC 7519, section 4 (duplicate member names are refused)
 */
export function parseJson(json: string): Json | undefined {
  try {
    return new Reader(json).document();
  } catch (error) {
    if (error instanceof NotJson) {
      return undefined;
    }
    throw error;
  }
}

/**
 * The JSON object in `bytes` (UTF-8, no byte order mark); a top-level `null` counts as an empty object, as in Envoy. `undefined`
 * when the bytes are not UTF-8, not JSON, or another kind of value.
 */
export function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  if (!isUtf8(bytes)) {
    return undefined;
  }
  const value = parseJson(bytes.toString('utf8'));
  if (value === null) {
    return Object.create(null) as JsonObject;
  }
  return isJsonObject(value) ? value : undefined;
}

/** Is `value` an object (neither an array nor `null`)? */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
