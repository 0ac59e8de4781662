/*
 * Decodes the files of a bundle, or rejects them with an error code: too large, unreadable, truncated, for another workload, of another
 * schema. A bundle is never accepted in part.
 */
import { gunzipSync } from 'node:zlib';
import { isSameWorkload, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import { RefusedError } from '../errors.ts';
import { valuesOf } from '../policy/model/program-size.ts';
import { doSteps, type Steps } from '../steps.ts';
import { BUNDLE_SCHEMA, type Bundle, MAX_BUNDLE_BYTES, MAX_PROGRAM_VALUES } from './bundle.ts';
import { digestOf } from './digest.ts';
import { validateInSteps } from './validate.ts';

/** File contents by name (ConfigMap key). Required: {@link BUNDLE_DIGEST_KEY} and one of {@link BUNDLE_KEY} and {@link BUNDLE_GZIP_KEY}. */
export type BundleFiles = Readonly<Record<string, Uint8Array | undefined>>;

/** A valid bundle. */
export interface DecodedBundle {
  readonly bundle: Bundle;
  /** `sha256:` + 64 hex digits; equal to the digest of the encoder. */
  readonly digest: string;
}

/** The names of all files that {@link decodeBundle} reads. */
export const BUNDLE_FILE_NAMES: readonly string[] = [BUNDLE_KEY, BUNDLE_GZIP_KEY, BUNDLE_DIGEST_KEY];

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_DIGEST_BYTES = 256;

/**
 * Decodes and validates a bundle. Sizes are checked before anything is decompressed or parsed.
 *
 * @param expected the workload that the bundle must be for; `undefined`: any
 * @throws RefusedError SP_BUNDLE_TOO_LARGE, SP_BUNDLE_UNREADABLE, SP_BUNDLE_DIGEST, SP_BUNDLE_SCHEMA, SP_BUNDLE_FOREIGN
 */
export function decodeBundle(files: BundleFiles, expected?: WorkloadRef): DecodedBundle {
  return doSteps(decodeInSteps(files, expected));
}

/** As {@link parseBundleInSteps}, without a pause. */
export function parseBundle(json: Uint8Array, expected?: WorkloadRef): Bundle {
  return doSteps(parseBundleInSteps(json, expected));
}

/**
 * The same in steps of a few milliseconds each, for a process that must not pause for longer.
 * @throws RefusedError as {@link decodeBundle}
 */
export function* decodeInSteps(files: BundleFiles, expected?: WorkloadRef): Steps<DecodedBundle> {
  const json = readJson(files);
  const digest = checkDigest(json, files[BUNDLE_DIGEST_KEY]);
  yield;
  return { bundle: yield* parseBundleInSteps(json, expected), digest };
}

function readJson(files: BundleFiles): Uint8Array {
  const plain = files[BUNDLE_KEY];
  const compressed = files[BUNDLE_GZIP_KEY];
  if (plain !== undefined && compressed !== undefined) throw unreadable(`both ${BUNDLE_KEY} and ${BUNDLE_GZIP_KEY} exist`);
  const bytes = plain ?? compressed;
  if (bytes === undefined) throw unreadable(`neither ${BUNDLE_KEY} nor ${BUNDLE_GZIP_KEY} exists`);
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
  if (digest !== expected)
    throw new RefusedError('SP_BUNDLE_DIGEST', `the digest of the bundle is ${digest}, but ${BUNDLE_DIGEST_KEY} has ${expected}`);
  return digest;
}

/**
 * The bundle that is this JSON, whose bytes are known to be right, in steps.
 * @param expected the workload that the bundle must be for; `undefined`: any
 * @throws RefusedError SP_BUNDLE_UNREADABLE, SP_BUNDLE_SCHEMA, SP_BUNDLE_FOREIGN
 */
export function* parseBundleInSteps(json: Uint8Array, expected?: WorkloadRef): Steps<Bundle> {
  const value = parseJson(json);
  yield;
  const schema = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)['schema'] : undefined;
  if (schema !== BUNDLE_SCHEMA) throw refusedSchema(`schema is ${describe(schema)}; this version reads ${BUNDLE_SCHEMA}`);
  const result = yield* validateInSteps(value);
  if (!result.success) throw refusedSchema(result.problem);
  checkReferences(result.bundle);
  checkValues(result.bundle);
  const { workload } = result.bundle;
  if (expected !== undefined && !isSameWorkload(workload, expected)) {
    throw new RefusedError('SP_BUNDLE_FOREIGN', `the bundle is for ${workloadKey(workload)}, not for ${workloadKey(expected)}`);
  }
  return result.bundle;
}

function parseJson(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    // The message of the parser quotes the input, which may contain anything.
    throw unreadable('not JSON in UTF-8, or truncated', error);
  }
}

/** The indexes of a program take memory in proportion to its values, far more than its JSON. */
function checkValues({ programs }: Bundle): void {
  for (const program of programs) {
    const values = valuesOf(program);
    if (values <= MAX_PROGRAM_VALUES) continue;
    throw new RefusedError('SP_BUNDLE_TOO_LARGE', `a program has ${values} values; the limit is ${MAX_PROGRAM_VALUES}`);
  }
}

function checkReferences(bundle: Bundle): void {
  const seen = new Set<string>();
  const relevant = new Set(bundle.relevantLabels);
  for (const variant of bundle.variants) {
    if (variant.program >= bundle.programs.length) throw refusedSchema(`variants: program ${variant.program} does not exist`);
    const keys = Object.keys(variant.labels);
    const stray = keys.find((key) => !relevant.has(key));
    if (stray !== undefined) throw refusedSchema(`variants: label ${describe(stray)} is not in relevantLabels`);
    const identity = JSON.stringify(keys.sort().map((key) => [key, variant.labels[key]]));
    if (seen.has(identity)) throw refusedSchema('variants: two have the same labels');
    seen.add(identity);
  }
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
  return new RefusedError('SP_BUNDLE_TOO_LARGE', `the bundle has ${size} bytes; the limit is ${MAX_BUNDLE_BYTES}`, { cause });
}
