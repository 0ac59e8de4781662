/*
 * Cuts the JSON of a bundle at its rules, so that an agent parses and validates a few of them at a time: nearly all of a large bundle is
 * rules. Nothing is parsed here but the names of members. The pieces are JSON if and only if the whole is: strings are read as JSON does.
 */
import type { Steps } from '../steps.ts';

/** The rules of one list. */
export interface CutList {
  /** Names and indexes from the bundle to the list. */
  readonly path: readonly (string | number)[];
  /** Elements with the commas between them, in order. A piece without an element is a comma too many. */
  readonly pieces: readonly Uint8Array[];
}

/** A bundle that was cut. */
export interface CutBundle {
  /** The JSON in which the lists are empty. */
  readonly rest: Uint8Array;
  /** Every list of rules of the JSON, also an empty one; if a member is repeated, several have one path. */
  readonly lists: readonly CutList[];
}

/** A piece has at least this many bytes: about 15 rules. */
const PIECE_BYTES = 8 * 1024;
/** Bytes that one step reads. */
const BYTES_PER_STEP = 16 * 1024;

/** A level on the way to the rules. */
type Level =
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Level> }
  | { readonly kind: 'array'; readonly items: Level }
  | 'rules';

const objectWith = (members: Readonly<Record<string, Level>>): Level => ({ kind: 'object', members: new Map(Object.entries(members)) });
const withRules: Level = objectWith({ rules: 'rules' });
const ruleset: Level = objectWith({
  custom: { kind: 'array', items: withRules },
  audit: withRules,
  deny: withRules,
  allow: withRules,
  dryRunDeny: withRules,
  dryRunAllow: withRules,
});
const bundle: Level = objectWith({ programs: { kind: 'array', items: objectWith({ http: ruleset, tcp: ruleset }) } });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const ARRAY = 0x5b;
const END_OF_ARRAY = 0x5d;
const OBJECT = 0x7b;
const END_OF_OBJECT = 0x7d;

/** Cuts `json`. @throws SyntaxError when it finds that it is not JSON, which it need not find */
export function* cutRules(json: Uint8Array): Steps<CutBundle> {
  const cutter = new Cutter(json);
  yield* cutter.value(bundle, []);
  return cutter.finish();
}

class Cutter {
  readonly #bytes: Uint8Array;
  readonly #rest: Uint8Array[] = [];
  readonly #lists: CutList[] = [];
  #at = 0;
  /** Start of what is not in `#rest` yet. */
  #kept = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  finish(): CutBundle {
    this.#rest.push(this.#bytes.subarray(this.#kept));
    return { rest: Buffer.concat(this.#rest), lists: this.#lists };
  }

  /** Reads the value that is next. */
  *value(level: Level | undefined, path: CutList['path']): Steps<void> {
    const first = this.#next();
    if (level === 'rules' && first === ARRAY) yield* this.#rules(path);
    else if (typeof level === 'object' && level.kind === 'object' && first === OBJECT) yield* this.#object(level.members, path);
    else if (typeof level === 'object' && level.kind === 'array' && first === ARRAY) yield* this.#array(level.items, path);
    else yield* this.#skip();
  }

  *#object(members: ReadonlyMap<string, Level>, path: CutList['path']): Steps<void> {
    this.#at += 1;
    if (this.#take(END_OF_OBJECT)) return;
    do {
      const name = this.#name();
      if (!this.#take(COLON)) throw malformed();
      yield* this.value(members.get(name), [...path, name]);
    } while (this.#take(COMMA));
    if (!this.#take(END_OF_OBJECT)) throw malformed();
  }

  *#array(items: Level, path: CutList['path']): Steps<void> {
    this.#at += 1;
    if (this.#take(END_OF_ARRAY)) return;
    let index = 0;
    do yield* this.value(items, [...path, index++]);
    while (this.#take(COMMA));
    if (!this.#take(END_OF_ARRAY)) throw malformed();
  }

  *#rules(path: CutList['path']): Steps<void> {
    this.#at += 1;
    this.#rest.push(this.#bytes.subarray(this.#kept, this.#at));
    const pieces: Uint8Array[] = [];
    let start = this.#at;
    if (this.#next() !== END_OF_ARRAY) {
      for (;;) {
        yield* this.#skip();
        const isLast = this.#bytes[this.#at] !== COMMA;
        if (isLast || this.#at - start >= PIECE_BYTES) {
          pieces.push(this.#bytes.subarray(start, this.#at));
          start = this.#at + 1;
        }
        if (isLast) break;
        this.#at += 1;
      }
    }
    this.#kept = this.#at;
    this.#lists.push({ path, pieces });
    if (!this.#take(END_OF_ARRAY)) throw malformed();
  }

  /** The name of a member. */
  #name(): string {
    const start = this.#at;
    if (this.#next() !== QUOTE) throw malformed();
    this.#at = endOfString(this.#bytes, this.#at + 1) + 1;
    return String(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(this.#bytes.subarray(start, this.#at))));
  }

  /** Moves past whitespace. @returns the byte that follows; undefined: none does */
  #next(): number | undefined {
    const bytes = this.#bytes;
    let at = this.#at;
    while (isWhitespace(bytes[at])) at += 1;
    this.#at = at;
    return bytes[at];
  }

  /** Moves past whitespace, and past `byte` if it is next. */
  #take(byte: number): boolean {
    if (this.#next() !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** Moves to what ends the value that is next: a comma or bracket of the level above, or the end of the bytes. */
  *#skip(): Steps<void> {
    let depth = 0;
    for (;;) {
      depth = this.#skipSome(depth);
      if (depth === -1) return;
      yield;
    }
  }

  /** @returns the number of brackets that are open; -1: the end is reached */
  #skipSome(open: number): number {
    const bytes = this.#bytes;
    const until = Math.min(this.#at + BYTES_PER_STEP, bytes.length);
    let depth = open;
    let at = this.#at;
    for (; at < until; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) at = endOfString(bytes, at + 1);
      else if (byte === OBJECT || byte === ARRAY) depth += 1;
      else if (byte === COMMA || byte === END_OF_OBJECT || byte === END_OF_ARRAY) {
        if (depth === 0) break;
        if (byte !== COMMA) depth -= 1;
      }
    }
    const isEnd = at < until || at >= bytes.length;
    this.#at = Math.min(at, bytes.length);
    return isEnd ? -1 : depth;
  }
}

/** Where the closing quote of a string is, or the end of the bytes. @param at after its opening quote */
function endOfString(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] !== QUOTE) end += bytes[end] === BACKSLASH ? 2 : 1;
  return end;
}

function isWhitespace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function malformed(): SyntaxError {
  return new SyntaxError('not JSON');
}
