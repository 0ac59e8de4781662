/*
 * Writes tar files that depend only on their content: fixed times and owner, entries in the given order.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, stat } from 'node:fs/promises';

/** One entry: a directory, a symbolic link, or a file from memory or from disk. */
export type TarEntry = { readonly path: string; readonly mode: number } & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly content: Uint8Array }
  | { readonly kind: 'file'; readonly from: string }
);

const blockBytes = 512;
const typeFlags = { file: '0', link: '2', folder: '5' } as const;

/**
 * Writes the entries, owned by root at time 0, to a new file.
 * @returns `sha256:<hex>` of the whole file
 * @throws Error when a path does not fit the ustar format (255 bytes)
 */
export async function writeTar(path: string, entries: readonly TarEntry[]): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  const put = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    await writeAll(file, bytes);
  };
  try {
    for (const entry of entries) await putEntry(entry, put);
    await put(Buffer.alloc(2 * blockBytes));
  } finally {
    await file.close();
  }
  return `sha256:${hash.digest('hex')}`;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}

async function putEntry(entry: TarEntry, put: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const size = await sizeOf(entry);
  await put(headerOf(entry, size));
  if (entry.kind !== 'file') return;
  if ('content' in entry) await put(entry.content);
  else for await (const chunk of createReadStream(entry.from, { highWaterMark: 1 << 20 })) await put(chunk as Buffer);
  await put(Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes));
}

async function sizeOf(entry: TarEntry): Promise<number> {
  if (entry.kind !== 'file') return 0;
  return 'content' in entry ? entry.content.length : (await stat(entry.from)).size;
}

/** @see POSIX.1-2017, pax, "ustar Interchange Format" */
function headerOf(entry: TarEntry, size: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  const { name, prefix } = splitPath(entry.kind === 'folder' ? `${entry.path}/` : entry.path);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  header.write(name, 0);
  header.write(octal(entry.mode, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(' '.repeat(8), 148);
  header.write(typeFlags[entry.kind], 156);
  if (entry.kind === 'link') header.write(entry.target, 157, 100);
  header.write('ustar\u000000', 257);
  header.write(prefix, 345);
  // The checksum is computed while its own field holds spaces.
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\u0000 `, 148);
  return header;
}

function splitPath(path: string): { readonly name: string; readonly prefix: string } {
  const relative = path.replace(/^\/+/, '');
  if (Buffer.byteLength(relative) <= 100) return { name: relative, prefix: '' };
  for (let cut = relative.indexOf('/'); cut > 0; cut = relative.indexOf('/', cut + 1)) {
    const [prefix, name] = [relative.slice(0, cut), relative.slice(cut + 1)];
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { name, prefix };
  }
  throw new Error(`path too long for a tar file: ${path}`);
}
