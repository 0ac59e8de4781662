/*
 * Bundle in, the exact bytes that travel out: canonical JSON with its digest, and the data of the ConfigMap that carries
 * it. Called by publish and the directory sink. The same bundle gives the same bytes everywhere and always.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import type { Bundle, EncodedBundle } from './bundle.ts';
import { canonicalJson } from './canonical-json.ts';

/** Plain JSON below this many bytes stays readable in the ConfigMap; above it is compressed. */
export const PLAIN_LIMIT_BYTES: number = 256 * 1024;
/** Most bytes that a ConfigMap's values may have: the API server's 1 MiB less room for metadata. */
export const CONFIG_MAP_LIMIT_BYTES: number = 1024 * 1024 - 16 * 1024;

/** What a bundle's ConfigMap carries: `binaryData` values are base64. One of the two holds the bundle, `data` always the digest. */
export interface ConfigMapData {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, string>>;
}

/** Either the data, or the error that it cannot be written; then the last published bundle stays in force. */
export type ConfigMapDataResult =
  | { readonly kind: 'data'; readonly data: ConfigMapData }
  | { readonly kind: 'refused'; readonly finding: Finding };

/** The bundle as canonical JSON with the digest of exactly that text. */
export function encodeBundle(bundle: Bundle): EncodedBundle {
  const json = canonicalJson(bundle);
  return { workload: bundle.workload, digest: digestOf(json), json };
}

/** `sha256:` and 64 hex digits over the UTF-8 bytes of `json`. */
export function digestOf(json: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(json).digest('hex')}`;
}

/**
 * The data of the bundle's ConfigMap: plain JSON while small, gzip when large.
 *
 * @returns a refusal with SP_TOO_LARGE when even gzip does not fit
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
  // Byte 9 of the header names the operating system; 255 is "unknown" (RFC 1952, 2.3.1). The time is 0 already.
  compressed[9] = 255;
  return compressed;
}

function tooLarge(plainBytes: number, compressedBytes: number): Finding {
  return {
    code: 'SP_TOO_LARGE',
    severity: 'error',
    path: '',
    message: `the bundle of this workload has ${plainBytes} bytes, ${compressedBytes} compressed; a ConfigMap holds ${CONFIG_MAP_LIMIT_BYTES}`,
    hint: 'narrow selectors so that fewer rules select this workload, or merge rules; the last published bundle stays in force',
  };
}
