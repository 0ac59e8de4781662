/*
 * One line that shows the progress of a long command on a terminal. It is overwritten in place and cleared at the end; redirected
 * output never contains it.
 */
import type { OutputStream } from '../context/command-context.ts';
import { printable } from './printable.ts';

/** A progress line. */
export interface Progress {
  /** Replaces the line; text that does not fit the terminal is cut. */
  readonly show: (text: string) => void;
  /** Removes the line. */
  readonly clear: () => void;
}

const CLEAR_LINE = '\r\u001b[K';
const DEFAULT_COLUMNS = 80;

/** A progress line on `stream`; does nothing if the stream is not a terminal. */
export function createProgress(stream: OutputStream): Progress {
  if (stream.isTTY !== true) return { show: () => undefined, clear: () => undefined };
  return {
    show: (text) => void stream.write(`${CLEAR_LINE}${printable(text).slice(0, (stream.columns ?? DEFAULT_COLUMNS) - 1)}`),
    clear: () => void stream.write(CLEAR_LINE),
  };
}
