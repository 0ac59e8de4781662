/*
 * The files of a bundle as one string of bytes: a line of JSON with names and sizes, then the contents in this order.
 */
import type { BundleFiles } from './decode.ts';

const SEPARATOR = 0x0a;

/** The files as one buffer; absent ones are left out. */
export function joinFiles(files: BundleFiles): Buffer {
  const entries = Object.entries(files).flatMap(([name, content]) => (content === undefined ? [] : [[name, content] as const]));
  const head = Buffer.from(`${JSON.stringify(entries.map(([name, { length }]) => [name, length]))}\n`);
  return Buffer.concat([head, ...entries.map(([, content]) => content)]);
}

/** What {@link joinFiles} joined, as views of `joined`; undefined for anything else. */
export function splitFiles(joined: Buffer): BundleFiles | undefined {
  const end = joined.indexOf(SEPARATOR);
  const sizes = parseHead(joined.subarray(0, Math.max(end, 0)).toString('utf8'));
  if (sizes === undefined || end + 1 + sizes.reduce((sum, [, size]) => sum + size, 0) !== joined.length) return undefined;
  let at = end + 1;
  return Object.fromEntries(
    sizes.map(([name, size]) => {
      at += size;
      return [name, joined.subarray(at - size, at)];
    }),
  );
}

/** Names and sizes; undefined for anything else. */
function parseHead(text: string): readonly (readonly [name: string, size: number])[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isEntry = (entry: unknown): entry is readonly [string, number] =>
    Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1]) && entry[1] >= 0;
  return Array.isArray(value) && value.every(isEntry) ? value : undefined;
}
