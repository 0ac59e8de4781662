/*
 * A client of raw bytes, and the ping that shows when a proxy has nothing left to do.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One connection to a proxy. */
export class Client {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #written: () => void = () => {};
  /** Grows with everything that happens here. */
  events = 0;
  /** The proxy ended the connection. */
  ended = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.events += chunk.length;
    });
    const end = (): void => {
      this.ended = true;
      this.events += 1;
      this.#written();
    };
    this.#socket.on('error', end);
    this.#socket.on('end', end);
    this.#socket.on('close', end);
  }

  /** Resolves when the system has taken all bytes, or the connection has ended. */
  async write(bytes: string): Promise<void> {
    if (bytes === '' || this.ended) return;
    await new Promise<void>((resolve) => {
      this.#written = resolve;
      this.#socket.write(bytes, 'latin1', () => resolve());
    });
  }

  /** Everything received so far. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  close(): void {
    this.#socket.destroy();
  }
}

const PING = 'GET /ping HTTP/1.1\r\nHost: h\r\n\r\n';
/** Pings in a row without any event, after which nothing more will happen: each takes a proxy several turns of its event loop. */
const QUIET_PINGS = 4;
/** Enough for a proxy to read what has already arrived. */
const READ_PINGS = 2;

/** A separate connection through the proxy to a separate application. */
export class Pinger {
  readonly #socket: Socket;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', () => {});
  }

  /** Resolves when nothing has happened between several pings, or `isOver`. @param events a number that grows with every event */
  async settle(events: () => number, isOver: () => boolean = () => false): Promise<void> {
    let last = events();
    for (let quiet = 0; quiet < QUIET_PINGS && !isOver(); quiet += 1) {
      await this.#ping();
      const now = events();
      if (now !== last) quiet = -1;
      last = now;
    }
  }

  /** Resolves when the proxy has read what was written before the call. */
  async read(): Promise<void> {
    for (let ping = 0; ping < READ_PINGS; ping += 1) await this.#ping();
  }

  async #ping(): Promise<void> {
    this.#socket.write(PING);
    const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
    if (!chunk.toString('latin1', 0, 12).endsWith('200')) throw new Error(`ping failed: ${chunk.toString('latin1', 0, 200)}`);
  }

  close(): void {
    this.#socket.destroy();
  }
}
