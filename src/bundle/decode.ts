/*
 * The files of a bundle in, the bundle out, or a refusal with its code: too large, unreadable, truncated, foreign, of
 * another schema. Nothing is taken in part. Called by the agent's intake and by the controller when it reads bundles back.
 */
import { gunzipSync } from 'node:zlib';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import { RefusedError } from '../errors.ts';
import { BUNDLE_SCHEMA, type Bundle, MAX_BUNDLE_BYTES } from './bundle.ts';
import { bundleSchema } from './bundle-schema.ts';
import { digestOf } from './encode.ts';

/** Contents by file name (ConfigMap key). Needed: {@link BUNDLE_DIGEST_KEY} and one of {@link BUNDLE_KEY}, {@link BUNDLE_GZIP_KEY}. */
export type BundleFiles = Readonly<Record<string, Uint8Array | undefined>>;

export interface DecodedBundle {
  readonly bundle: Bundle;
  /** `sha256:` + 64 hex digits; equal to that of the encoder. */
  readonly digest: string;
}

/** The names of all files that {@link decodeBundle} may look at. */
export const BUNDLE_FILE_NAMES: readonly string[] = [BUNDLE_KEY, BUNDLE_GZIP_KEY, BUNDLE_DIGEST_KEY];

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_DIGEST_BYTES = 256;

/**
 * Decodes and checks a bundle; sizes are checked before anything is unpacked or parsed.
 *
 * @param expected the workload it must be for; undefined: any
 * @throws RefusedError SP_BUNDLE_TOO_LARGE, SP_BUNDLE_UNREADABLE, SP_BUNDLE_DIGEST, SP_BUNDLE_SCHEMA, SP_BUNDLE_FOREIGN
 */
export function decodeBundle(files: BundleFiles, expected?: WorkloadRef): DecodedBundle {
  const json = readJson(files);
  const digest = checkDigest(json, files[BUNDLE_DIGEST_KEY]);
  const bundle = parseBundle(json);
  if (expected !== undefined && !isSame(bundle.workload, expected)) {
    throw new RefusedError('SP_BUNDLE_FOREIGN', `bundle is for ${workloadKey(bundle.workload)}, not for ${workloadKey(expected)}`);
  }
  return { bundle, digest };
}

function readJson(files: BundleFiles): Uint8Array {
  const plain = files[BUNDLE_KEY];
  const compressed = files[BUNDLE_GZIP_KEY];
  if (plain !== undefined && compressed !== undefined) throw unreadable(`both ${BUNDLE_KEY} and ${BUNDLE_GZIP_KEY} are there`);
  const bytes = plain ?? compressed;
  if (bytes === undefined) throw unreadable(`neither ${BUNDLE_KEY} nor ${BUNDLE_GZIP_KEY} is there`);
  if (bytes.length > MAX_BUNDLE_BYTES) throw tooLarge(bytes.length);
  return compressed === undefined ? bytes : gunzip(compressed);
}

function gunzip(compressed: Uint8Array): Uint8Array {
  try {
    return gunzipSync(compressed, { maxOutputLength: MAX_BUNDLE_BYTES });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(undefined, error);
    throw unreadable('not gzip, or truncated', error);
  }
}

function checkDigest(json: Uint8Array, written: Uint8Array | undefined): string {
  if (written === undefined) throw unreadable(`${BUNDLE_DIGEST_KEY} is missing`);
  const expected = written.length > MAX_DIGEST_BYTES ? '' : Buffer.from(written).toString('latin1').trim();
  if (!DIGEST.test(expected)) throw unreadable(`${BUNDLE_DIGEST_KEY} is not a digest`);
  const digest = digestOf(json);
  if (digest !== expected) throw new RefusedError('SP_BUNDLE_DIGEST', `bundle has ${digest}, but ${expected} was announced`);
  return digest;
}

function parseBundle(json: Uint8Array): Bundle {
  const value = parseJson(json);
  const schema = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)['schema'] : undefined;
  if (schema !== BUNDLE_SCHEMA) throw refusedSchema(`schema is ${describe(schema)}, this version reads ${BUNDLE_SCHEMA}`);
  const result = bundleSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw refusedSchema(`${issue?.path.join('.') ?? ''}: ${issue?.code ?? 'invalid'}`);
  }
  checkReferences(result.data);
  return result.data;
}

function parseJson(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    // The parser's own message quotes the text, which may be anything.
    throw unreadable('not JSON in UTF-8, or truncated', error);
  }
}

function checkReferences(bundle: Bundle): void {
  const seen = new Set<string>();
  const relevant = new Set(bundle.relevantLabels);
  for (const variant of bundle.variants) {
    if (variant.program >= bundle.programs.length) throw refusedSchema(`variants: there is no program ${variant.program}`);
    const keys = Object.keys(variant.labels);
    const stray = keys.find((key) => !relevant.has(key));
    if (stray !== undefined) throw refusedSchema(`variants: label ${describe(stray)} is not among relevantLabels`);
    const identity = JSON.stringify(keys.sort().map((key) => [key, variant.labels[key]]));
    if (seen.has(identity)) throw refusedSchema('variants: two for the same labels');
    seen.add(identity);
  }
}

function isSame(one: WorkloadRef, other: WorkloadRef): boolean {
  return one.namespace === other.namespace && one.name === other.name;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : typeof value;
}

function unreadable(message: string, cause?: unknown): RefusedError {
  return new RefusedError('SP_BUNDLE_UNREADABLE', message, { cause });
}

function refusedSchema(message: string): RefusedError {
  return new RefusedError('SP_BUNDLE_SCHEMA', message);
}

function tooLarge(bytes: number | undefined, cause?: unknown): RefusedError {
  const size = bytes === undefined ? `more than ${MAX_BUNDLE_BYTES}` : String(bytes);
  return new RefusedError('SP_BUNDLE_TOO_LARGE', `bundle has ${size} bytes; at most ${MAX_BUNDLE_BYTES} are read`, { cause });
}
