/*
 * Lines for a file descriptor, kept in a bounded number of buffers while its reader is slow. A line that finds no space is dropped and
 * counted; nothing ever waits. The buffers are allocated once, so that a line leaves no long-lived garbage.
 */
import { LIMITS } from '../limits/agent-limits.ts';
import { BoundedList, ByteBudget } from '../limits/containers.ts';
import { startDeadline, startTimer } from '../limits/timers.ts';
import { type LogSink, openLogSink } from './log-sink.ts';

/** What a line belongs to. */
export type LineKind = 'access' | 'log';

/** Lines of this process that were lost, because the reader of a log was too slow or gone, or a disk was full. */
export const LOST_LINES: Record<LineKind, number> = { access: 0, log: 0 };

const BUFFER_BYTES = 128 * 1024;
/** Bytes of all buffers that are in use, whatever they are written to. */
const LOG_BUDGET = new ByteBudget(LIMITS.logBytes);

/** A buffer that is written as a whole. */
interface Block {
  readonly buffer: Buffer;
  length: number;
  /** Number of lines of each kind. */
  access: number;
  log: number;
}

/** Writes the lines of one file descriptor in order. */
export class LineWriter {
  readonly #sink: LogSink;
  readonly #budget: ByteBudget;
  readonly #free = new BoundedList<Block>(LIMITS.spareLogBuffers);
  /** In the order of writing; the first is being written when `#writing`. */
  readonly #full = new BoundedList<Block>(LIMITS.logBuffers);
  #current: Block | undefined;
  /** Blocks in use: the current one and the full ones. */
  #used = 0;
  #writing = false;
  #cancelFlush: (() => void) | undefined;
  /** Lost lines that no line in the log reports yet. */
  #unreported = 0;
  /** A flush has waited in vain, and nothing has been written since. */
  #stalled = false;
  #onIdle: (() => void) | undefined;
  #flushing: Promise<void> | undefined;
  #formatLog = (line: string): string => line;

  /** @param budget of another process, for tests */
  constructor(sink: LogSink, budget: ByteBudget = LOG_BUDGET) {
    this.#sink = sink;
    this.#budget = budget;
  }

  /**
   * Adds a line that may wait for others to be written with it.
   * @param line ASCII with its line feed
   * @param maxBuffers dropped if more buffers are in use
   */
  addAccess(line: string, maxBuffers: number): void {
    const block = this.#spaceFor(line.length, maxBuffers);
    if (block === undefined) {
      this.#lose('access', 1);
      return;
    }
    block.length += block.buffer.write(line, block.length, 'latin1');
    block.access += 1;
    this.#cancelFlush ??= startTimer(LIMITS.accessLogFlush, () => this.#flushPeriodEnded());
  }

  /** The form of later log lines; access log lines keep theirs. @param format gets a line with its line feed and returns one */
  formatLogs(format: (line: string) => string): void {
    this.#formatLog = format;
  }

  /** Adds a line that is written as soon as possible. @param json with its line feed */
  addLog(json: string): void {
    const line = this.#formatLog(json);
    const block = this.#spaceFor(Buffer.byteLength(line), LIMITS.logBuffers.value);
    if (block === undefined) {
      this.#lose('log', 1);
      return;
    }
    block.length += block.buffer.write(line, block.length, 'utf8');
    block.log += 1;
    if (!this.#writing) this.#seal();
  }

  /** Resolves when everything is written, or when that takes too long. */
  async flush(): Promise<void> {
    this.#seal();
    if (this.#full.length === 0 || this.#stalled) return;
    this.#flushing ??= this.#idle();
    await this.#flushing;
    this.#flushing = undefined;
  }

  /** Hands everything that is not being written yet to the system, for a process that is about to end. */
  flushNow(): void {
    this.#seal();
    const first = this.#writing ? this.#full.shift() : undefined;
    for (let block = this.#full.shift(); block !== undefined; block = this.#full.shift()) {
      this.#sink.writeNow(block.buffer.subarray(0, block.length));
      this.#release(block);
    }
    if (first !== undefined) this.#full.push(first);
  }

  #spaceFor(bytes: number, maxBuffers: number): Block | undefined {
    const current = this.#current;
    if (current !== undefined && current.length + bytes <= current.buffer.length) return current;
    if (this.#used >= maxBuffers || bytes > LIMITS.logLineBytes.value) return undefined;
    const size = Math.max(bytes, BUFFER_BYTES);
    if (!this.#budget.reserve(size)) return undefined;
    this.#seal();
    const block = (size > BUFFER_BYTES ? undefined : this.#free.pop()) ?? emptyBlock(size);
    this.#current = block;
    this.#used += 1;
    return block;
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = startDeadline(LIMITS.logFlushTime, () => {
        this.#stalled = true;
        resolve();
      });
      this.#onIdle = () => {
        cancel();
        resolve();
      };
    });
  }

  #flushPeriodEnded(): void {
    this.#cancelFlush = undefined;
    // During a write the current block goes on being filled.
    if (!this.#writing) this.#seal();
  }

  /** Queues the current block for writing. */
  #seal(): void {
    const block = this.#current;
    if (block === undefined) return;
    this.#current = undefined;
    this.#full.push(block);
    if (!this.#writing) this.#writeFirst();
  }

  #writeFirst(): void {
    const block = this.#full.first;
    if (block === undefined) {
      this.#onIdle?.();
      this.#onIdle = undefined;
      return;
    }
    this.#writing = true;
    this.#sink.write(block.buffer.subarray(0, block.length), (error) => this.#onWritten(block, error ?? undefined));
  }

  #onWritten(block: Block, error: Error | undefined): void {
    this.#writing = false;
    this.#stalled = false;
    this.#full.shift();
    this.#release(block);
    if (error !== undefined) {
      this.#lose('access', block.access);
      this.#lose('log', block.log);
    }
    this.#recycle(block);
    if (error === undefined && this.#unreported > 0) this.#reportLoss();
    // Lines that arrived during the write.
    if (this.#full.length === 0 && this.#cancelFlush === undefined) this.#seal();
    if (!this.#writing) this.#writeFirst();
  }

  #release(block: Block): void {
    this.#used -= 1;
    this.#budget.release(block.buffer.length);
  }

  #recycle(block: Block): void {
    if (block.buffer.length !== BUFFER_BYTES || this.#free.length >= LIMITS.spareLogBuffers.value) return;
    block.length = 0;
    block.access = 0;
    block.log = 0;
    this.#free.push(block);
  }

  #lose(kind: LineKind, lines: number): void {
    LOST_LINES[kind] += lines;
    this.#unreported += lines;
  }

  #reportLoss(): void {
    const lines = this.#unreported;
    this.#unreported = 0;
    const time = new Date().toISOString();
    this.addLog(
      `{"level":"warn","time":"${time}","component":"log","lines":${lines},"message":"log lines were lost: the log could not be written"}\n`,
    );
  }
}

function emptyBlock(bytes: number): Block {
  return { buffer: Buffer.allocUnsafeSlow(bytes), length: 0, access: 0, log: 0 };
}

/** By file descriptor: its callers share one writer, so that there is one write at a time. */
const WRITERS: (LineWriter | undefined)[] = [];

/** The writer of a file descriptor; the same one for every caller. */
export function lineWriterOf(fd: number): LineWriter {
  return (WRITERS[fd] ??= new LineWriter(openLogSink(fd)));
}

/** Does a log go to this file descriptor? */
export function isLogged(fd: number): boolean {
  return WRITERS[fd] !== undefined;
}

/** Writes the rest of all logs, within a short time. */
export async function flushLogs(): Promise<void> {
  await Promise.all(WRITERS.map(async (writer) => writer?.flush()));
}
