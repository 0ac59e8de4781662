/*
 * The only places where a command writes to its streams: text for people is made printable here, whatever it contains.
 */
import type { OutputStream } from '../context/command-context.ts';
import { printable, printableLines } from './printable.ts';

/** Writes text for people, which may have several lines and styles. */
export function writeText(stream: OutputStream, text: string): void {
  stream.write(printableLines(text));
}

/** Writes one message on one line, after the name of the program. */
export function writeMessage(stream: OutputStream, message: string): void {
  writeText(stream, `sallyport: ${printable(message)}\n`);
}

/** Writes a document for programs, unchanged: its format escapes what has to be escaped. */
export function writeDocument(stream: OutputStream, text: string): void {
  stream.write(text);
}
