/*
 * Reproducible tar.gz archives: fixed times, owner root, entries in the order of their paths.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type ImageFile, tarEntriesOf } from './image-file.ts';
import { writeTar } from './tar.ts';

/** Higher levels take twice the time for 1 %. */
const COMPRESSION = 6;

/** Writes files into a new archive. Their paths are relative to the directory in which it is unpacked. */
export async function writeArchive(goal: string, files: readonly ImageFile[]): Promise<void> {
  const tar = `${goal}.tar`;
  await writeTar(tar, tarEntriesOf(files));
  await pipeline(createReadStream(tar), createGzip({ level: COMPRESSION }), createWriteStream(goal));
  await rm(tar);
}
