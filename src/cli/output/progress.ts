/*
 * One line that says what a long command is at, on a terminal only. In: texts. Out: the same line overwritten, and gone at
 * the end, so that redirected output never holds it.
 */
import type { OutputStream } from '../command-context.ts';

export interface Progress {
  readonly show: (text: string) => void;
  /** Takes the line away. */
  readonly clear: () => void;
}

const CLEAR_LINE = '\r\u001b[K';
const DEFAULT_COLUMNS = 80;

/** A progress line on `stream`; does nothing where the stream is no terminal. */
export function createProgress(stream: OutputStream): Progress {
  if (stream.isTTY !== true) return { show: () => undefined, clear: () => undefined };
  return {
    show: (text) => void stream.write(`${CLEAR_LINE}${text.slice(0, (stream.columns ?? DEFAULT_COLUMNS) - 1)}`),
    clear: () => void stream.write(CLEAR_LINE),
  };
}
