/*
 * The access log: one JSON line per decision. In: exchange records. Out: lines on a file descriptor, written through
 * buffers that are allocated once, so that a line costs no garbage that lives on. Made by the agent.
 */
import { write } from 'node:fs';
import type { Clock } from '../../clock.ts';
import type { ExchangeRecord } from '../context.ts';
import { accessLine } from './access-line.ts';

export interface AccessLogOptions {
  readonly fd: number;
  readonly clock: Clock;
  /** Share of allowed requests that are logged, 0 to 1; everything else is always logged. */
  readonly allowSampleRate: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** A line could not be kept: the reader of the log does not keep up. */
  readonly onDropped: () => void;
}

const BUFFER_BYTES = 128 * 1024;
const FLUSH_MS = 100;
/** Buffers that allowed requests may fill while writes are under way, and that all others may. */
const ALLOW_BUFFERS = 4;
const MOST_BUFFERS = 32;

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #free: Buffer[] = [];
  /** Full buffers in the order to be written; the first is under way when `#writing`. */
  readonly #full: { readonly buffer: Buffer; readonly length: number }[] = [];
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

  /** Writes what is left. Resolves when it has been handed to the system. */
  async close(): Promise<void> {
    this.#seal();
    if (this.#full.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** @param line ASCII */
  #append(line: string, mayBeDropped: boolean): void {
    if (this.#length + line.length > BUFFER_BYTES && !this.#nextBuffer(mayBeDropped ? ALLOW_BUFFERS : MOST_BUFFERS)) {
      this.#options.onDropped();
      return;
    }
    this.#length += this.#current.write(line, this.#length, 'latin1');
    if (this.#armed) return;
    this.#armed = true;
    setTimeout(() => {
      this.#armed = false;
      this.#seal();
    }, FLUSH_MS).unref();
  }

  #nextBuffer(most: number): boolean {
    if (this.#free.length === 0 && this.#allocated >= most) return false;
    this.#seal();
    return true;
  }

  /** Hands the current buffer over for writing and takes another. */
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
    const first = this.#full[0];
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
        setTimeout(() => this.#writeFirst(offset), 10);
        return;
      }
      // Any other error: the log's reader is gone, and there is nowhere to tell it but the counter.
      if (error !== null) this.#options.onDropped();
      this.#full.shift();
      if (this.#free.length < ALLOW_BUFFERS) this.#free.push(first.buffer);
      else this.#allocated -= 1;
      this.#writeFirst(0);
    });
  }
}
