/*
 * Frames of HTTP/2 as bytes, for tests that send what no library would. Header fields are literals without indexing.
 */
import { connect, type Socket } from 'node:net';

export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
/** END_STREAM and END_HEADERS. */
export const END = 5;
/** END_HEADERS. */
export const OPEN = 4;

/** One frame. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export type Field = readonly [name: string, value: string];

export function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  payload.copy(bytes, 9);
  return bytes;
}

/** An integer of HPACK. */
export function integer(pattern: number, bits: number, value: number): Buffer {
  const max = 2 ** bits - 1;
  if (value < max) return Buffer.from([pattern | value]);
  const bytes = [pattern | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(0, 7, bytes.length), bytes]);
}

/** A header block. */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), string(name), string(value)])));
}

/** The fields of a request; an undefined pseudo-header field is left out. */
export function request(
  { method = 'GET', scheme = 'http', path = '/', authority = 'a.example' }: Readonly<Record<string, string | undefined>> = {},
  ...fields: readonly Field[]
): readonly Field[] {
  return [[':method', method], [':scheme', scheme], [':path', path], [':authority', authority], ...fields];
}

export function headers(id: number, fields: readonly Field[], flags: number = END): Buffer {
  return frame(TYPE.headers, flags, id, block(fields));
}

export function data(id: number, text: string, end = false): Buffer {
  return frame(TYPE.data, end ? 1 : 0, id, Buffer.from(text, 'latin1'));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(...pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  const parts = pairs.map(([setting, value]) => Buffer.concat([Buffer.from([0, setting]), uint32(value)]));
  return frame(TYPE.settings, 0, 0, Buffer.concat(parts));
}

/** The complete frames that `bytes` begins with. */
export function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; bytes.length - at >= 9; ) {
    const length = bytes.readUIntBE(at, 3);
    if (bytes.length - at < 9 + length) break;
    const payload = bytes.subarray(at + 9, at + 9 + length);
    frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, id: bytes.readUInt32BE(at + 5) & 0x7fff_ffff, payload });
    at += 9 + length;
  }
  return frames;
}

/** A client that sends frames as they are and keeps what comes back. */
export class RawHttp2Client {
  readonly socket: Socket;
  bytes: Buffer = Buffer.alloc(0);
  closed = false;
  #wake: (() => void) | undefined;

  /** @param to the port of a server, or a connection to it @param first what is sent behind the preface; absent: empty settings */
  constructor(to: number | Socket, first: Buffer = settings()) {
    this.socket = typeof to === 'number' ? connect({ port: to, host: '127.0.0.1', noDelay: true, allowHalfOpen: true }) : to;
    this.socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      this.#wake?.();
    });
    this.socket.on('error', () => {});
    const done = (): void => {
      this.closed = true;
      this.#wake?.();
    };
    this.socket.on('end', done);
    this.socket.on('close', done);
    this.send(PREFACE, first);
  }

  get frames(): readonly Frame[] {
    return framesOf(this.bytes);
  }

  /** Frames of a stream, or of the connection (0), but for settings and their acknowledgement. */
  of(id: number, type?: number): readonly Frame[] {
    return this.frames.filter((found) => found.id === id && found.type !== TYPE.settings && (type === undefined || found.type === type));
  }

  send(...parts: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** Resolves when `condition` holds, which is looked at whenever something has arrived. @throws when the connection ends before */
  async until(condition: () => boolean): Promise<this> {
    while (!condition()) {
      if (this.closed) throw new Error(`connection ended after ${JSON.stringify(this.frames.map(({ type, id }) => [type, id]))}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this;
  }

  /** Resolves when the connection is closed. @returns the code of the last GOAWAY; undefined: no GOAWAY came */
  async ended(): Promise<number | undefined> {
    while (!this.closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.socket.end();
    return this.of(0, TYPE.goaway).at(-1)?.payload.readUInt32BE(4);
  }

  /** Resolves when everything that was sent before has been handled. */
  async settled(): Promise<this> {
    const mark = Buffer.from(`${Math.random()}`.padEnd(10).slice(2, 10), 'latin1');
    this.send(frame(TYPE.ping, 0, 0, mark));
    return await this.until(() => this.of(0, TYPE.ping).some(({ payload }) => payload.equals(mark)));
  }

  /** Resolves with the first frames of a stream when it has ended. */
  async response(id: number): Promise<readonly Frame[]> {
    const isLast = ({ type, flags }: Frame): boolean => type === TYPE.rst || (type <= TYPE.headers && (flags & 1) !== 0);
    await this.until(() => this.of(id).some(isLast));
    return this.of(id);
  }

  close(): void {
    this.socket.destroy();
  }
}
