/*
 * Encodes a bundle to the bytes that are transferred: canonical JSON with its digest, and the data of its ConfigMap. Equal bundles give
 * equal bytes, in every process.
 */
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import { type Finding, RefusedError } from '../errors.ts';
import { valuesOf } from '../policy/model/program-size.ts';
import { type Bundle, type EncodedBundle, LEGACY_BUNDLE_SCHEMA, MAX_BUNDLE_BYTES, MAX_PROGRAM_VALUES } from './bundle.ts';
import { canonicalChunks, canonicalJson, keepCanonicalJson } from './canonical-json.ts';
import { digestOf } from './digest.ts';
import { gzipApart, gzipDeterministic, PART_LIMIT_BYTES, PLAIN_LIMIT_BYTES, type StoredForm, toStoredForm } from './slots.ts';
import { MAX_PARTS } from './statement.ts';

/** Largest size of the values of a ConfigMap in bytes: the API server's limit of 1 MiB, reduced for metadata. */
export const CONFIG_MAP_LIMIT_BYTES: number = 1024 * 1024 - 16 * 1024;

/** The data of a bundle's ConfigMap. The bundle is in `data` or, compressed and in base64, in `binaryData`; the digest is always in `data`. */
export interface ConfigMapData {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, string>>;
}

/** The data, or why the bundle cannot be published; then the last published bundle stays active. */
export type ConfigMapDataResult =
  | { readonly kind: 'data'; readonly data: ConfigMapData }
  | { readonly kind: 'refused'; readonly finding: Finding };

/** The bundle as canonical JSON, with the digest of that JSON. */
export function encodeBundle(bundle: Bundle): EncodedBundle {
  for (const keySet of Object.values(bundle.keySets)) keepCanonicalJson(keySet);
  const chunks = canonicalChunks(bundle);
  const json = chunks.map(({ text }) => text).join('');
  return { workload: bundle.workload, digest: digestOf(json), json, chunks };
}

/** The same bundle in the form of level 1, for agents that an earlier version injected: its workload has no kind. */
export function encodeLegacyBundle({ workload, ...bundle }: Bundle): Pick<EncodedBundle, 'json' | 'digest'> {
  const json = canonicalJson({ ...bundle, schema: LEGACY_BUNDLE_SCHEMA, workload: { namespace: workload.namespace, name: workload.name } });
  return { digest: digestOf(json), json };
}

/**
 * The data of the bundle's ConfigMap: plain JSON while small, gzip when large.
 *
 * @returns `refused` with SP_TOO_LARGE if the bundle is too large even when compressed
 */
export function toConfigMapData(encoded: Pick<EncodedBundle, 'json' | 'digest'>): ConfigMapDataResult {
  const digest = { [BUNDLE_DIGEST_KEY]: encoded.digest };
  const plainBytes = Buffer.byteLength(encoded.json);
  if (plainBytes < PLAIN_LIMIT_BYTES) return { kind: 'data', data: { data: { ...digest, [BUNDLE_KEY]: encoded.json }, binaryData: {} } };
  const bytes = gzipDeterministic(encoded.json);
  if (bytes.length > CONFIG_MAP_LIMIT_BYTES) return { kind: 'refused', finding: tooLarge(plainBytes, bytes.length) };
  return { kind: 'data', data: { data: digest, binaryData: { [BUNDLE_GZIP_KEY]: bytes.toString('base64') } } };
}

/** @returns why agents would not accept the bundle, or its slots not hold it; undefined: it can be published */
export function whyUnacceptable(encoded: EncodedBundle, { programs }: Bundle): string | undefined {
  const plainBytes = Buffer.byteLength(encoded.json);
  if (plainBytes > MAX_BUNDLE_BYTES) return `the bundle of the workload has ${plainBytes} bytes; at most ${MAX_BUNDLE_BYTES} are accepted`;
  // Each value takes two bytes or more, so that those of a small bundle need not be counted.
  const values = plainBytes < 2 * MAX_PROGRAM_VALUES ? 0 : Math.max(...programs.map(valuesOf));
  if (values > MAX_PROGRAM_VALUES)
    return `a program of the workload has ${values} values to match; at most ${MAX_PROGRAM_VALUES} are accepted`;
  if (plainBytes < CONFIG_MAP_LIMIT_BYTES) return undefined;
  try {
    storedFormOf(encoded);
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.message;
    throw error;
  }
}

/** Compressing takes long, and a bundle that is checked is published next. */
const storedForms = new WeakMap<EncodedBundle, StoredForm>();
const compressions = new WeakMap<EncodedBundle, Buffer>();

/** Compresses a large bundle in another thread, so that {@link storedFormOf} does not; nothing for a small one. */
export async function compressApart(encoded: EncodedBundle): Promise<void> {
  const plainBytes = Buffer.byteLength(encoded.json);
  if (plainBytes < PLAIN_LIMIT_BYTES || plainBytes > MAX_BUNDLE_BYTES || storedForms.has(encoded)) return;
  compressions.set(encoded, await gzipApart(encoded.json));
}

/** The form in which slots hold the bundle. @throws RefusedError SP_TOO_LARGE */
export function storedFormOf(encoded: EncodedBundle): StoredForm {
  const known = storedForms.get(encoded);
  if (known !== undefined) return known;
  try {
    const stored = toStoredForm(encoded.json, MAX_PARTS, PART_LIMIT_BYTES, compressions.get(encoded));
    storedForms.set(encoded, stored);
    return stored;
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    throw new RefusedError(error.code, `the bundle of this workload is too large: ${error.message}`);
  }
}

function tooLarge(plainBytes: number, compressedBytes: number): Finding {
  return {
    code: 'SP_TOO_LARGE',
    severity: 'error',
    path: '',
    message: `the bundle of this workload has ${plainBytes} bytes (${compressedBytes} compressed), more than the ${CONFIG_MAP_LIMIT_BYTES} that fit in a ConfigMap`,
    hint: 'narrow selectors so that fewer rules select this workload, or merge rules; the last published bundle stays active',
  };
}
