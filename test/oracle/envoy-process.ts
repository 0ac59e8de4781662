/*
 * Runs one Envoy for a batch of listeners and reads its logs: which listeners it rejected, and what it decided per connection.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootstrap, discoveryResponse, type EnvoySurroundings, type JsonObject } from './envoy-config.ts';

const START_MS = 30_000;
const LOG_MS = 3000;
const POLL_MS = 5;

/** One line of Envoy's access log, for the end of a request or of a connection. */
export interface LogLine {
  readonly kind: 'request' | 'connection';
  /** `address:port` of the client, then of the workload. */
  readonly connection: string;
  readonly details: string | null;
  readonly closed: string | null;
  /** Contains `UAEX` if ext_authz denied the request. */
  readonly flags: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
}

export interface RunningEnvoy {
  /** Reasons why Envoy rejected a listener, by listener name; accepted listeners are absent. */
  readonly refused: ReadonlyMap<string, string>;
  /** The line of `kind` for `connection`, once; undefined if it does not arrive in time. */
  logged(kind: LogLine['kind'], connection: string): Promise<LogLine | undefined>;
  stop(): Promise<void>;
}

/** Envoy exited instead of serving; contains its last output. */
export class EnvoyDied extends Error {}

/** Starts Envoy with `listeners`. @throws EnvoyDied if it does not become ready */
export async function startEnvoy(
  binary: string,
  folder: string,
  listeners: (around: EnvoySurroundings) => readonly JsonObject[],
  fixed: Omit<EnvoySurroundings, 'adminPort' | 'accessLog'>,
): Promise<RunningEnvoy> {
  mkdirSync(folder, { recursive: true });
  const around = { ...fixed, adminPort: await freePort(), accessLog: join(folder, 'access.log') };
  writeFileSync(around.accessLog, '');
  const [listenersPath, bootstrapPath, logPath] = ['listeners.json', 'bootstrap.json', 'envoy.log'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(listenersPath, JSON.stringify(discoveryResponse(listeners(around))));
  writeFileSync(bootstrapPath, JSON.stringify(bootstrap(listenersPath, around)));
  const log = openSync(logPath, 'w');
  const args = [
    '-c',
    bootstrapPath,
    '--concurrency',
    '1',
    '--disable-hot-restart',
    '--log-level',
    'warning',
    '--file-flush-interval-msec',
    '5',
  ];
  const child = spawn(binary, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  try {
    await live(child, around.adminPort, logPath);
    const refused = await refusals(around.adminPort);
    const lines = new AccessLog(around.accessLog);
    return { refused, logged: (kind, connection) => lines.take(kind, connection), stop: () => end(child) };
  } catch (error) {
    await end(child);
    throw error;
  }
}

async function live(child: ChildProcess, adminPort: number, logPath: string): Promise<void> {
  const began = performance.now();
  while (performance.now() - began < START_MS) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const critical = /^.*\[critical\].*$/m.exec(readFileSync(logPath, 'utf8'))?.[0] ?? '';
      throw new EnvoyDied(`Envoy exited: ${critical.slice(critical.indexOf('[critical]'))}`);
    }
    const answer = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined);
    if (answer?.status === 200) return;
    await sleep(20);
  }
  throw new EnvoyDied('Envoy was not ready in time');
}

interface ListenerDump {
  readonly configs?: readonly { readonly name: string; readonly error_state?: { readonly details: string } }[];
}

async function refusals(adminPort: number): Promise<ReadonlyMap<string, string>> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/config_dump?resource=dynamic_listeners`);
  const { configs = [] } = (await answer.json()) as ListenerDump;
  return new Map(configs.flatMap(({ name, error_state: error }) => (error === undefined ? [] : [[name, error.details]])));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Reads new lines of the log on demand. */
class AccessLog {
  readonly #file: number;
  readonly #lines = new Map<string, LogLine>();
  #rest = '';

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  /** Removes the line, because the client's port may be reused by another connection. */
  async take(kind: LogLine['kind'], connection: string): Promise<LogLine | undefined> {
    const began = performance.now();
    const key = `${kind} ${connection}`;
    for (;;) {
      this.#read();
      const line = this.#lines.get(key);
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
        if (!this.#lines.has(key)) this.#lines.set(key, line);
      }
    }
  }
}
