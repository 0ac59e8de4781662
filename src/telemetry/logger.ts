/*
 * The process's logger. In: level and format from the configuration. Out: a pino logger with ISO time, level as text
 * and secrets redacted; handed down, never imported as a singleton. Every process makes one at its entry point.
 */
import { type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Field names of log lines are fixed here: `component, kind, namespace, name, generation, workload, digest, durationMs, attempt, code, err`. */
export interface LoggerOptions {
  readonly level: LogLevel;
  /** Process part, e.g. `controller`; field `component` of every line. */
  readonly component: string;
  /** File descriptor; 1 (stdout) when absent. */
  readonly fd?: number;
}

/** A logger writing one JSON object per line. Values of `authorization`, `cookie`, `token` and `jwt` fields never appear. */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({ fd: options.fd ?? 1, sync: true });
  return pino(
    {
      level: options.level,
      base: { component: options.component },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['authorization', 'cookie', 'token', 'jwt', '*.authorization', '*.cookie', '*.token', '*.jwt'],
        censor: '[redacted]',
      },
    },
    destination,
  );
}
