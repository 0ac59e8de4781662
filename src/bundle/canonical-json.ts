/*
 * Canonical JSON: equal values give equal strings.
 */
import { digestBase64Url } from './digest.ts';

/** A piece of canonical JSON. */
export class Chunk {
  readonly text: string;
  #size = -1;
  #digest = '';

  constructor(text: string) {
    this.text = text;
  }

  /** Bytes in UTF-8. */
  get size(): number {
    if (this.#size < 0) this.#size = Buffer.byteLength(this.text);
    return this.#size;
  }

  /** SHA-256 in base64url, computed once. */
  get digest(): string {
    if (this.#digest === '') this.#digest = digestBase64Url(this.text);
    return this.#digest;
  }
}

/** Text of values that are part of many bundles. */
const keptTexts = new WeakMap<object, Chunk>();
/** Text of values that have parts of many bundles in them. */
const joinedTexts = new WeakMap<object, string>();
/** Shortest text that is a chunk, in characters. */
const MIN_CHUNK = 128;
/** Most chunks of one document. */
const MAX_CHUNKS = 4096;

/**
 * The canonical form of a plain JSON value: members sorted by code unit, those that are array indices first, no whitespace. Members that are
 * `undefined` are omitted, as by JSON.stringify.
 *
 * @example canonicalJson({ b: 1, a: [true, null] }) // '{"a":[true,null],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

/**
 * Computes the canonical form of `value` once; {@link canonicalJsonOfParts} uses it for as long as `value` exists. `value` must never change.
 *
 * @returns the length of the text
 */
export function keepCanonicalJson(value: object): number {
  const chunk = keptTexts.get(value) ?? new Chunk(canonicalJsonOfParts(value));
  keptTexts.set(value, chunk);
  return chunk.text.length;
}

/** The same for a value whose parts were kept: in chunks it is still cut into them. `value` must never change. */
export function joinCanonicalJson(value: object): void {
  joinedTexts.set(value, canonicalJsonOfParts(value));
}

/** The same as {@link canonicalJson}, quicker for a value of which parts were kept. */
export function canonicalJsonOfParts(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const kept = keptTexts.get(value);
  if (kept !== undefined) return kept.text;
  const joined = joinedTexts.get(value);
  if (joined !== undefined) return joined;
  let text = '';
  let separator = '';
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) {
      text += item === undefined ? `${separator}null` : separator + canonicalJsonOfParts(item);
      separator = ',';
    }
    return `[${text}]`;
  }
  const members = value as Readonly<Record<string, unknown>>;
  for (const key of inOrder(Object.keys(members))) {
    const member = members[key];
    if (member === undefined) continue;
    text += `${separator}${JSON.stringify(key)}:${canonicalJsonOfParts(member)}`;
    separator = ',';
  }
  return `{${text}}`;
}

/**
 * The canonical form in chunks: each text that was kept is one, and what is between two of them. Kept texts of a few characters, and all
 * but the long ones of a document of thousands, belong to what is between.
 */
export function canonicalChunks(value: unknown, minCharacters: number = MIN_CHUNK): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let between = '';
  const write = (one: unknown): void => {
    if (typeof one !== 'object' || one === null) {
      between += JSON.stringify(one);
      return;
    }
    const kept = keptTexts.get(one);
    if (kept !== undefined && kept.text.length < minCharacters) between += kept.text;
    else if (kept !== undefined) {
      if (between !== '') chunks.push(new Chunk(between));
      chunks.push(kept);
      between = '';
    } else if (Array.isArray(one)) writeList('[]', one, (item) => write(item === undefined ? null : item));
    else {
      const members = one as Readonly<Record<string, unknown>>;
      const keys = inOrder(Object.keys(members)).filter((key) => members[key] !== undefined);
      writeList('{}', keys, (key) => {
        between += `${JSON.stringify(key)}:`;
        write(members[key]);
      });
    }
  };
  const writeList = <T>(ends: string, items: readonly T[], writeItem: (item: T) => void): void => {
    between += ends.charAt(0);
    items.forEach((item, at) => {
      if (at > 0) between += ',';
      writeItem(item);
    });
    between += ends.charAt(1);
  };
  write(value);
  if (between !== '') chunks.push(new Chunk(between));
  return chunks.length > MAX_CHUNKS ? canonicalChunks(value, minCharacters * 4) : chunks;
}

/** Whether a key may be an array index, which has at most ten digits. */
const INDEX = /^[0-9]{1,10}$/;

/** The keys as {@link canonicalJson} writes them: those of JavaScript's array indices come first, whatever the order of their creation. */
function inOrder(keys: readonly string[]): readonly string[] {
  const byUnit = isSorted(keys) ? keys : keys.toSorted();
  if (!byUnit.some((key) => INDEX.test(key))) return byUnit;
  const members = Object.create(null) as Record<string, true>;
  for (const key of byUnit) members[key] = true;
  return Object.keys(members);
}

function isSorted(keys: readonly string[]): boolean {
  for (let at = 1; at < keys.length; at += 1) if ((keys[at - 1] ?? '') > (keys[at] ?? '')) return false;
  return true;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  // Without a prototype, a member named `__proto__` is a member like any other.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).sort()) copy[key] = sorted((value as Record<string, unknown>)[key]);
  return copy;
}
