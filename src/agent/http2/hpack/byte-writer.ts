/*
 * A buffer that grows, for the frames of one batch of output. A batch is written within one turn of the event loop, so connections share
 * a few buffers, and an idle one has none.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../../limits/agent-limits.ts';
import { BoundedList } from '../../../limits/containers.ts';

/** Size of the shared buffers; a longer batch gets a buffer to itself. */
const SHARED_BYTES = LIMITS.batchBytes.value;
/** A longer string is written by Node.js, a shorter one byte by byte: that call costs more than it saves. */
const SHORT = 24;

const NOTHING = Buffer.alloc(0);
const unused = new BoundedList<Buffer>(LIMITS.batchBuffers);

/** Collects bytes; `send` hands them to a socket. What limits its length is what its owner writes between two calls of `send`. */
export class ByteWriter {
  #bytes: Buffer = NOTHING;
  #length = 0;

  /** Number of bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /** Writes one byte. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** Writes an unsigned integer of four bytes. */
  uint32(value: number): void {
    this.#reserve(4);
    this.#bytes.writeUInt32BE(value, this.#length);
    this.#length += 4;
  }

  /** Writes the nine bytes at the start of a frame (RFC 9113 section 4.1). */
  frameHead(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(9);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = length >>> 16;
    bytes[at++] = length >>> 8;
    bytes[at++] = length;
    bytes[at++] = type;
    bytes[at++] = flags;
    bytes[at++] = streamId >>> 24;
    bytes[at++] = streamId >>> 16;
    bytes[at++] = streamId >>> 8;
    bytes[at++] = streamId;
    this.#length = at;
  }

  /** Sets the length of the frame whose head begins at `start` to what was written behind it. */
  closeFrame(start: number): void {
    const length = this.#length - start - 9;
    this.#bytes[start] = length >>> 16;
    this.#bytes[start + 1] = length >>> 8;
    this.#bytes[start + 2] = length;
  }

  /** Sets bits of the byte at `at`. */
  setBits(at: number, bits: number): void {
    this.#bytes[at] = (this.#bytes[at] as number) | bits;
  }

  /** Writes a string of latin1 characters. */
  latin1(text: string): void {
    const { length } = text;
    this.#reserve(length);
    const bytes = this.#bytes;
    const start = this.#length;
    if (length > SHORT) bytes.write(text, start, 'latin1');
    else for (let at = 0; at < length; at += 1) bytes[start + at] = text.charCodeAt(at);
    this.#length = start + length;
  }

  /** Writes a copy of `buffer[start, end)`. */
  bytes(buffer: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    buffer.copy(this.#bytes, this.#length, start, end);
    this.#length += end - start;
  }

  /** The bytes that were written from `start` on, which are removed; valid until the next write. */
  takeBack(start: number): Buffer {
    const taken = this.#bytes.subarray(start, this.#length);
    this.#length = start;
    return taken;
  }

  /** Hands everything to `socket`. */
  send(socket: Socket): void {
    if (this.#length === 0) return;
    const bytes = this.#bytes;
    const length = this.#length;
    this.#bytes = NOTHING;
    this.#length = 0;
    socket.write(bytes.subarray(0, length));
    // What the kernel has not taken the socket still reads.
    if (socket.writableLength === 0 && bytes.length === SHARED_BYTES) unused.push(bytes);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed > this.#bytes.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    const old = this.#bytes;
    const shared = old === NOTHING && needed <= SHARED_BYTES ? unused.pop() : undefined;
    this.#bytes = shared ?? Buffer.allocUnsafeSlow(Math.max(SHARED_BYTES, needed, old.length * 2));
    old.copy(this.#bytes, 0, 0, this.#length);
  }
}
