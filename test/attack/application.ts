/*
 * The application behind a lane: records the bytes of every connection, answers complete requests, and plays the steps of an answer case.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Step } from './case.ts';
import { type Received, readRequest } from './strict-reader.ts';

interface Connection {
  readonly socket: Socket;
  text: string;
  /** Index behind the last request that was answered. */
  answered: number;
  /** Index of the head whose `100 Continue` was sent. */
  continued: number;
  tunnel: boolean;
}

/** What the steps of an answer case wait for between two of them. */
export type Settle = () => Promise<void>;

/** Answers each request with `x-seen: METHOD TARGET`. */
export class Application {
  readonly #server: Server;
  #connections: Connection[] = [];
  #steps: readonly Step[] | undefined;
  #settle: Settle = async () => {};
  /** Grows with everything that happens here. */
  events = 0;
  /** Resolves when the steps have been played. */
  played: Promise<void> = Promise.resolve();

  constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** @returns the port */
  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** Forgets what was recorded and closes all connections. The first request from now on is answered by the steps. */
  begin(steps?: readonly Step[], settle: Settle = async () => {}): void {
    this.#steps = steps;
    this.#settle = settle;
    this.played = Promise.resolve();
    for (const { socket } of this.#connections) socket.destroy();
    this.#connections = [];
  }

  /** All requests since `begin`, complete or not. */
  received(): readonly Received[] {
    return this.#connections.flatMap(({ text }) => {
      const requests: Received[] = [];
      for (let at = 0; at < text.length; ) {
        const request = readRequest(text, at) ?? unfinished(text.slice(at), text.length);
        requests.push(request);
        at = request.end;
      }
      return requests;
    });
  }

  #accept(socket: Socket): void {
    const connection: Connection = { socket, text: '', answered: 0, continued: -1, tunnel: false };
    this.#connections.push(connection);
    this.events += 1;
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      this.events += chunk.length;
      connection.text += chunk.toString('latin1');
      this.#respond(connection);
    });
  }

  #respond(connection: Connection): void {
    const { socket } = connection;
    while (!connection.tunnel) {
      const request = readRequest(connection.text, connection.answered);
      if (request === undefined || request.fault !== undefined) return;
      if (this.#steps !== undefined) {
        const steps = this.#steps;
        this.#steps = undefined;
        connection.answered = request.end;
        this.played = this.#play(socket, steps);
        return;
      }
      if (!request.complete) {
        const expects = request.fields.some(([name, value]) => name === 'expect' && value.toLowerCase() === '100-continue');
        if (expects && connection.continued !== connection.answered) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        connection.continued = connection.answered;
        return;
      }
      connection.answered = request.end;
      connection.tunnel = request.framing === 'tunnel';
      socket.write(connection.tunnel ? SWITCHING : answerTo(request), 'latin1');
    }
  }

  async #play(socket: Socket, steps: readonly Step[]): Promise<void> {
    for (const [at, step] of steps.entries()) {
      if (at > 0) await this.#settle();
      if (step === 'FIN') socket.end();
      else if (step === 'RST') socket.resetAndDestroy();
      else socket.write(step, 'latin1');
    }
  }
}

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

function answerTo({ method, target }: Received): string {
  const seen = `${method} ${target}`.slice(0, 200);
  return `HTTP/1.1 200 OK\r\nX-Seen: ${seen}\r\nContent-Length: 2\r\n\r\n${method === 'HEAD' ? '' : 'ok'}`;
}

function unfinished(body: string, end: number): Received {
  return { method: '', target: '', fields: [], body, framing: 'none', complete: false, fault: undefined, end };
}
