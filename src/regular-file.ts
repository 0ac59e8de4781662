/*
 * Reads files that another user may have put there. A FIFO would wait for a writer, a device may never end, and a thread that waits for
 * either keeps the process from exiting; so only regular files are read, and only up to a limit.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';

const MIB = 1024 * 1024;

/** An open file that is known to be regular. The caller closes it. @throws the system's error, or an Error that says what is wrong with the file */
export async function openRegularFile(path: string, maxBytes: number): Promise<FileHandle> {
  // Without O_NONBLOCK the call itself would wait for the writer of a FIFO. Windows has neither.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new Error(`not a regular file: it is a ${kindOf(facts)}`);
    if (facts.size > maxBytes) throw tooLarge(maxBytes);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The text of a regular file of at most `maxBytes` bytes, decoded as UTF-8, or as UTF-16 if it begins with its byte order mark. @throws as {@link openRegularFile} */
export async function readRegularFile(path: string, maxBytes: number): Promise<string> {
  const handle = await openRegularFile(path, maxBytes);
  try {
    // The file may grow while it is read.
    return await textOf(handle.createReadStream({ end: maxBytes, autoClose: false }), maxBytes);
  } finally {
    await handle.close();
  }
}

/** All text of a stream, decoded as UTF-8, or as UTF-16 if it begins with its byte order mark. @throws Error beyond `maxBytes` bytes */
export async function textOf(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    parts.push(part);
  }
  return decoded(Buffer.concat(parts));
}

/** UTF-8, or UTF-16 with a byte order mark, which PowerShell writes. */
function decoded(bytes: Buffer): string {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  if (mark === 0xfffe) return bytes.toString('utf16le', 2);
  if (mark === 0xfeff && bytes.length % 2 === 0) return Buffer.from(bytes).swap16().toString('utf16le', 2);
  return bytes.toString('utf8');
}

/** Whether `path`, with all links followed, is below `directory`. @throws the system's error, for example for a link to nothing */
export async function isBelow(directory: string, path: string): Promise<boolean> {
  const [root, target] = await Promise.all([realpath(directory), realpath(path)]);
  return target.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
}

function tooLarge(maxBytes: number): Error {
  return new Error(`larger than ${Math.floor(maxBytes / MIB)} MiB`);
}

function kindOf(facts: Stats): string {
  if (facts.isDirectory()) return 'directory';
  if (facts.isFIFO()) return 'FIFO';
  return facts.isSocket() ? 'socket' : 'device';
}
