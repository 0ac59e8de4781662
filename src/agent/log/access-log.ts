/*
 * The access log: one JSON line per exchange.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { LineWriter } from '../../telemetry/line-writer.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';
import type { TcpRecord } from '../tcp/tcp-record.ts';
import { accessLine, connectionLine } from './access-line.ts';

/** Where lines go, and which are written. */
export interface AccessLogOptions {
  readonly writer: LineWriter;
  readonly clock: Clock;
  /** Share of allowed requests that are logged, 0 to 1; everything else is always logged. */
  readonly allowSampleRate: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** When the reader of the log is slow, lines of allowed requests are dropped first. */
const ALLOW_BUFFERS = LIMITS.accessLogAllowBuffers.value;
const ALL_BUFFERS = LIMITS.accessLogBuffers.value;

/** Logs the exchanges of one agent. */
export class AccessLog {
  readonly #options: AccessLogOptions;

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  /** Logs an exchange. @param endMs monotonic milliseconds at its end; absent: now */
  add(record: ExchangeRecord, endMs?: number): void {
    const allowed = record.verdict?.outcome === 'allow';
    const { allowSampleRate, clock, writer } = this.#options;
    if (allowed && allowSampleRate < 1 && this.#options.random() >= allowSampleRate) return;
    writer.addAccess(accessLine(record, clock, endMs), allowed ? ALLOW_BUFFERS : ALL_BUFFERS);
  }

  /** Logs a TCP connection. */
  addConnection(record: TcpRecord): void {
    const allowed = record.outcome === 'allow' && record.details === '';
    const { allowSampleRate, clock, writer } = this.#options;
    if (allowed && allowSampleRate < 1 && this.#options.random() >= allowSampleRate) return;
    writer.addAccess(connectionLine(record, clock), allowed ? ALLOW_BUFFERS : ALL_BUFFERS);
  }

  /** Writes the rest. Resolves when the system has taken it, or when that takes too long. */
  async close(): Promise<void> {
    await this.#options.writer.flush();
  }
}
