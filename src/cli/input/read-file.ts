/*
 * Reads files named on the command line, `-` for standard input.
 */
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { openRegularFile, readRegularFile } from '../../regular-file.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { errorReason } from './error-reason.ts';

/** The name of standard input in findings. */
export const STDIN_NAME = '<stdin>';

/** The name of the cluster in findings, which has neither lines nor columns. */
export const CLUSTER_NAME = '<cluster>';

/** Size of the largest file that a command reads, and of standard input. */
export const MAX_FILE_BYTES: number = 64 * 1024 * 1024;
/** Size of all manifests together, and of a file of requests. */
export const MAX_BYTES: number = 256 * 1024 * 1024;

/** The text of `file`, without a byte order mark. @throws the system's error, or an Error for what is not a regular file or too large */
export async function readInput(file: string, context: CommandContext): Promise<string> {
  const isStdin = file === '-' || file === STDIN_NAME;
  return withoutByteOrderMark(await (isStdin ? context.readStdin() : readRegularFile(resolve(context.cwd, file), MAX_FILE_BYTES)));
}

/** As {@link readInput}. @throws CommandError with exit code 65 that names the file */
export async function requireInput(file: string, context: CommandContext): Promise<string> {
  try {
    return await readInput(file, context);
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${file}: ${errorReason(error)}`, { cause: error });
  }
}

/** A file to read line by line. @throws CommandError with exit code 65 that names the file */
export async function openLines(file: string, context: CommandContext): Promise<FileHandle> {
  try {
    return await openRegularFile(resolve(context.cwd, file), MAX_BYTES);
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${file}: ${errorReason(error)}`, { cause: error });
  }
}

/** `text` without the byte order mark that some Windows editors write and that JSON parsers reject. */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** `text` parsed as JSON. @param place for the message: a file, or a file with a line @throws CommandError with exit code 65 */
export function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${place}: not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
