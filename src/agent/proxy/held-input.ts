/*
 * Holds a client back: stops reading its socket, and keeps the bytes that came behind the request at hand. In: bytes that
 * cannot be used yet. Out: the same bytes later. Used by the client connection.
 */
import type { Socket } from 'node:net';

export class HeldInput {
  readonly #socket: Socket;
  #rest: Buffer | undefined;
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reading is stopped, or bytes are kept. */
  get holds(): boolean {
    return this.#paused || this.#rest !== undefined;
  }

  /** Keeps a copy of `buffer[start, end)` and reads no further. */
  keep(buffer: Buffer, start: number, end: number): void {
    const fresh = Buffer.from(buffer.subarray(start, end));
    this.#rest = this.#rest === undefined ? fresh : Buffer.concat([this.#rest, fresh]);
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
    const rest = this.#rest;
    this.#rest = undefined;
    this.resume();
    return rest;
  }
}
