/*
 * Keep-alive connections that send whole requests: a load generator that costs little.
 */
import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';

/** One connection to a port of this host. */
export class RawClient {
  readonly #socket: Socket;
  #received = '';
  readonly #waiting: ((status: string) => void)[] = [];

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      for (const resolve of this.#waiting.splice(0)) resolve('closed');
    });
    this.#socket.on('data', (data: Buffer) => this.#read(data.toString('latin1')));
  }

  /** Sends a request, and resolves with the status of its response; `closed`: the connection ended first. */
  send(request: string): Promise<string> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve('closed');
        return;
      }
      this.#waiting.push(resolve);
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(data: string): void {
    this.#received += data;
    for (;;) {
      const headEnd = this.#received.indexOf(HEAD_END);
      if (headEnd === -1) return;
      const length = Number(/content-length: ([0-9]+)/i.exec(this.#received)?.[1] ?? 0);
      const end = headEnd + HEAD_END.length + length;
      if (this.#received.length < end) return;
      const status = this.#received.slice(9, 12);
      this.#received = this.#received.slice(end);
      this.#waiting.shift()?.(status);
    }
  }
}

/** A GET request with a bearer token. */
export function bearerRequest(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${token}${HEAD_END}`;
}
