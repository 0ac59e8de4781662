/*
 * Why the system did not read a file, in words. In: what was thrown. Out: one sentence without the path, which the caller
 * names as the user did and the system does not.
 */
import { getSystemErrorMessage } from 'node:util';

/**
 * The message of `error`; of a fault of the system without its code, call and path.
 * @example systemReason(await readFile('nope').catch((error) => error)) // 'no such file or directory'
 */
export function systemReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? error.message : getSystemErrorMessage(errno);
}
