/*
 * Follows the frames of one direction of a WebSocket, so that the agent can add a close frame when it stops (RFC 6455 section 5).
 */

const OPCODE = 0x0f;
const CLOSE = 0x8;
const MASKED = 0x80;
const LENGTH = 0x7f;
const FINAL_CLOSE = 0x88;
const MASK_BYTES = 4;

/** Why a WebSocket ends (RFC 6455 section 7.4). */
export interface CloseStatus {
  readonly code: number;
  /** At most 123 characters of ASCII; `''`: none. */
  readonly reason: string;
}

/** The agent stops, or the client of an application is gone. */
export const GOING_AWAY: CloseStatus = { code: 1001, reason: '' };

/** A close frame from a server. */
export function serverClose(status: CloseStatus): Buffer {
  const payload = payloadOf(status);
  return Buffer.concat([Buffer.from([FINAL_CLOSE, payload.length]), payload]);
}

function payloadOf({ code, reason }: CloseStatus): Buffer {
  return Buffer.from([code >> 8, code & 0xff, ...Buffer.from(reason, 'latin1')]);
}

/** The close frame of a client that goes away. @param mask the masking key, unpredictable to the application that the client talks to */
export function clientClose(mask: Buffer): Buffer {
  const payload = payloadOf(GOING_AWAY).map((byte, at) => byte ^ (mask[at] ?? 0));
  return Buffer.from([FINAL_CLOSE, MASKED | payload.length, ...mask.subarray(0, MASK_BYTES), ...payload]);
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
