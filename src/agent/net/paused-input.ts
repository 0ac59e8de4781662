/*
 * Pauses a client: keeps a limited number of the bytes that arrive while nothing is wanted, and stops reading the socket beyond it.
 * While a socket is not read the kernel reports neither its end nor a reset; a watch looks for both. The end is behind the bytes that
 * arrived before it, so the watch reads further, within a second limit: as much as the kernel holds for a socket that was not read.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteBudget } from '../../limits/containers.ts';
import { type Stopped, StoppedSockets } from './stopped-sockets.ts';

/** Bytes of clients that wait in memory, heads included; of the whole process. */
export const INPUT_BUDGET: ByteBudget = new ByteBudget(LIMITS.clientInputBudget);

const STOPPED = new StoppedSockets();
const MAX_KEPT = LIMITS.pausedInputBytes.value;
const MAX_SEARCHED = LIMITS.searchedInputBytes.value;
/** The watch reads further only while less of the budget is used: the rest is for requests. */
const SEARCH_BUDGET = INPUT_BUDGET.max / 8;
const NOTHING = Buffer.alloc(0);

/** Input of one socket that can be paused. */
export class PausedInput implements Stopped {
  readonly #socket: Socket;
  /** One buffer that grows: a part for each read would cost a sender of single bytes little, and us much. */
  #buffer: Buffer = NOTHING;
  #length = 0;
  /** What `release` returned last: taken back without a copy, since a pipelined request is followed by the same bytes as before. */
  #released: Buffer = NOTHING;
  #reserved = 0;
  /** The socket is stopped beyond it. */
  #limit = MAX_KEPT;
  /** Nothing is wanted, whatever arrives. */
  #paused = false;
  /** The socket is not read. */
  #stopped = false;
  /** A look has found it stopped. */
  #wasStopped = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that arrive are to be kept. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** Paused, or bytes are kept. */
  get isHolding(): boolean {
    return this.#paused || this.#length > 0;
  }

  /** The bytes that are kept; valid until the next call. */
  get kept(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /**
   * Keeps a copy of `buffer[start, end)` and continues reading, whatever the limit of one connection.
   * @returns false: the process keeps too much already
   */
  collect(buffer: Buffer, start: number, end: number): boolean {
    if (this.#length === 0 && buffer === this.#released && isMostOf(buffer, end - start)) return this.#takeBack(start, end);
    const length = this.#length + end - start;
    if (length > this.#buffer.length && !this.#grow(length)) return false;
    buffer.copy(this.#buffer, this.#length, start, end);
    this.#length = length;
    return true;
  }

  /** Keeps a copy of `buffer[start, end)`; stops reading beyond the limit. @returns false: the process keeps too much already */
  keep(buffer: Buffer, start: number, end: number): boolean {
    if (!this.collect(buffer, start, end)) return false;
    if (this.#length > this.#limit) this.#stop();
    return true;
  }

  /** Stops reading. */
  pause(): void {
    this.#paused = true;
    this.#stop();
  }

  /** Continues reading; what is kept stays kept. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#length <= this.#limit) this.#start();
  }

  /** Continues reading. @returns the bytes that were kept, which now belong to the caller; undefined: none */
  release(): Buffer | undefined {
    const rest = this.#length === 0 ? undefined : this.kept;
    this.#forget();
    this.#released = rest ?? NOTHING;
    this.#paused = false;
    this.#start();
    return rest;
  }

  /** The socket is closed. */
  close(): void {
    this.#forget();
    this.#released = NOTHING;
    STOPPED.delete(this);
  }

  look(): void {
    if (this.#length <= this.#limit) this.#start();
    // With a write in progress a reset is reported, and a client that has unread bytes resets the connection when it closes it.
    else if (!this.#socket.writable || this.#socket.writableLength > 0) return;
    else if (!this.#wasStopped) this.#wasStopped = true;
    else if (this.#length <= MAX_SEARCHED && INPUT_BUDGET.used <= SEARCH_BUDGET) {
      this.#limit = MAX_SEARCHED;
      this.#start();
      // Writing nothing fails on a connection that was reset.
    } else this.#socket.write('');
  }

  #takeBack(start: number, end: number): boolean {
    if (!INPUT_BUDGET.reserve(end - start)) return false;
    this.#reserved = end - start;
    this.#buffer = this.#released.subarray(start, end);
    this.#length = end - start;
    return true;
  }

  #grow(length: number): boolean {
    const size = Math.max(length, this.#buffer.length * 2);
    if (!INPUT_BUDGET.reserve(size - this.#reserved)) return false;
    this.#reserved = size;
    const larger = Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    return true;
  }

  #forget(): void {
    INPUT_BUDGET.release(this.#reserved);
    this.#reserved = 0;
    this.#buffer = NOTHING;
    this.#length = 0;
    this.#limit = MAX_KEPT;
    this.#wasStopped = false;
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#socket.pause();
    STOPPED.add(this);
  }

  #start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    STOPPED.delete(this);
    this.#socket.resume();
  }
}

/** Otherwise a few bytes, which are all that is reserved, would keep a large buffer in memory. */
function isMostOf({ buffer: { byteLength } }: Buffer, bytes: number): boolean {
  return bytes * 2 >= byteLength;
}
