/*
 * Writes one direction of a connection with few system calls: text and small bodies of one turn leave in a single write.
 * In: latin1 text and slices of the reused read buffer. Out: writes on a socket. Used on both sides of the proxy.
 */
import type { Socket } from 'node:net';

/** Up to this size a turn's output is one latin1 string, which the socket writes without a Buffer of ours. */
const STRING_BYTES = 16 * 1024;

export class MessageWriter {
  readonly #socket: Socket;
  #text = '';

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Adds latin1 text; it leaves with the next `flush` or large `bytes`. */
  text(text: string): void {
    this.#text += text;
  }

  /** Adds `buffer[start, end)`, which may be reused as soon as this returns. */
  bytes(buffer: Buffer, start: number, end: number): void {
    const waiting = this.#text.length;
    if (waiting + (end - start) <= STRING_BYTES) {
      this.#text += buffer.toString('latin1', start, end);
      return;
    }
    const copy = Buffer.allocUnsafeSlow(waiting + (end - start));
    if (waiting > 0) copy.write(this.#text, 0, 'latin1');
    buffer.copy(copy, waiting, start, end);
    this.#text = '';
    this.#socket.write(copy);
  }

  /** Hands everything to the socket; false: the socket has enough, wait for its `drain`. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text;
      this.#text = '';
      this.#socket.write(text, 'latin1');
    }
    return !this.#socket.writableNeedDrain;
  }
}
