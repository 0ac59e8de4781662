/*
 * Decompresses with a bound on the result.
 */
import type * as Zlib from 'node:zlib';

/** Bytes of one piece of the result. Each is handed to the event loop. */
const CHUNK_BYTES = 64 * 1024;

/** Loaded on first use: small bundles are not compressed, and an agent that reads no other starts without it. */
function zlib(): typeof Zlib {
  return process.getBuiltinModule('node:zlib');
}

/** @throws RangeError when the result has more than `most` bytes; Error when `compressed` is not gzip, or truncated */
export function gunzipAtOnce(compressed: Uint8Array, most: number): Uint8Array {
  return zlib().gunzipSync(compressed, { maxOutputLength: Math.max(1, most) });
}

/** The same on another thread. */
export function gunzipApart(compressed: Uint8Array, most: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlib().gunzip(compressed, { maxOutputLength: Math.max(1, most), chunkSize: CHUNK_BYTES }, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
