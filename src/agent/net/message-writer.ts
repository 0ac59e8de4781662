/*
 * Writes one direction of a connection with few system calls: heads and small bodies of one batch leave in a single write.
 */
import type { Socket } from 'node:net';

/** Up to this size a batch is one latin1 string, which the socket writes without a Buffer of ours. */
const STRING_BYTES = 16 * 1024;

/** Batches the output of one socket. */
export class MessageWriter {
  readonly #socket: Socket;
  #waiting = '';

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Adds a latin1 string; it leaves with the next `flush` or large `writeBytes`. */
  write(latin1: string): void {
    this.#waiting += latin1;
  }

  /** Adds `buffer[start, end)`, which may be reused as soon as this returns. */
  writeBytes(buffer: Buffer, start: number, end: number): void {
    const waiting = this.#waiting.length;
    if (waiting + (end - start) <= STRING_BYTES) {
      this.#waiting += buffer.toString('latin1', start, end);
      return;
    }
    const copy = Buffer.allocUnsafeSlow(waiting + (end - start));
    if (waiting > 0) copy.write(this.#waiting, 0, 'latin1');
    buffer.copy(copy, waiting, start, end);
    this.#waiting = '';
    this.#socket.write(copy);
  }

  /** Hands everything to the socket. @returns false: the socket's buffer is full, wait for its `drain` */
  flush(): boolean {
    if (this.#waiting !== '') {
      const latin1 = this.#waiting;
      this.#waiting = '';
      this.#socket.write(latin1, 'latin1');
    }
    return !this.#socket.writableNeedDrain;
  }
}
