/*
 * A WebSocket over HTTP/2: Node's own implementation with the frames of a test.
 */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { clientFrame, framesOf, type WebSocketFrame } from '../../../support/web-socket-frames.ts';

/** A connection whose server has announced RFC 8441. */
export async function connectHttp2(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** One extended CONNECT, and what came of it. */
export class Http2WebSocket {
  readonly stream: ClientHttp2Stream;
  status = 0;
  headers: Readonly<Record<string, unknown>> = {};
  /** Bytes that have come. */
  received = 0;
  readonly #parts: Buffer[] = [];
  /** END_STREAM has come. */
  ended = false;
  closed = false;
  #wake: (() => void) | undefined;

  constructor(session: ClientHttp2Session, path = '/chat', fields: Readonly<Record<string, string>> = {}) {
    this.stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':authority': 'a.example',
        ':path': path,
        'sec-websocket-version': '13',
        ...fields,
      },
      { endStream: false },
    );
    this.stream.on('response', (head) => {
      this.status = Number(head[':status']);
      this.headers = head;
      this.#wake?.();
    });
    this.stream.on('data', (chunk: Buffer) => {
      this.#parts.push(chunk);
      this.received += chunk.length;
      this.#wake?.();
    });
    this.stream.on('end', () => {
      this.ended = true;
      this.#wake?.();
    });
    this.stream.on('error', () => {});
    this.stream.on('close', () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  /** Error code of the stream; 0: it ended in good order. */
  get code(): number {
    return this.stream.rstCode;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  get frames(): readonly WebSocketFrame[] {
    return framesOf(this.bytes);
  }

  send(opcode: number, payload: Buffer | string = ''): this {
    this.stream.write(clientFrame(opcode, payload));
    return this;
  }

  /** Resolves when `condition` holds. @throws when the stream closes before */
  async until(condition: () => boolean): Promise<this> {
    while (!condition()) {
      if (this.closed) throw new Error(`stream closed with ${this.code} after status ${this.status}, ${this.received} bytes`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this;
  }

  async accepted(): Promise<this> {
    return await this.until(() => this.status !== 0);
  }

  async untilClosed(): Promise<this> {
    return await this.until(() => this.closed);
  }
}
