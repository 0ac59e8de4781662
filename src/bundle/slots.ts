/*
 * How a bundle is stored: its bytes, compressed when large, cut into parts of at most one ConfigMap, and slots, each with a statement,
 * the lists of keys and one part. Parts are found by their digest, so that it does not matter which slot holds which.
 */
import { gzip, gzipSync } from 'node:zlib';
import { SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_STATEMENT_KEY } from '../api/kube/names.ts';
import { RefusedError } from '../errors.ts';
import { doSteps, doStepsApart, type Steps, type Turns } from '../steps.ts';
import { MAX_BUNDLE_BYTES } from './bundle.ts';
import { digestInSteps, digestOf } from './digest.ts';
import { gunzipApart, gunzipAtOnce } from './gunzip.ts';
import { MAX_PARTS, type PartRef, type Statement } from './statement.ts';

/** JSON of fewer bytes than this stays readable; otherwise it is compressed. */
export const PLAIN_LIMIT_BYTES: number = 256 * 1024;
/** Most bytes of one part: the API server's limit of 1 MiB for a ConfigMap, reduced for metadata, statement and lists of keys. */
export const PART_LIMIT_BYTES: number = 1024 * 1024 - 32 * 1024;
const GZIP_LEVEL = 9;

/** Names of the files of one slot, which are also the data keys of its ConfigMap. */
export const SLOT_FILES: readonly string[] = [SLOT_STATEMENT_KEY, SLOT_KEYS_KEY, SLOT_PART_KEY];

/** What one slot holds. */
export interface SlotFiles {
  readonly jws: string;
  readonly keys: string;
  readonly part: Uint8Array;
}

/** The files of slots under their names in the mounted volume. Agents do not care which slot holds which part. */
export function filesOfSlots(slots: readonly SlotFiles[]): Readonly<Record<string, Uint8Array>> {
  return Object.fromEntries(
    slots.flatMap(({ jws, keys, part }, slot) => [
      [`${slot}/${SLOT_STATEMENT_KEY}`, Buffer.from(jws)],
      [`${slot}/${SLOT_KEYS_KEY}`, Buffer.from(keys)],
      [`${slot}/${SLOT_PART_KEY}`, part],
    ]),
  );
}

/** The stored form of some JSON. */
export interface StoredForm extends Pick<Statement, 'digest' | 'size' | 'encoding' | 'parts'> {
  /** In the order of `parts`. */
  readonly contents: readonly Buffer[];
}

/**
 * The stored form of `json`; equal JSON gives equal bytes.
 *
 * @param partLimit most bytes of one part
 * @param known what {@link gzipApart} made of `json`; absent: it is compressed here if necessary
 * @throws RefusedError SP_TOO_LARGE when it does not fit into `maxParts` parts, or agents would refuse it
 */
export function toStoredForm(json: string, maxParts: number = MAX_PARTS, partLimit: number = PART_LIMIT_BYTES, known?: Buffer): StoredForm {
  const plain = Buffer.from(json);
  if (plain.length > MAX_BUNDLE_BYTES) throw tooLarge(plain.length, `an agent reads at most ${MAX_BUNDLE_BYTES}`);
  const digest = digestOf(plain);
  if (plain.length < PLAIN_LIMIT_BYTES)
    return { digest, size: plain.length, encoding: 'identity', parts: [{ digest, size: plain.length }], contents: [plain] };
  const compressed = known ?? gzipDeterministic(plain);
  const limit = maxParts * partLimit;
  if (compressed.length > limit) throw tooLarge(plain.length, `${compressed.length} when compressed; at most ${limit} are published`);
  const contents: Buffer[] = [];
  for (let at = 0; at < compressed.length; at += partLimit) contents.push(compressed.subarray(at, at + partLimit));
  const parts = contents.map((content): PartRef => ({ digest: digestOf(content), size: content.length }));
  return { digest, size: plain.length, encoding: 'gzip', parts, contents };
}

/**
 * The exact JSON of a statement, from stored parts.
 *
 * @param partOf the bytes with a digest; undefined: not present. They are not checked again
 * @throws RefusedError SP_BUNDLE_UNREADABLE: a part is missing, or the parts are not what they should be; SP_BUNDLE_TOO_LARGE;
 * SP_BUNDLE_DIGEST
 */
export function fromStoredForm(statement: Statement, partOf: PartOf): Uint8Array {
  const stored = storedBytes(statement, partOf);
  return doSteps(checkContent(statement, statement.encoding === 'identity' ? stored : decompressed(stored, statement.size)));
}

/** The same for a process that must not pause for longer than a turn. It rejects where {@link fromStoredForm} throws. */
export async function fromStoredFormApart(statement: Statement, partOf: PartOf, turns: Turns): Promise<Uint8Array> {
  const stored = storedBytes(statement, partOf);
  const json = statement.encoding === 'identity' ? stored : await gunzipApart(stored, statement.size).catch(refuseCompressed);
  return await doStepsApart(checkContent(statement, json), turns);
}

/** The bytes with a digest; undefined: not present. */
type PartOf = (digest: string) => Uint8Array | undefined;

function storedBytes(statement: Statement, partOf: PartOf): Uint8Array {
  const { size } = statement;
  if (size > MAX_BUNDLE_BYTES)
    throw new RefusedError('SP_BUNDLE_TOO_LARGE', `the statement names ${size} bytes; at most ${MAX_BUNDLE_BYTES} are read`);
  const contents = requireParts(statement, partOf);
  const [only] = contents;
  return contents.length === 1 && only !== undefined ? only : Buffer.concat(contents);
}

function* checkContent({ encoding, parts, digest, size }: Statement, json: Uint8Array): Steps<Uint8Array> {
  // One plain part was found by this very digest.
  const isFound = encoding === 'identity' && parts.length === 1 && parts[0]?.digest === digest;
  if (json.length !== size || !(isFound || (yield* digestInSteps(json)) === digest))
    throw new RefusedError('SP_BUNDLE_DIGEST', 'the content does not have the size and digest of its statement');
  return json;
}

/** The stored parts of a statement. @throws RefusedError SP_BUNDLE_UNREADABLE when one is not present */
export function requireParts({ parts }: Statement, partOf: PartOf): readonly Uint8Array[] {
  return parts.map(({ digest }, at) => {
    const content = partOf(digest);
    if (content === undefined) throw new RefusedError('SP_BUNDLE_UNREADABLE', `part ${at + 1} of ${parts.length} is missing or changed`);
    return content;
  });
}

function decompressed(stored: Uint8Array, size: number): Uint8Array {
  try {
    return gunzipAtOnce(stored, size);
  } catch (error) {
    return refuseCompressed(error);
  }
}

function refuseCompressed(error: unknown): never {
  throw new RefusedError('SP_BUNDLE_UNREADABLE', 'not gzip, truncated, or larger than its statement says', { cause: error });
}

/** `plain` as gzip, without time or operating system: equal input gives equal bytes in every process. */
export function gzipDeterministic(plain: Buffer | string): Buffer {
  return withoutSystem(gzipSync(plain, { level: GZIP_LEVEL }));
}

/** The same bytes, from another thread. */
export function gzipApart(plain: Buffer | string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gzip(plain, { level: GZIP_LEVEL }, (error, compressed) => {
      if (error === null) resolve(withoutSystem(compressed));
      else reject(error);
    });
  });
}

function withoutSystem(compressed: Buffer): Buffer {
  // Byte 9 of the header is the operating system; 255 is "unknown" (RFC 1952, 2.3.1). The time is 0 already.
  compressed[9] = 255;
  return compressed;
}

function tooLarge(bytes: number, detail: string): RefusedError {
  return new RefusedError('SP_TOO_LARGE', `it has ${bytes} bytes, ${detail}`);
}
