/*
 * Clients that ask all the time and know which status each request must have. An access log line says which version decided; without one
 * (its agent was killed) any version that was active meanwhile may have.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROBES, type Probe, wrongStatus } from './verdicts.ts';

const PAUSE_MS = 4;
const ANSWER_MS = 20_000;

/** What an agent may have had active, by version. */
export interface Versions {
  /** The newest version that a line of its log has confirmed. */
  confirmed: number;
  /** The newest version in its volume. */
  mounted: number;
}

interface Pending {
  readonly probe: Probe;
  readonly floor: number;
  ceiling: number;
  status: number;
}

/** Counts over all clients of one agent. */
export interface Tally {
  answered: number;
  /** By access log line. */
  checkedByLog: number;
  /** 5xx and connections that ended. */
  failures: number;
  readonly wrong: string[];
  /** Failures while nothing was being killed. */
  readonly unexplained: string[];
}

/** The good clients of one agent. */
export class GoodClients {
  readonly #name: string;
  readonly #port: number;
  readonly #versions: Versions;
  readonly #isDisturbed: () => boolean;
  readonly #pending = new Map<string, Pending>();
  readonly tally: Tally = { answered: 0, checkedByLog: 0, failures: 0, wrong: [], unexplained: [] };
  #stopped = false;
  #ids = 0;

  constructor(name: string, port: number, versions: Versions, isDisturbed: () => boolean) {
    this.#name = name;
    this.#port = port;
    this.#versions = versions;
    this.#isDisturbed = isDisturbed;
  }

  /** Resolves when `stop` was called and all clients are done. */
  async run(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#client()));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** An access log line: `version` decided the request. */
  onLogged(id: string, version: number): void {
    const { confirmed } = this.#versions;
    const pending = this.#pending.get(id);
    if (version > confirmed) this.#versions.confirmed = version;
    if (pending === undefined || pending.status === 0) return;
    this.#pending.delete(id);
    this.tally.checkedByLog += 1;
    this.#check(pending, version);
  }

  /** Checks what no line was found for, once the logs are complete. */
  finish(): void {
    for (const pending of this.#pending.values()) {
      const why = pending.status === 0 ? undefined : wrongStatus(pending.probe, pending.status, pending.floor, pending.ceiling);
      if (why !== undefined) this.tally.wrong.push(why);
    }
  }

  #check({ probe, floor, ceiling, status }: Pending, version: number): void {
    if (version < floor || version > ceiling)
      this.tally.wrong.push(`${probe.name}: decided by version ${version}, which was not active: ${floor} to ${ceiling}`);
    if (probe.status(version) !== status) this.tally.wrong.push(`${probe.name}: status ${status} by version ${version}`);
  }

  async #client(): Promise<void> {
    let socket: Socket | undefined;
    for (let nth = 0; !this.#stopped; nth += 1) {
      const probe = PROBES[nth % PROBES.length] as Probe;
      if (socket === undefined || socket.destroyed || !socket.writable) socket = await open(this.#port);
      if (socket === undefined) this.#fail('no connection');
      else await this.#ask(socket, probe);
      await sleep(PAUSE_MS);
    }
    socket?.destroy();
  }

  async #ask(socket: Socket, probe: Probe): Promise<void> {
    this.#ids += 1;
    const id = `good-${this.#name}-${this.#ids}`;
    const pending: Pending = { probe, floor: this.#versions.confirmed, ceiling: 0, status: 0 };
    this.#pending.set(id, pending);
    socket.write(
      `${probe.line}\r\nHost: soak\r\nX-Request-Id: ${id}\r\n${probe.fields.map((field) => `${field}\r\n`).join('')}\r\n${probe.body}`,
    );
    const { status, body } = await readAnswer(socket);
    pending.ceiling = this.#versions.mounted;
    if (status === 0 || status >= 500) {
      this.#pending.delete(id);
      this.#fail(`${probe.name}: ${status === 0 ? 'connection ended' : status}`);
      return;
    }
    this.tally.answered += 1;
    if (status === 200 && body !== String(probe.body.length))
      this.tally.wrong.push(`${probe.name}: response ${JSON.stringify(body.slice(0, 80))}`);
    pending.status = status;
  }

  #fail(what: string): void {
    this.tally.failures += 1;
    if (!this.#isDisturbed() && !this.#stopped) this.tally.unexplained.push(`${this.#name}: ${what}`);
  }
}

function open(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
    socket.on('error', () => {});
  });
}

/** @returns status 0: the connection ended first, or no response came in time */
function readAnswer(socket: Socket): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve) => {
    let text = '';
    const done = (status: number, body: string): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onEnd).off('end', onEnd);
      if (status === 0 || /\r\nconnection: close\r\n/i.test(text)) socket.destroy();
      resolve({ status, body });
    };
    const onEnd = (): void => done(0, '');
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(text)?.[1] ?? 0);
      if (text.length >= headEnd + 4 + length) done(Number(text.slice(9, 12)), text.slice(headEnd + 4));
    };
    const timer = setTimeout(onEnd, ANSWER_MS);
    socket.on('data', onData).on('close', onEnd).on('end', onEnd);
  });
}
