/*
 * Decodes the files of a bundle, or rejects them with an error code: too large, unreadable, truncated, for another workload, of another
 * schema. A bundle is never accepted in part.
 */
import { isSameWorkload, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import { RefusedError } from '../errors.ts';
import { valuesOf } from '../policy/model/program-size.ts';
import { doSteps, doStepsApart, type Steps, type Turns } from '../steps.ts';
import { BUNDLE_SCHEMA, type Bundle, MAX_BUNDLE_BYTES, MAX_PROGRAM_VALUES } from './bundle.ts';
import { digestInSteps } from './digest.ts';
import { gunzipApart, gunzipAtOnce } from './gunzip.ts';
import { parseInSteps, type UnvalidatedBundle, validateInSteps } from './validate.ts';

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
  const { bytes, isCompressed } = storedJson(files);
  const json = isCompressed ? decompressed(() => gunzipAtOnce(bytes, MAX_BUNDLE_BYTES)) : bytes;
  return doSteps(checkAndParse(json, files[BUNDLE_DIGEST_KEY], expected));
}

/** The same for a process that must not pause for longer than a turn. It rejects where {@link decodeBundle} throws. */
export async function decodeApart(files: BundleFiles, expected: WorkloadRef | undefined, turns: Turns): Promise<DecodedBundle> {
  const { bytes, isCompressed } = storedJson(files);
  const json = isCompressed ? await gunzipApart(bytes, MAX_BUNDLE_BYTES).catch(refuseCompressed) : bytes;
  return await doStepsApart(checkAndParse(json, files[BUNDLE_DIGEST_KEY], expected), turns);
}

/** As {@link parseBundleInSteps}, without a pause. */
export function parseBundle(json: Uint8Array, expected?: WorkloadRef): Bundle {
  return doSteps(parseBundleInSteps(json, expected));
}

function* checkAndParse(json: Uint8Array, written: Uint8Array | undefined, expected: WorkloadRef | undefined): Steps<DecodedBundle> {
  const digest = yield* checkDigest(json, written);
  return { bundle: yield* parseBundleInSteps(json, expected), digest };
}

function storedJson(files: BundleFiles): { readonly bytes: Uint8Array; readonly isCompressed: boolean } {
  const plain = files[BUNDLE_KEY];
  const compressed = files[BUNDLE_GZIP_KEY];
  if (plain !== undefined && compressed !== undefined) throw unreadable(`both ${BUNDLE_KEY} and ${BUNDLE_GZIP_KEY} exist`);
  const bytes = plain ?? compressed;
  if (bytes === undefined) throw unreadable(`neither ${BUNDLE_KEY} nor ${BUNDLE_GZIP_KEY} exists`);
  if (bytes.length > MAX_BUNDLE_BYTES) throw tooLarge(bytes.length);
  return { bytes, isCompressed: plain === undefined };
}

function decompressed(gunzip: () => Uint8Array): Uint8Array {
  try {
    return gunzip();
  } catch (error) {
    return refuseCompressed(error);
  }
}

function refuseCompressed(error: unknown): never {
  if (error instanceof RangeError) throw tooLarge(undefined, error);
  throw unreadable('not gzip, or truncated', error);
}

function* checkDigest(json: Uint8Array, written: Uint8Array | undefined): Steps<string> {
  if (written === undefined) throw unreadable(`${BUNDLE_DIGEST_KEY} is missing`);
  const expected = written.length > MAX_DIGEST_BYTES ? '' : Buffer.from(written).toString('latin1').trim();
  if (!DIGEST.test(expected)) throw unreadable(`${BUNDLE_DIGEST_KEY} is not a digest`);
  const digest = yield* digestInSteps(json);
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
  const unvalidated = yield* readingJson(parseInSteps(json));
  yield;
  const schema = schemaOf(unvalidated);
  if (schema !== BUNDLE_SCHEMA) throw refusedSchema(`schema is ${describe(schema)}; this version reads ${BUNDLE_SCHEMA}`);
  const result = yield* readingJson(validateInSteps(unvalidated));
  if (!result.success) throw refusedSchema(result.problem);
  checkReferences(result.bundle);
  yield;
  yield* checkValues(result.bundle);
  const { workload } = result.bundle;
  if (expected !== undefined && !isSameWorkload(workload, expected)) {
    throw new RefusedError('SP_BUNDLE_FOREIGN', `the bundle is for ${workloadKey(workload)}, not for ${workloadKey(expected)}`);
  }
  return result.bundle;
}

/** Whatever these steps throw says that something is not JSON. */
function* readingJson<Result>(steps: Steps<Result>): Steps<Result> {
  try {
    return yield* steps;
  } catch (error) {
    // The message of the parser quotes the input, which may contain anything.
    throw unreadable('not JSON in UTF-8, or truncated', error);
  }
}

function schemaOf({ rest }: UnvalidatedBundle): unknown {
  return typeof rest === 'object' && rest !== null ? (rest as Readonly<Record<string, unknown>>)['schema'] : undefined;
}

/** The indexes of a program take memory in proportion to its values, far more than its JSON. */
function* checkValues({ programs }: Bundle): Steps<void> {
  for (const program of programs) {
    const values = valuesOf(program);
    yield;
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
