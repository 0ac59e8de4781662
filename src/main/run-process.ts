/*
 * What the entry points have in common: they stop at SIGTERM and SIGINT, log why they failed, and end with an exit code that says it.
 */
import { RefusedError } from '../errors.ts';
import { flushLogs } from '../telemetry/line-writer.ts';
import { createLogger } from '../telemetry/logger.ts';

/** Exit code for an invalid configuration (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;

/** The exit code of a process that failed. */
export function exitCodeOf(error: unknown): number {
  return error instanceof RefusedError && error.code === 'SP_CONFIG' ? EX_CONFIG : 1;
}

/** What differs between processes that run until they are stopped. */
export interface ProcessTraits {
  /** Component of its log lines. */
  readonly component: string;
  /** Logged when it fails. */
  readonly failure: string;
  /** Time limit of a graceful stop, in milliseconds; Kubernetes kills the pod after 30 s. */
  readonly stopLimitMs: number;
}

/** Runs `main` until it ends, and then the process; the signal aborts at SIGTERM and SIGINT. */
export async function runProcess(main: (signal: AbortSignal) => Promise<void>, traits: ProcessTraits): Promise<never> {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      stopping.abort();
      setTimeout(() => process.exit(1), traits.stopLimitMs).unref();
    });
  }
  try {
    await main(stopping.signal);
  } catch (error) {
    createLogger({ level: 'error', component: traits.component, fd: 2 }).error({ err: error }, traits.failure);
    process.exitCode = exitCodeOf(error);
  }
  await flushLogs();
  // Everything has stopped; a leaked socket must not keep the process alive.
  process.exit();
}
