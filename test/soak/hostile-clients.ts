/*
 * Clients that hang, flood, drip bytes and vanish in every phase of a request.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TOKEN } from '../bench/support/demo-token.ts';

const DENIED = 'GET /admin HTTP/1.1\r\nHost: soak\r\n\r\n'.repeat(500);
const FLOODS = 2;
const FLOOD_MS = 3000;
const FLOOD_TURN_MS = 20;
const HANGING = 40;
const HANG_MS = 15_000;
const DRIPPING = 20;
const DRIP_MS = 500;
const VANISH_MS = 15;
const GARBAGE_MS = 10;

/** What a client sends before it vanishes: one for each phase. */
const PHASES: readonly string[] = [
  '',
  'GET /op',
  'GET /open HTTP/1.1\r\nHost: so',
  'GET /open HTTP/1.1\r\nHost: soak\r\n\r\n',
  'GET /slow HTTP/1.1\r\nHost: soak\r\n\r\n',
  'GET /slow HTTP/1.1\r\nHost: soak\r\n\r\nGET /slow HTTP/1.1\r\nHost: soak\r\n\r\n',
  'POST /open HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n',
  `POST /open HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(5000)}`,
  'POST /open HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel',
  'POST /open HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n',
  `POST /admin HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(5000)}`,
  'POST /open HTTP/1.1\r\nHost: soak\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  'BAD\r\n\r\n',
];
const HELD: readonly string[] = [
  '',
  'GET /op',
  'POST /open HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nx',
  'GET /open HTTP/1.1\r\nHost: soak\r\n\r\n',
];

/** All hostile clients of one agent. */
export class HostileClients {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #stopped = false;
  /** Connections by what they did. */
  readonly counts = { vanished: 0, floods: 0, hung: 0, dripping: 0, garbage: 0 };

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves when `stop` was called and every connection is closed. */
  async run(): Promise<void> {
    const many = (count: number, one: (nth: number) => Promise<void>): Promise<void>[] =>
      Array.from({ length: count }, (_, nth) => one(nth));
    await Promise.all([
      this.#vanish(),
      this.#sendGarbage(),
      ...many(FLOODS, () => this.#flood()),
      ...many(HANGING, (nth) => this.#hang(nth)),
      ...many(DRIPPING, (nth) => this.#drip(nth)),
    ]);
  }

  /** Closes all connections. */
  stop(): void {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  async #vanish(): Promise<void> {
    for (let nth = 0; !this.#stopped; nth += 1) {
      const socket = this.#open();
      socket.write(PHASES[nth % PHASES.length] ?? '');
      socket.resume();
      // Sometimes before, sometimes after the response.
      await sleep(VANISH_MS * (1 + (nth % 3)));
      const way = Math.floor(nth / PHASES.length) % 3;
      if (way === 0) socket.end();
      else if (way === 1) socket.resetAndDestroy();
      else socket.destroy();
      this.counts.vanished += 1;
      setTimeout(() => socket.destroy(), 2000);
    }
  }

  async #flood(): Promise<void> {
    while (!this.#stopped) {
      const socket = this.#open();
      socket.pause();
      this.counts.floods += 1;
      const endMs = performance.now() + FLOOD_MS;
      while (!this.#stopped && !socket.destroyed && performance.now() < endMs) {
        if (socket.writableLength < 1_000_000) socket.write(DENIED);
        await sleep(FLOOD_TURN_MS);
      }
      socket.resetAndDestroy();
    }
  }

  async #hang(nth: number): Promise<void> {
    while (!this.#stopped) {
      const socket = this.#open();
      socket.write(HELD[nth % HELD.length] ?? '');
      socket.resume();
      this.counts.hung += 1;
      const endMs = performance.now() + HANG_MS;
      while (!this.#stopped && performance.now() < endMs) await sleep(100);
      socket.destroy();
    }
  }

  async #drip(nth: number): Promise<void> {
    const head =
      nth % 2 === 0 ? 'GET /open HTTP/1.1\r\nHost: soak\r\n' : 'POST /open HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n';
    while (!this.#stopped) {
      const socket = this.#open();
      socket.write(head);
      socket.resume();
      this.counts.dripping += 1;
      while (!this.#stopped && !socket.destroyed) {
        socket.write(nth % 2 === 0 ? `X-${nth}: y\r\n` : 'x');
        await sleep(DRIP_MS);
      }
    }
  }

  /** Tokens that no cache knows, with a key id that exists. */
  async #sendGarbage(): Promise<void> {
    for (let nth = 0; !this.#stopped; nth += 1) {
      const socket = this.#open();
      socket.resume();
      for (let sent = 0; sent < 50 && !this.#stopped && !socket.destroyed; sent += 1) {
        const signature = `${nth}-${sent}`.padEnd(342, 'A');
        socket.write(
          `GET /open HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer ${TOKEN.slice(0, TOKEN.lastIndexOf('.'))}.${signature}\r\n\r\n`,
        );
        this.counts.garbage += 1;
        await sleep(GARBAGE_MS);
      }
      socket.destroy();
    }
  }
}
