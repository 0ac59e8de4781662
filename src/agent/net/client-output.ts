/*
 * What clients have not read yet: limited for each connection and for the whole process. A client beyond either limit gets nothing
 * new until it has read everything.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteBudget } from '../../limits/containers.ts';

/** Bytes that wait for clients to read them; of the whole process. */
const OUTPUT_BUDGET = new ByteBudget(LIMITS.clientOutputBudget);

/** Output of one client connection that the kernel has not taken. */
export class ClientOutput {
  /** The client does not keep up: wait until it has read everything. */
  isFull = false;
  readonly #socket: Socket;
  readonly #onRead: () => void;
  #reserved = 0;
  #left = 0;
  #sinceMs = 0;
  /** A write without bytes waits; its callback follows when everything before it was read. */
  #isAsked = false;

  /** @param onRead is called when the client has read everything after it did not keep up, unless the socket emits `drain` */
  constructor(socket: Socket, onRead: () => void) {
    this.#socket = socket;
    this.#onRead = onRead;
  }

  /** Takes note of what was written or read. @returns false: the client does not keep up */
  update(): boolean {
    const waiting = this.#socket.writableLength;
    if (waiting === 0) {
      if (this.#reserved !== 0) this.release();
      this.isFull = false;
      return true;
    }
    if (!this.#reserve(waiting) || this.#socket.writableNeedDrain) this.isFull = true;
    // Without a full buffer the socket emits no `drain`.
    if (this.isFull && !this.#socket.writableNeedDrain && !this.#isAsked) this.#ask();
    return !this.isFull;
  }

  /** Has the client read nothing for `patienceMs`, although something waits for it? To be asked again and again. */
  isUnread(nowMs: number, patienceMs: number): boolean {
    const left = this.#socket.writableLength;
    if (left !== this.#left) {
      this.#left = left;
      this.#sinceMs = nowMs;
    }
    return left !== 0 && nowMs - this.#sinceMs >= patienceMs;
  }

  /** The socket is closed, or everything was read. */
  release(): void {
    OUTPUT_BUDGET.release(this.#reserved);
    this.#reserved = 0;
  }

  #ask(): void {
    // Nothing new follows what ends the output.
    if (!this.#socket.writable) return;
    this.#isAsked = true;
    this.#socket.write('', () => {
      this.#isAsked = false;
      this.#onRead();
    });
  }

  #reserve(waiting: number): boolean {
    const more = waiting - this.#reserved;
    if (more <= 0) OUTPUT_BUDGET.release(-more);
    else if (!OUTPUT_BUDGET.reserve(more)) return false;
    this.#reserved = waiting;
    return true;
  }
}
