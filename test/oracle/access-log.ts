/*
 * Reads Envoy's access log: what it decided per request and connection.
 */
import { openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOG_MS = 3000;
const POLL_MS = 5;

/** One line of Envoy's access log, for the end of a request or of a connection. */
export interface LogLine {
  readonly kind: 'request' | 'connection';
  /** `address:port` of the client, then of the workload. */
  readonly connection: string;
  /** When the request or connection began, in Unix milliseconds. */
  readonly start: string;
  readonly details: string | null;
  readonly closed: string | null;
  /** Contains `UAEX` if ext_authz denied the request. */
  readonly flags: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Clocks of two processes may round differently. */
const ROUNDING_MS = 20;

/** Reads new lines of the log on demand. */
export class AccessLog {
  readonly #file: number;
  readonly #lines = new Map<string, LogLine[]>();
  #rest = '';

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  /**
   * The first line since `sinceMs`; removes all lines of the connection, because the client's port may be reused. A request that was
   * left in flight logs its line late, when its port may already belong to another.
   */
  async take(kind: LogLine['kind'], connection: string, sinceMs: number): Promise<LogLine | undefined> {
    const began = performance.now();
    const key = `${kind} ${connection}`;
    for (;;) {
      this.#read();
      const line = this.#lines.get(key)?.find(({ start }) => Number(start) >= sinceMs - ROUNDING_MS);
      this.#lines.delete(key);
      if (line !== undefined || performance.now() - began > LOG_MS) return line;
      await sleep(POLL_MS);
    }
  }

  #read(): void {
    const buffer = Buffer.alloc(1 << 16);
    for (let count = readSync(this.#file, buffer); count > 0; count = readSync(this.#file, buffer)) {
      const lines = (this.#rest + buffer.toString('utf8', 0, count)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as LogLine;
        const key = `${line.kind} ${line.connection}`;
        this.#lines.set(key, [...(this.#lines.get(key) ?? []), line]);
      }
    }
  }
}
