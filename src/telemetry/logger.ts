/*
 * The logger of a process: pino with ISO timestamps, level names and redacted secrets. Each entry point creates one and
 * passes it on; it is never imported as a singleton.
 */
import { type Logger, levels, type LoggerOptions as PinoOptions, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { lineWriterOf } from './line-writer.ts';
import { hasColours, type LogFormat, textLine } from './text-line.ts';

export type { Logger } from 'pino';
export type { LogFormat } from './text-line.ts';

/** Lowest level of log lines; `silent` logs nothing. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Options of a logger. Field names of log lines: `component, part, kind, namespace, name, generation, workload, digest, durationMs, attempt, code, err`. */
export interface LoggerOptions {
  /** A function is asked at every line, so that the level of a running process can change. */
  readonly level: LogLevel | (() => LogLevel);
  /** Form of all log lines at `fd`, asked like `level`; absent: what an earlier logger has set there, at first `json`. */
  readonly format?: LogFormat | (() => LogFormat);
  /** The process, such as `controller`; field `component` of every line. Its parts add `part`: pino writes a key that a child repeats twice. */
  readonly component: string;
  /** File descriptor; 1 (stdout) when absent. */
  readonly fd?: number;
}

/** A logger that writes one JSON object per line, or a line of text, and never waits: see `line-writer.ts`. Values of the fields `authorization`, `cookie`, `token` and `jwt` are redacted. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, format, fd = 1 } = options;
  const writer = lineWriterOf(fd);
  if (format !== undefined) {
    const current = typeof format === 'function' ? format : () => format;
    let isColoured: boolean | undefined;
    writer.formatLogs((line) => (current() === 'text' ? textLine(line, (isColoured ??= isColouredTerminal(fd))) : line));
  }
  // pino calls flushSync after a line of level fatal.
  const destination = { write: (line: string) => writer.addLog(line), flushSync: () => writer.flushNow() };
  return pino(
    {
      ...(typeof level === 'function' ? liveLevel(level) : { level }),
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

function isColouredTerminal(fd: number): boolean {
  return (fd === 1 || fd === 2) && hasColours(fd === 1 ? process.stdout : process.stderr);
}

/** Children of a logger keep the level that they start with, so the hook drops lines instead. */
function liveLevel(current: () => LogLevel): Pick<PinoOptions, 'level' | 'hooks'> {
  return {
    level: 'trace',
    hooks: {
      logMethod(args, log, level) {
        if (level >= (levels.values[current()] ?? Number.POSITIVE_INFINITY)) log.apply(this, args);
      },
    },
  };
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
