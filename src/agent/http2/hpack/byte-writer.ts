/*
 * Frames of one batch of output. A batch is written within one turn of the event loop, so connections share a few buffers, and an idle one has
 * none. A batch of large bodies fills several: new memory for each would keep the garbage collector busy.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../../limits/agent-limits.ts';
import { BoundedList } from '../../../limits/containers.ts';

/** Size of the shared buffers; a header block that is longer gets a buffer to itself. */
const SHARED_BYTES = LIMITS.batchBytes.value;
/** A frame begins in the next buffer if fewer bytes are left: most header blocks fit. */
const MIN_ROOM = 1024;
/** A longer string is written by Node.js, a shorter one byte by byte: that call costs more than it saves. */
const SHORT = 24;

const NOTHING = Buffer.alloc(0);
const unused = new BoundedList<Buffer>(LIMITS.batchBuffers);

/** A buffer that is full, or handed to a socket. */
interface Filled {
  readonly bytes: Buffer;
  readonly length: number;
  readonly next: Filled | undefined;
}

/** Collects bytes; `send` hands them to a socket. What limits its length is what its owner writes between two calls of `send`. */
export class ByteWriter {
  #bytes: Buffer = NOTHING;
  #length = 0;
  /** The full buffers, the last one first. */
  #filled: Filled | undefined;
  /** Where the head of the last frame is. */
  #head: Buffer = NOTHING;
  #headAt = 0;

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
    this.continuationHead(length, type, flags, streamId);
    this.#head = this.#bytes;
    this.#headAt = this.#length - 9;
  }

  /** The same for a frame that belongs to the last one, which stays the last. */
  continuationHead(length: number, type: number, flags: number, streamId: number): void {
    if (this.#length > SHARED_BYTES - MIN_ROOM) this.#fill();
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

  /** Bytes behind the head of the last frame, if that is a header block. */
  get blockLength(): number {
    return this.#length - this.#headAt - 9;
  }

  /** Sets the length of the last frame, a header block, to what was written behind its head. */
  closeBlock(): void {
    const length = this.blockLength;
    this.#head[this.#headAt] = length >>> 16;
    this.#head[this.#headAt + 1] = length >>> 8;
    this.#head[this.#headAt + 2] = length;
  }

  /** Removes the last frame, a header block. @returns a copy of what was written behind its head */
  takeBlock(): Buffer {
    const block = Buffer.from(this.#bytes.subarray(this.#headAt + 9, this.#length));
    this.#length = this.#headAt;
    return block;
  }

  /** Sets flags of the last frame. */
  setFlags(flags: number): void {
    this.#head[this.#headAt + 4] = (this.#head[this.#headAt + 4] as number) | flags;
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

  /** Writes a copy of `buffer[start, end)`, the payload of a frame, in as many buffers as it takes. */
  payload(buffer: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.#length >= SHARED_BYTES) this.#fill();
      if (this.#length === 0) this.#reserve(1);
      const stop = Math.min(end, at + this.#bytes.length - this.#length);
      buffer.copy(this.#bytes, this.#length, at, stop);
      this.#length += stop - at;
      at = stop;
    }
  }

  /** Hands everything to `socket`. */
  send(socket: Socket): void {
    if (this.#length === 0 && this.#filled === undefined) return;
    const bytes = this.#bytes;
    const length = this.#length;
    const filled = this.#filled;
    this.#bytes = NOTHING;
    this.#length = 0;
    this.#filled = undefined;
    this.#head = NOTHING;
    if (filled === undefined) {
      socket.write(bytes.subarray(0, length));
      // What the kernel has not taken the socket still reads.
      if (socket.writableLength === 0) giveBack(bytes);
      return;
    }
    const batch = { bytes, length, next: filled };
    socket.cork();
    writeAll(socket, filled);
    socket.write(bytes.subarray(0, length), () => giveAllBack(batch));
    socket.uncork();
  }

  /** Continues in another buffer. */
  #fill(): void {
    this.#filled = { bytes: this.#bytes, length: this.#length, next: this.#filled };
    this.#bytes = NOTHING;
    this.#length = 0;
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
    if (this.#head === old) this.#head = this.#bytes;
  }
}

/** The first one first. */
function writeAll(socket: Socket, { bytes, length, next }: Filled): void {
  if (next !== undefined) writeAll(socket, next);
  socket.write(bytes.subarray(0, length));
}

function giveAllBack(batch: Filled): void {
  for (let filled: Filled | undefined = batch; filled !== undefined; filled = filled.next) giveBack(filled.bytes);
}

function giveBack(bytes: Buffer): void {
  if (bytes.length === SHARED_BYTES) unused.push(bytes);
}
