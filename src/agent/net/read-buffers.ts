/*
 * Where sockets are read into. All sockets share one buffer, whose content is valid during a callback only. It is small: what one read
 * brings may have to be kept for each of many connections. A socket through which a large body passes gets a larger buffer to
 * itself: its bytes are written to the other side as they are, and while they wait to be written the socket reads into another one.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedList } from '../../limits/containers.ts';

/** Size of the shared buffer. A read of as many bytes is worth not to be copied. */
export const LARGE_BYTES: number = 16 * 1024;
/** A read of 64 KiB costs half as much again for each byte. */
const BULK_BYTES: number = LIMITS.readBufferBytes.value;
/** Beyond it, a socket keeps its buffer only while its reads fill it: one that is idle or paused could not give it back. */
const PLENTY = LIMITS.readBuffers.value / 2;
/** Then other sockets have their turn: Node.js reads a socket up to 32 times in a row. */
const READS_IN_A_ROW = 4;

/** A read buffer that may be kept until its bytes are written. */
export class BulkBuffer {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(BULK_BYTES);
  /** The socket that reads into it, and the writer that still has to write from it. */
  holders = 1;
  /** The buffer that the same writer kept before this one. */
  next: BulkBuffer | undefined;
}

const shared = Buffer.allocUnsafeSlow(LARGE_BYTES);
const unused = new BoundedList<BulkBuffer>(LIMITS.unusedReadBuffers);
let made = 0;
/** What the socket at hand was read into; undefined: the shared buffer. */
let current: BulkBuffer | undefined;

/** The buffer to keep instead of copying from `buffer`; undefined: its bytes must be copied. Valid while the bytes are delivered. */
export function keepable(buffer: Buffer): BulkBuffer | undefined {
  return current?.bytes === buffer ? current : undefined;
}

/** Gives up one of the holds on `buffer`. */
export function giveBack(buffer: BulkBuffer): void {
  buffer.holders -= 1;
  if (buffer.holders > 0) return;
  if (!unused.push(buffer)) made -= 1;
}

function take(): BulkBuffer | undefined {
  const ready = unused.pop();
  if (ready !== undefined) {
    ready.holders = 1;
    return ready;
  }
  if (made >= LIMITS.readBuffers.value) return undefined;
  made += 1;
  return new BulkBuffer();
}

/** Receives what was read; see `SocketEvents`. */
export interface BytesReceiver {
  /** A body or a switched protocol passes: what is read goes to the other side. */
  readonly isPassing: boolean;
  onBytes(buffer: Buffer, length: number): void;
}

/** The buffers of one socket, as `onread` wants them. */
export class ReadBuffers {
  /** Receives what is read from now on. */
  receiver: BytesReceiver;
  #bulk: BulkBuffer | undefined;
  #lastRead = -1;
  /** Reads that filled a large buffer, one after the other. */
  #filled = 0;

  constructor(receiver: BytesReceiver) {
    this.receiver = receiver;
  }

  /** Delivers what was read. @returns false: other sockets are to be read before this one is read again */
  deliver(length: number): boolean {
    this.#lastRead = length;
    const bulk = this.#bulk;
    current = bulk;
    this.receiver.onBytes(bulk === undefined ? shared : bulk.bytes, length);
    current = undefined;
    this.#filled = length === BULK_BYTES ? this.#filled + 1 : 0;
    if (this.#filled < READS_IN_A_ROW) return true;
    this.#filled = 0;
    return false;
  }

  /** Where the next read goes; undefined: to the same buffer as before. @param isPaused the socket is not read now */
  next(isPaused: () => boolean): Buffer | undefined {
    const bulk = this.#bulk;
    const large = this.#lastRead >= LARGE_BYTES && this.receiver.isPassing;
    if (bulk === undefined) return this.#lastRead === -1 ? shared : large ? this.#change(take()) : undefined;
    if (!large) return this.#change(undefined);
    if (made - unused.length > PLENTY && (this.#lastRead < BULK_BYTES || isPaused())) return this.#change(undefined);
    return bulk.holders > 1 ? this.#change(take()) : undefined;
  }

  /** The socket is closed. */
  close(): void {
    this.#change(undefined);
  }

  #change(to: BulkBuffer | undefined): Buffer {
    const from = this.#bulk;
    this.#bulk = to;
    if (from !== undefined) giveBack(from);
    return to === undefined ? shared : to.bytes;
  }
}
