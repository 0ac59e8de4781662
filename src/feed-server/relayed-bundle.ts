/*
 * A bundle on its way from the leader to another replica: a line of JSON with the workload, the number and the sizes of the chunks of its
 * text, then the files. With the chunks the replica can send it in parts, as the leader does.
 */
import * as z from 'zod/mini';
import type { WorkloadKey } from '../api/kube/keys.ts';
import { Chunk } from '../bundle/canonical-json.ts';
import { joinFiles, splitFiles } from '../bundle/joined-files.ts';
import { parsePayload } from '../feed/parse-payload.ts';
import { MAX_RELAY_DOWN_BYTES } from '../feed/relay-frames.ts';
import { type BundleContent, isPlain, PLAIN_FILE } from './loaded-bundle.ts';

/** A bundle of a workload. */
export interface RelayedBundle extends BundleContent {
  readonly workload: WorkloadKey;
  readonly number: number;
}

const SEPARATOR = 0x0a;
/** Holds the text of a bundle whose files are compressed. */
const TEXT_FILE = 'text';

/** A later minor version may say more. */
const headSchema = z.object({
  // The owner of a pod may have any kind and any name.
  workload: z.string().check(z.regex(/^[^/]+\/[^/]+\/./)),
  number: z.int().check(z.positive()),
  chunks: z.exactOptional(z.array(z.int().check(z.minimum(0)))),
});

/** The bundle as a payload; undefined: it is too large, and has to be read from the API server. */
export function encodeRelayed({ workload, number, files, chunks }: RelayedBundle): Buffer | undefined {
  const whole = encode({ workload, number, ...(chunks === undefined ? {} : { chunks: chunks.map(({ size }) => size) }) }, () =>
    chunks === undefined || isPlain(files, chunks) ? files : { ...files, [TEXT_FILE]: textOf(chunks) },
  );
  if (whole.length <= MAX_RELAY_DOWN_BYTES) return whole;
  const withoutText = encode({ workload, number }, () => files);
  return withoutText.length <= MAX_RELAY_DOWN_BYTES ? withoutText : undefined;
}

function encode(head: z.infer<typeof headSchema>, filesOf: () => BundleContent['files']): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), joinFiles(filesOf())]);
}

function textOf(chunks: readonly Chunk[]): Buffer {
  return Buffer.from(chunks.map(({ text }) => text).join(''));
}

/** Reads what {@link encodeRelayed} wrote; undefined: it did not. */
export function parseRelayed(payload: Buffer): RelayedBundle | undefined {
  const end = payload.indexOf(SEPARATOR);
  const head = parsePayload(headSchema, payload.subarray(0, Math.max(end, 0)));
  const joined = head === undefined ? undefined : splitFiles(payload.subarray(end + 1));
  if (head === undefined || joined === undefined) return undefined;
  const { [TEXT_FILE]: text, ...views } = joined;
  const { workload, number, chunks: sizes } = head;
  // It is kept, and a view would keep all that arrived with it.
  const files = Object.fromEntries(Object.entries(views).map(([name, content]) => [name, content && Uint8Array.from(content)]));
  if (sizes === undefined) return { workload, number, files };
  const chunks = chunksOf(text ?? files[PLAIN_FILE] ?? new Uint8Array(), sizes);
  return chunks === undefined ? undefined : { workload, number, files, chunks };
}

/** @returns undefined: the sizes are not those of the text */
function chunksOf(text: Uint8Array, sizes: readonly number[]): readonly Chunk[] | undefined {
  if (sizes.reduce((sum, size) => sum + size, 0) !== text.length) return undefined;
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return new Chunk(bytes.toString('utf8', at - size, at));
  });
}
