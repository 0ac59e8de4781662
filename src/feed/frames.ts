/*
 * Frames of the feed, the same in both directions: four bytes with the length of what follows, one byte with the type, the payload.
 */

const HEAD_BYTES = 5;
const LENGTH_BYTES = 4;

/** One frame. */
export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/** The bytes before the payload of a frame. @param type 0 to 255 @param size of the payload in bytes */
export function frameHead(type: number, size: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(size + 1);
  head.writeUInt8(type, LENGTH_BYTES);
  return head;
}

/** Puts frames together from what a socket reads. Keeps at most one incomplete frame. */
export class FrameReader {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;
  /** Bytes until the next step: the length of a frame, then all of it. */
  #wanted = LENGTH_BYTES;

  /** @param maxBytes largest payload */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that `chunk` completes; undefined: a frame is empty or too large, and nothing more can be read. */
  push(chunk: Buffer): readonly Frame[] | undefined {
    const frames: Frame[] = [];
    this.#parts.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= this.#wanted) {
      const [first] = this.#parts;
      // A chunk may have thousands of frames.
      const bytes = this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts);
      const end = LENGTH_BYTES + bytes.readUInt32BE();
      if (end < HEAD_BYTES || end - HEAD_BYTES > this.#maxBytes) return undefined;
      const isComplete = bytes.length >= end;
      if (isComplete) frames.push({ type: bytes.readUInt8(LENGTH_BYTES), payload: bytes.subarray(HEAD_BYTES, end) });
      const rest = isComplete ? bytes.subarray(end) : bytes;
      this.#parts = rest.length === 0 ? [] : [rest];
      this.#length = rest.length;
      this.#wanted = isComplete ? LENGTH_BYTES : end;
    }
    return frames;
  }
}
