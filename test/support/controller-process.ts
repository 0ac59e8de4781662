/*
 * Runs the controller as a separate process, for suites with a real API server: health port, log, graceful stop and SIGKILL.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { IMAGES } from '../../scripts/release/image-contents.ts';
import { until } from './fake-clock.ts';

export interface ControllerSettings {
  readonly kubeconfig: string;
  readonly name: string;
  readonly namespace: string;
  /** Absent: the present sources. */
  readonly entry?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Log level; default `debug`. */
  readonly level?: string;
}

export interface ControllerProcess {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly get: (path: string) => Promise<{ readonly status: number; readonly text: string }>;
  /** Value of one metric line (with its labels as written); undefined when it is absent. */
  readonly metric: (line: string) => Promise<number | undefined>;
  /** Sends SIGTERM; returns the exit code and the milliseconds until it exited. */
  readonly stop: () => Promise<{ readonly code: number | null; readonly tookMs: number }>;
  /** Sends SIGKILL. */
  readonly kill: () => Promise<void>;
}

/** The flags of Node.js in the image. */
const FLAGS = IMAGES.controller.entrypoint.filter((part) => part.startsWith('--'));
const ENTRY = fileURLToPath(new URL('../../src/main/controller.ts', import.meta.url));

/** Starts a controller; resolves when it has bound its port, perhaps before it is ready. */
export async function startController(settings: ControllerSettings): Promise<ControllerProcess> {
  const child = spawn(
    process.execPath,
    [...FLAGS, settings.entry ?? ENTRY, '--http-port', '0', '--http-host', '127.0.0.1', '--log-level', settings.level ?? 'debug'],
    {
      env: {
        PATH: process.env['PATH'] ?? '',
        SALLYPORT_KUBECONFIG: settings.kubeconfig,
        POD_NAME: settings.name,
        POD_NAMESPACE: settings.namespace,
        ...settings.env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  // A failing suite must not leave it running.
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  const log: Readonly<Record<string, unknown>>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => log.push(JSON.parse(line) as Record<string, unknown>));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const started = (): Readonly<Record<string, unknown>> | undefined => log.find((line) => line['message'] === 'controller started');
  await until(() => started() !== undefined || child.exitCode !== null, 'the controller to start', 60_000);
  const port = Number(started()?.['port']);
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    // A connection that is kept may be closed at the other end while a request is on its way.
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
    return { status: response.status, text: await response.text() };
  };
  return {
    name: settings.name,
    port,
    pid: child.pid ?? 0,
    log,
    get,
    metric: async (name) => {
      const { text } = await get('/metrics');
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
    stop: () => end(child, ended, 'SIGTERM'),
    kill: async () => void (await end(child, ended, 'SIGKILL')),
  };
}

async function end(
  child: ChildProcess,
  ended: Promise<number | null>,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<{ readonly code: number | null; readonly tookMs: number }> {
  const startedMs = Date.now();
  if (child.exitCode === null) child.kill(signal);
  const code = await ended;
  return { code, tookMs: Date.now() - startedMs };
}
