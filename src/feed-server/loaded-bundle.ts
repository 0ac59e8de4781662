/*
 * A bundle on its way to the agents of its workload, encoded once for all of them that have the same parts already.
 */
import { SLOT_PART_KEY, SLOT_PLAIN_KEY } from '../api/kube/names.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import { joinFiles } from '../bundle/joined-files.ts';
import { encodeParts, fitsMessage, type Held, heldAfter, MIN_PART_BYTES, type Part, type PartedFile, partDigest } from '../feed/parts.ts';
import { DOWN, MAX_DOWN_BYTES } from '../feed/protocol.ts';

/** What agents of a workload get. */
export interface BundleContent {
  /** The files of the bundle and of the index of its namespace, under their names in the mounted volume. */
  readonly files: BundleFiles;
  /** The JSON of the bundle; absent: it is not known in chunks. */
  readonly chunks?: readonly Chunk[] | undefined;
}

/** A frame for an agent. */
export interface BundleFrame {
  readonly type: typeof DOWN.bundle | typeof DOWN.parts;
  readonly payload: Buffer;
}

/** What an agent has of the JSON of a bundle that it got in parts, at least. */
export function heldOfJson(chunks: readonly Chunk[]): Held {
  return heldAfter([{ name: '', parts: chunks.map(partOfChunk) }]);
}

/** One bundle. */
export class LoadedBundle {
  readonly number: number;
  /** What an agent has after it got the bundle in parts; undefined: it is sent as a whole only. */
  readonly held: Held | undefined;
  readonly #files: BundleFiles;
  readonly #parted: readonly PartedFile[];
  readonly #frames = new Map<Held | undefined, BundleFrame>();

  constructor(number: number, { files, chunks }: BundleContent) {
    this.number = number;
    this.#files = files;
    this.#parted = partedFiles(files, chunks);
    this.held = fitsMessage(this.#parted, MAX_DOWN_BYTES) ? heldAfter(this.#parted) : undefined;
  }

  /** The frame for an agent. @param has what it has already; undefined: it takes whole bundles only */
  frameFor(has: Held | undefined): BundleFrame {
    const known = this.#frames.get(has);
    if (known !== undefined) return known;
    const frame: BundleFrame =
      has === undefined || this.held === undefined
        ? { type: DOWN.bundle, payload: joinFiles(this.#files) }
        : { type: DOWN.parts, payload: encodeParts(this.#parted, has) };
    this.#frames.set(has, frame);
    return frame;
  }
}

/** Has the text of a bundle that is not compressed. */
export const PLAIN_FILE: string = `0/${SLOT_PART_KEY}`;
const PLAIN = `0/${SLOT_PLAIN_KEY}`;
/** Files of slots other than the first one, which only hold another part, and compressed parts. */
const isStored = (name: string): boolean => name === PLAIN_FILE || /^[1-9]\//.test(name);

/** Whether {@link PLAIN_FILE} has the text of the chunks. */
export function isPlain(files: BundleFiles, chunks: readonly Chunk[]): boolean {
  return files[PLAIN_FILE]?.length === chunks.reduce((sum, { size }) => sum + size, 0);
}

/** The JSON comes first, because a receiver keeps the first parts. */
function partedFiles(files: BundleFiles, chunks: readonly Chunk[] | undefined): readonly PartedFile[] {
  const all = Object.entries(files).flatMap(([name, content]) => (content === undefined ? [] : [[name, content] as const]));
  if (chunks === undefined) return all.map(([name, content]) => ({ name, parts: [partOfBytes(content)] }));
  const json = { name: isPlain(files, chunks) ? PLAIN_FILE : PLAIN, parts: chunks.map(partOfChunk) };
  const others = all.filter(([name]) => !isStored(name));
  return [json, ...others.map(([name, content]) => ({ name, parts: [partOfBytes(content)] }))];
}

function partOfChunk(chunk: Chunk): Part {
  const { size } = chunk;
  return { size, digest: size < MIN_PART_BYTES ? '' : chunk.digest, bytes: () => Buffer.from(chunk.text) };
}

function partOfBytes(content: Uint8Array): Part {
  return { size: content.length, digest: content.length < MIN_PART_BYTES ? '' : partDigest(content), bytes: () => content };
}
