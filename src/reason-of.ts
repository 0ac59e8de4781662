/*
 * What was thrown, in words for people. In: anything. Out: one text. Called by whoever tells a fault together with its file.
 */
import { getSystemErrorMessage } from 'node:util';

/** Of a system error the reason alone: whoever tells it names the file as it was given. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { errno } = thrown as NodeJS.ErrnoException;
  return errno === undefined ? thrown.message : getSystemErrorMessage(errno);
}
