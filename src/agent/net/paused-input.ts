/*
 * Pauses a client: stops reading its socket and keeps the bytes that arrived behind the request at hand.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteParts } from '../../limits/containers.ts';

/** Input of one socket that can be paused. */
export class PausedInput {
  readonly #socket: Socket;
  readonly #kept = new ByteParts(LIMITS.pausedInputBytes);
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reading is stopped, or bytes are kept. */
  get isHolding(): boolean {
    return this.#paused || this.#kept.bytes > 0;
  }

  /** Bytes that are kept, in the order of their arrival. */
  get parts(): readonly Buffer[] {
    return this.#kept.parts;
  }

  /** Keeps a copy of `buffer[start, end)`, which is returned, and continues reading. */
  collect(buffer: Buffer, start: number, end: number): Buffer {
    const copy = Buffer.from(buffer.subarray(start, end));
    this.#kept.push(copy);
    return copy;
  }

  /** Keeps a copy of `buffer[start, end)` and stops reading. */
  keep(buffer: Buffer, start: number, end: number): void {
    this.collect(buffer, start, end);
    this.pause();
  }

  /** Stops reading. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  /** Continues reading; what is kept stays kept. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Continues reading. @returns the bytes that were kept, which now belong to the caller; undefined: none */
  release(): Buffer | undefined {
    const rest = this.#kept.take();
    this.resume();
    return rest;
  }
}
