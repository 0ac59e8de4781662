/*
 * Reads what a process must know before it starts something, however long the API server is away.
 */
import { type Clock, sleep } from '../clock.ts';
import { TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';

const RETRY_MS = 1_000;

/** Retries `read` until it succeeds. @param what for the log @returns undefined when `signal` aborts first */
export async function untilRead<T>(
  read: () => Promise<T>,
  { what, clock, logger }: { readonly what: string; readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await read();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof TransientError)) throw error;
      logger.warn({ code: error.code, err: error }, `${what} not read; retrying`);
      await sleep(clock, RETRY_MS, signal);
    }
  }
  return undefined;
}
