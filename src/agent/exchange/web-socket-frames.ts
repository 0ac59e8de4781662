/*
 * Follows the frames of one direction of a WebSocket, so that the agent can add a close frame when it stops (RFC 6455 section 5).
 */

const OPCODE = 0x0f;
const CLOSE = 0x8;
const MASKED = 0x80;
const LENGTH = 0x7f;
/** Status 1001: going away. */
const GOING_AWAY = [0x03, 0xe9] as const;
const FINAL_CLOSE = 0x88;
const MASK_BYTES = 4;

/** The close frame with status 1001 from a server. */
export const SERVER_CLOSE: Buffer = Buffer.from([FINAL_CLOSE, GOING_AWAY.length, ...GOING_AWAY]);

/** The same from a client. @param mask the masking key, unpredictable to the application that the client talks to */
export function clientClose(mask: Buffer): Buffer {
  const payload = GOING_AWAY.map((byte, at) => byte ^ (mask[at] ?? 0));
  return Buffer.from([FINAL_CLOSE, MASKED | GOING_AWAY.length, ...mask.subarray(0, MASK_BYTES), ...payload]);
}

/** The frames of one direction. */
export class WebSocketFrames {
  /** Bytes of the frame at hand that have not arrived: of its payload, or of its header as far as its length is known. */
  #missing = 2;
  #inHeader = true;
  readonly #header = Buffer.alloc(14);
  #headerLength = 0;
  #closed = false;

  /** The last frame is complete, and none of them was a close frame. */
  get canClose(): boolean {
    return this.#inHeader && this.#headerLength === 0 && !this.#closed;
  }

  /** Reads `buffer[start, end)`. */
  read(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const taken = Math.min(this.#missing, end - at);
      if (this.#inHeader) {
        buffer.copy(this.#header, this.#headerLength, at, at + taken);
        this.#headerLength += taken;
      }
      at += taken;
      this.#missing -= taken;
      if (this.#missing === 0) this.#next();
    }
  }

  #next(): void {
    if (!this.#inHeader) {
      this.#begin();
      return;
    }
    const header = this.#header;
    const second = header[1] ?? 0;
    const short = second & LENGTH;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    this.#missing = 2 + lengthBytes + ((second & MASKED) === 0 ? 0 : MASK_BYTES) - this.#headerLength;
    if (this.#missing > 0) return;
    if (((header[0] ?? 0) & OPCODE) === CLOSE) this.#closed = true;
    this.#inHeader = false;
    this.#headerLength = 0;
    if (short === 126) this.#missing = header.readUInt16BE(2);
    else this.#missing = short === 127 ? Number(header.readBigUInt64BE(2)) : short;
    if (this.#missing === 0) this.#begin();
  }

  #begin(): void {
    this.#inHeader = true;
    this.#missing = 2;
  }
}
