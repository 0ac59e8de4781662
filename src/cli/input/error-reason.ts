/*
 * The reason of a failed read, without the path: the caller names the file as the user did, the system does not.
 */
import { getSystemErrorMessage } from 'node:util';

/**
 * The message of `error`; of a system error without its code, call and path.
 * @example errorReason(await readFile('nope').catch((error) => error)) // 'no such file or directory'
 */
export function errorReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? error.message : getSystemErrorMessage(errno);
}
