/*
 * Holds a client back: stops reading its socket, and keeps the bytes that came behind the request at hand. In: bytes that
 * cannot be used yet. Out: the same bytes later. Used by the client connection.
 */
import type { Socket } from 'node:net';

export class HeldInput {
  readonly #socket: Socket;
  readonly #parts: Buffer[] = [];
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reading is stopped, or bytes are kept. */
  get holds(): boolean {
    return this.#paused || this.#parts.length > 0;
  }

  /** Bytes that are kept, in the order they came. */
  get parts(): readonly Buffer[] {
    return this.#parts;
  }

  /** Keeps a copy of `buffer[start, end)`, which is returned, and reads on. */
  collect(buffer: Buffer, start: number, end: number): Buffer {
    const copy = Buffer.from(buffer.subarray(start, end));
    this.#parts.push(copy);
    return copy;
  }

  /** Keeps a copy of `buffer[start, end)` and reads no further. */
  keep(buffer: Buffer, start: number, end: number): void {
    this.collect(buffer, start, end);
    this.pause();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Reads on. @returns the bytes that were kept, which are now the caller's */
  release(): Buffer | undefined {
    const rest = this.#parts.length > 1 ? Buffer.concat(this.#parts) : this.#parts[0];
    this.#parts.length = 0;
    this.resume();
    return rest;
  }
}
