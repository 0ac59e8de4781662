/*
 * Files as lists of parts: each part is either in the message, or one that the receiver has from the message before, named by its digest. Sender
 * and receiver agree on what the receiver has, because it follows from the last message alone.
 */
import { hash } from 'node:crypto';

/** Parts of fewer bytes are always sent: their digests would be as long. */
export const MIN_PART_BYTES = 128;
/** Most bytes of parts that a receiver keeps: the first ones of a message. */
export const MAX_KEPT_BYTES: number = 1024 * 1024;
/** Most parts of one message. */
export const MAX_MESSAGE_PARTS = 8192;
/** Most files of one message. */
const MAX_FILES = 32;

const SEPARATOR = 0x0a;
/** SHA-256 in base64url. */
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/** A part of a file. */
export interface Part {
  readonly size: number;
  /** Of parts with at least {@link MIN_PART_BYTES}; `''` for smaller ones. */
  readonly digest: string;
  readonly bytes: () => Uint8Array;
}

/** A file in parts, in order. */
export interface PartedFile {
  readonly name: string;
  readonly parts: readonly Part[];
}

/** What a receiver has: digests of parts. */
export type Held = ReadonlySet<string>;

/** SHA-256 as messages name it. */
export function partDigest(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'base64url');
}

/** What a receiver has of a message once it has read it. */
export function heldAfter(files: readonly PartedFile[]): Held {
  const held = new Set<string>();
  let kept = 0;
  for (const { parts } of files) {
    for (const { digest, size } of parts) {
      if (digest === '' || held.has(digest) || kept + size > MAX_KEPT_BYTES) continue;
      held.add(digest);
      kept += size;
    }
  }
  return held;
}

/** Whether a message can have these files. @param maxBytes of all files together */
export function fitsMessage(files: readonly PartedFile[], maxBytes: number): boolean {
  const parts = files.flatMap((file) => file.parts);
  const bytes = parts.reduce((sum, { size }) => sum + size, 0);
  return files.length <= MAX_FILES && parts.length <= MAX_MESSAGE_PARTS && bytes <= maxBytes;
}

/** The message: a line of JSON with the name of each file and its parts, digests of what the receiver has or sizes of what follows; then these. */
export function encodeParts(files: readonly PartedFile[], held: Held): Buffer {
  const literals: Uint8Array[] = [];
  const head = files.map(({ name, parts }) => [
    name,
    parts.map((part) => {
      if (part.digest !== '' && held.has(part.digest)) return part.digest;
      literals.push(part.bytes());
      return part.size;
    }),
  ]);
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...literals]);
}

/** What a message turned out to be. `missing`: it names a part that is not there, so that only the whole helps. */
export type Assembled =
  | { readonly kind: 'files'; readonly files: Readonly<Record<string, Uint8Array>> }
  | { readonly kind: 'missing' }
  | { readonly kind: 'invalid'; readonly reason: string };

/** The receiving end: what the last message left. */
export class PartStore {
  #parts = new Map<string, Uint8Array>();

  /** Forgets everything. */
  clear(): void {
    this.#parts.clear();
  }

  /** The files of a message, whose parts then take the place of those of the message before. @param maxBytes of all files together */
  assemble(message: Buffer, maxBytes: number): Assembled {
    const end = message.indexOf(SEPARATOR);
    const head = parseHead(message.subarray(0, Math.max(0, end)).toString('latin1'));
    if (typeof head === 'string') return invalid(head);
    const reading: Reading = { message, at: end + 1, left: maxBytes };
    const files: Record<string, Uint8Array> = Object.create(null) as Record<string, Uint8Array>;
    const read: (readonly [digest: string, bytes: Uint8Array])[] = [];
    for (const [name, parts] of head) {
      const contents: Uint8Array[] = [];
      for (const part of parts) {
        const bytes = this.#read(part, reading);
        if (typeof bytes === 'string') return bytes === 'missing' ? { kind: 'missing' } : invalid(bytes);
        contents.push(bytes);
        if (bytes.length >= MIN_PART_BYTES) read.push([typeof part === 'string' ? part : '', bytes]);
      }
      const [only] = contents;
      files[name] = contents.length === 1 && only !== undefined ? only : Buffer.concat(contents);
    }
    if (reading.at !== message.length) return invalid('there are bytes behind the last part');
    this.#keep(read);
    return { kind: 'files', files };
  }

  /** The bytes of a part, or why the message has no such part. */
  #read(part: string | number, reading: Reading): Uint8Array | string {
    const { message, at } = reading;
    const known = typeof part === 'string' ? this.#parts.get(part) : message.subarray(at, at + part);
    if (known === undefined) return 'missing';
    if (typeof part === 'number' && known.length !== part) return 'a part is longer than the message';
    reading.left -= known.length;
    if (reading.left < 0) return 'the files are too large';
    if (typeof part === 'number') reading.at += part;
    return known;
  }

  #keep(read: readonly (readonly [digest: string, bytes: Uint8Array])[]): void {
    const parts = new Map<string, Uint8Array>();
    let kept = 0;
    for (const [known, bytes] of read) {
      // In the same order as `heldAfter`, which knows all digests. What cannot fit need not be hashed.
      if (kept + bytes.length > MAX_KEPT_BYTES) continue;
      const digest = known === '' ? partDigest(bytes) : known;
      if (parts.has(digest)) continue;
      // A part of the message would keep all of it in memory.
      parts.set(digest, known === '' ? Buffer.from(bytes) : bytes);
      kept += bytes.length;
    }
    this.#parts = parts;
  }
}

interface Reading {
  readonly message: Buffer;
  at: number;
  left: number;
}

type Head = readonly (readonly [name: string, parts: readonly (string | number)[]])[];

/** The head of a message, or what is wrong with it. */
function parseHead(text: string): Head | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'the list of parts is not JSON';
  }
  if (!Array.isArray(value) || value.length > MAX_FILES) return 'the list of files is invalid or too long';
  let count = 0;
  for (const file of value as readonly unknown[]) {
    if (!Array.isArray(file) || file.length !== 2 || typeof file[0] !== 'string' || !Array.isArray(file[1])) return 'a file is invalid';
    count += file[1].length;
    if (count > MAX_MESSAGE_PARTS) return 'there are too many parts';
    if (!file[1].every(isPart)) return 'a part is neither a digest nor a size';
  }
  return value as Head;
}

function isPart(part: unknown): boolean {
  return typeof part === 'string' ? DIGEST.test(part) : Number.isSafeInteger(part) && (part as number) >= 0;
}

function invalid(reason: string): Assembled {
  return { kind: 'invalid', reason };
}
