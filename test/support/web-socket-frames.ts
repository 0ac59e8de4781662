/*
 * Frames of WebSockets (RFC 6455 section 5), for clients that speak HTTP/2: no library does.
 */

/** One frame. */
export interface WebSocketFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A frame of a client, masked. */
export function clientFrame(opcode: number, payload: Buffer | string = '', isFinal = true): Buffer {
  const bytes = Buffer.from(payload as string, 'utf8');
  const mask = Buffer.from([0x11, 0x22, 0x33, 0x44]);
  const masked = bytes.map((byte, at) => byte ^ (mask[at % 4] as number));
  return Buffer.concat([headOf(opcode, bytes.length, isFinal, 0x80), mask, masked]);
}

/** A close frame of a client. */
export function clientCloseFrame(code: number): Buffer {
  return clientFrame(OPCODE.close, Buffer.from([code >> 8, code & 0xff]));
}

/** A frame of a server. */
export function serverFrame(opcode: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload as string, 'utf8');
  return Buffer.concat([headOf(opcode, bytes.length, true, 0), bytes]);
}

function headOf(opcode: number, length: number, isFinal: boolean, masked: number): Buffer {
  const first = (isFinal ? 0x80 : 0) | opcode;
  if (length < 126) return Buffer.from([first, masked | length]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = masked | (length < 65_536 ? 126 : 127);
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

/** The complete frames that `bytes` begins with; masked ones unmasked. */
export function framesOf(bytes: Buffer): readonly WebSocketFrame[] {
  const frames: WebSocketFrame[] = [];
  for (let at = 0; bytes.length - at >= 2; ) {
    const second = bytes[at + 1] as number;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const maskBytes = (second & 0x80) === 0 ? 0 : 4;
    const start = at + 2 + lengthBytes + maskBytes;
    if (bytes.length < start) break;
    const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (bytes.length < start + length) break;
    const mask = bytes.subarray(start - maskBytes, start);
    const payload = Buffer.from(
      bytes.subarray(start, start + length).map((byte, i) => (maskBytes === 0 ? byte : byte ^ (mask[i % 4] as number))),
    );
    frames.push({ opcode: (bytes[at] as number) & 0x0f, payload });
    at = start + length;
  }
  return frames;
}
