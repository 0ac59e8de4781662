/*
 * Encodes a bundle to the bytes that are transferred: canonical JSON with its digest, and the data of its ConfigMap. Equal bundles give
 * equal bytes, in every process.
 */
import { gzipSync } from 'node:zlib';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import type { Bundle, EncodedBundle } from './bundle.ts';
import { canonicalJson } from './canonical-json.ts';
import { digestOf } from './digest.ts';

/** JSON of fewer bytes than this stays readable in the ConfigMap; otherwise it is compressed. */
export const PLAIN_LIMIT_BYTES: number = 256 * 1024;
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
  const json = canonicalJson(bundle);
  return { workload: bundle.workload, digest: digestOf(json), json };
}

/**
 * The data of the bundle's ConfigMap: plain JSON while small, gzip when large.
 *
 * @returns `refused` with SP_TOO_LARGE if the bundle is too large even when compressed
 */
export function toConfigMapData(encoded: EncodedBundle): ConfigMapDataResult {
  const digest = { [BUNDLE_DIGEST_KEY]: encoded.digest };
  const plainBytes = Buffer.byteLength(encoded.json);
  if (plainBytes < PLAIN_LIMIT_BYTES) return { kind: 'data', data: { data: { ...digest, [BUNDLE_KEY]: encoded.json }, binaryData: {} } };
  const compressed = gzipDeterministic(encoded.json);
  if (compressed.length > CONFIG_MAP_LIMIT_BYTES) return { kind: 'refused', finding: tooLarge(plainBytes, compressed.length) };
  return { kind: 'data', data: { data: digest, binaryData: { [BUNDLE_GZIP_KEY]: compressed.toString('base64') } } };
}

function gzipDeterministic(json: string): Buffer {
  const compressed = gzipSync(json, { level: 9 });
  // Byte 9 of the header is the operating system; 255 is "unknown" (RFC 1952, 2.3.1). The time is 0 already.
  compressed[9] = 255;
  return compressed;
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
