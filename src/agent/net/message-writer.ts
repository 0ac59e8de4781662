/*
 * Writes one direction of a connection with few system calls: heads and small bodies of one batch leave in a single write.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { type BulkBuffer, giveBack, keepable, LARGE_BYTES } from './read-buffers.ts';

/** Up to this size a batch is one latin1 string, which the socket writes without a Buffer of ours. */
const STRING_BYTES = LARGE_BYTES;

/** How much may wait for a socket before `flush` reports a full buffer. */
const HIGH_WATER_BYTES = LIMITS.unconnectedOutputBytes.value;

/** Batches the output of one socket. */
export class MessageWriter {
  #socket: Socket | undefined;
  #waiting = '';
  /** The last read buffer whose bytes the socket has not written yet; see {@link BulkBuffer.next}. */
  #kept: BulkBuffer | undefined;
  /** Made with the first large write: most connections never need it. */
  #written: (() => void) | undefined;

  /** @param socket absent: everything waits for `attach` */
  constructor(socket?: Socket) {
    this.#socket = socket;
  }

  /** Sends what waits, and everything from now on, to `socket`. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.flush();
  }

  /** From now on everything waits for `attach`, beginning with `first`. */
  detach(first: string | Buffer): void {
    this.#socket = undefined;
    this.#waiting = (typeof first === 'string' ? first : first.toString('latin1')) + this.#waiting;
  }

  /** Adds a latin1 string; it leaves with the next `flush` or large `writeBytes`. */
  write(latin1: string): void {
    this.#waiting += latin1;
  }

  /** Adds `buffer[start, end)`, which may be reused as soon as this returns, unless it is kept. */
  writeBytes(buffer: Buffer, start: number, end: number): void {
    if (this.#socket !== undefined && this.#waiting.length + (end - start) > STRING_BYTES)
      this.#writeLarge(this.#socket, buffer, start, end);
    else this.#waiting += buffer.toString('latin1', start, end);
  }

  /** Hands everything to the socket. @returns false: the socket's buffer is full, wait for its `drain`, or for `attach` */
  flush(): boolean {
    const socket = this.#socket;
    if (socket === undefined) return this.#waiting.length < HIGH_WATER_BYTES;
    if (this.#waiting !== '') {
      const latin1 = this.#waiting;
      this.#waiting = '';
      socket.write(latin1, 'latin1');
    }
    return !socket.writableNeedDrain;
  }

  #writeLarge(socket: Socket, buffer: Buffer, start: number, end: number): void {
    const bulk = keepable(buffer);
    if (bulk !== undefined && (bulk.holders === 1 || bulk === this.#kept)) {
      this.flush();
      if (this.#socket === socket) this.#writeKept(socket, bulk, buffer.subarray(start, end));
      else this.#waiting += buffer.toString('latin1', start, end);
      return;
    }
    const waiting = this.#waiting.length;
    const copy = Buffer.allocUnsafeSlow(waiting + (end - start));
    if (waiting > 0) copy.write(this.#waiting, 0, 'latin1');
    buffer.copy(copy, waiting, start, end);
    this.#waiting = '';
    socket.write(copy);
  }

  #writeKept(socket: Socket, bulk: BulkBuffer, bytes: Buffer): void {
    this.#written ??= () => this.#releaseKept();
    socket.write(bytes, this.#written);
    // The kernel has taken all of it.
    if (socket.writableLength === 0 || bulk === this.#kept) return;
    bulk.holders += 1;
    bulk.next = this.#kept;
    this.#kept = bulk;
  }

  #releaseKept(): void {
    if (this.#socket !== undefined && this.#socket.writableLength > 0 && !this.#socket.destroyed) return;
    for (let kept = this.#kept; kept !== undefined; ) {
      const { next } = kept;
      kept.next = undefined;
      giveBack(kept);
      kept = next;
    }
    this.#kept = undefined;
  }
}
