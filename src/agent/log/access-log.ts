/*
 * The access log: one JSON line per exchange, written through buffers that are allocated once, so that a line leaves no long-lived garbage.
 */
import { write } from 'node:fs';
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedList } from '../../limits/containers.ts';
import { startTimer } from '../../limits/timers.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';
import { accessLine } from './access-line.ts';

/** Where lines go, and which are written. */
export interface AccessLogOptions {
  readonly fd: number;
  readonly clock: Clock;
  /** Share of allowed requests that are logged, 0 to 1; everything else is always logged. */
  readonly allowSampleRate: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** A line was dropped: the reader of the log does not keep up. */
  readonly onDropped: () => void;
}

const BUFFER_BYTES = 128 * 1024;
/** Most buffers that lines of allowed requests, and those of all others, may fill while writes are pending. */
const ALLOW_BUFFERS = LIMITS.accessLogAllowBuffers.value;
const ALL_BUFFERS = LIMITS.accessLogBuffers.value;

/** Buffers lines and writes them in order. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #free = new BoundedList<Buffer>(LIMITS.accessLogAllowBuffers);
  /** Full buffers in the order of writing; the first is being written when `#writing`. */
  readonly #full = new BoundedList<{ readonly buffer: Buffer; readonly length: number }>(LIMITS.accessLogBuffers);
  #current: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #length = 0;
  #allocated = 1;
  #writing = false;
  #armed = false;
  #whenIdle: (() => void) | undefined;

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  /** Logs an exchange. */
  add(record: ExchangeRecord): void {
    const allowed = record.verdict?.outcome === 'allow';
    const { allowSampleRate, clock } = this.#options;
    if (allowed && allowSampleRate < 1 && this.#options.random() >= allowSampleRate) return;
    this.#append(accessLine(record, clock), allowed);
  }

  /** Writes the rest. Resolves when the system has taken it. */
  async close(): Promise<void> {
    this.#seal();
    if (this.#full.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** @param line ASCII */
  #append(line: string, mayBeDropped: boolean): void {
    if (this.#length + line.length > BUFFER_BYTES && !this.#nextBuffer(mayBeDropped ? ALLOW_BUFFERS : ALL_BUFFERS)) {
      this.#options.onDropped();
      return;
    }
    this.#length += this.#current.write(line, this.#length, 'latin1');
    if (this.#armed) return;
    this.#armed = true;
    startTimer(LIMITS.accessLogFlush, () => {
      this.#armed = false;
      this.#seal();
    });
  }

  #nextBuffer(most: number): boolean {
    if (this.#free.length === 0 && this.#allocated >= most) return false;
    this.#seal();
    return true;
  }

  /** Queues the current buffer for writing and takes another. */
  #seal(): void {
    if (this.#length === 0) return;
    const next = this.#free.pop();
    if (next === undefined) this.#allocated += 1;
    this.#full.push({ buffer: this.#current, length: this.#length });
    this.#current = next ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#length = 0;
    if (!this.#writing) this.#writeFirst(0);
  }

  #writeFirst(offset: number): void {
    const first = this.#full.first;
    if (first === undefined) {
      this.#writing = false;
      this.#whenIdle?.();
      return;
    }
    this.#writing = true;
    write(this.#options.fd, first.buffer, offset, first.length - offset, null, (error, written) => {
      if (error === null && offset + written < first.length) {
        this.#writeFirst(offset + written);
        return;
      }
      if (error !== null && error.code === 'EAGAIN') {
        startTimer(LIMITS.accessLogRetry, () => this.#writeFirst(offset));
        return;
      }
      // Any other error: the log's reader is gone, and only the counter can report it.
      if (error !== null) this.#options.onDropped();
      this.#full.shift();
      if (!this.#free.push(first.buffer)) this.#allocated -= 1;
      this.#writeFirst(0);
    });
  }
}
