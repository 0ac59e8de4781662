/*
 * Runs one Envoy for a batch of listeners: which of them it rejected, and its access log.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AccessLog, type LogLine } from './access-log.ts';
import { bootstrap, discoveryResponse, type EnvoySurroundings, type JsonObject } from './envoy-config.ts';

const START_MS = 30_000;

export interface RunningEnvoy {
  /** Reasons why Envoy rejected a listener, by listener name; accepted listeners are absent. */
  readonly refused: ReadonlyMap<string, string>;
  /**
   * The line of `kind` for `connection`, once; undefined if it does not arrive in time.
   * @param sinceMs Unix milliseconds before the client connected: lines of an earlier connection from the same port are dropped
   */
  logged(kind: LogLine['kind'], connection: string, sinceMs: number): Promise<LogLine | undefined>;
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
    return { refused, logged: (kind, connection, sinceMs) => lines.take(kind, connection, sinceMs), stop: () => end(child) };
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
