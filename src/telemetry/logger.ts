/*
 * The logger of a process: pino with ISO timestamps, level names and redacted secrets. Each entry point creates one and
 * passes it on; it is never imported as a singleton.
 */
import { type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { lineWriterOf } from './line-writer.ts';

export type { Logger } from 'pino';

/** Lowest level of log lines; `silent` logs nothing. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Options of a logger. Field names of log lines: `component, part, kind, namespace, name, generation, workload, digest, durationMs, attempt, code, err`. */
export interface LoggerOptions {
  readonly level: LogLevel;
  /** The process, such as `controller`; field `component` of every line. Its parts add `part`: pino writes a key that a child repeats twice. */
  readonly component: string;
  /** File descriptor; 1 (stdout) when absent. */
  readonly fd?: number;
}

/** A logger that writes one JSON object per line and never waits: see `line-writer.ts`. Values of the fields `authorization`, `cookie`, `token` and `jwt` are redacted. */
export function createLogger(options: LoggerOptions): Logger {
  const writer = lineWriterOf(options.fd ?? 1);
  // pino calls flushSync after a line of level fatal.
  const destination = { write: (line: string) => writer.addLog(line), flushSync: () => writer.flushNow() };
  return pino(
    {
      level: options.level,
      base: { component: options.component },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorValue },
      redact: {
        paths: ['authorization', 'cookie', 'token', 'jwt', '*.authorization', '*.cookie', '*.token', '*.jwt'],
        censor: '[redacted]',
      },
    },
    destination,
  );
}

/** An error with its stack, except for failures of users and of other systems: their message says everything. */
function errorValue(error: Error): unknown {
  const value = stdSerializers.err(error);
  if (!(error instanceof Error) || (error.name !== 'TransientError' && error.name !== 'RefusedError')) return value;
  const { stack: _, ...rest } = value;
  // pino joins the messages of an error and its causes, which may be the same.
  return error.cause instanceof Error && error.cause.message === error.message ? { ...rest, message: error.message } : rest;
}

/** Logs what nothing has caught, then ends the process, also when the log cannot be written. */
export function exitOnUncaught(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    process.exit(1);
  });
}
