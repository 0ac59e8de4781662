/*
 * The processes of the soak test other than the control plane: agents and application, which can be killed and started again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { agentCommand } from '../support/agent-flags.ts';
import { until } from '../support/fake-clock.ts';

const START_MS = 30_000;

/** A process that is started again after it was killed. */
export class Program {
  readonly #start: () => ChildProcess;
  readonly #ready: () => Promise<boolean>;
  readonly name: string;
  /** Reports of exits that the test did not cause. */
  readonly surprises: string[] = [];
  #child: ChildProcess | undefined;
  #expected = false;

  constructor(name: string, start: () => ChildProcess, ready: () => Promise<boolean>) {
    this.name = name;
    this.#start = start;
    this.#ready = ready;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const child = this.#start();
    this.#child = child;
    this.#expected = false;
    const killAtExit = (): void => void child.kill('SIGKILL');
    process.once('exit', killAtExit);
    child.once('exit', (code, signal) => {
      process.off('exit', killAtExit);
      if (!this.#expected) this.surprises.push(`${this.name} ended by itself: ${code ?? signal}`);
    });
    await until(this.#ready, `${this.name} to be ready`, START_MS);
  }

  /** Sends the signal and waits for the end. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#expected = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}

/** An agent, its log, and what the system says about it. */
export interface AgentProgram {
  readonly program: Program;
  readonly port: number;
  /** Value of a gauge without labels. */
  readonly gauge: (name: string) => Promise<number>;
  readonly rssMiB: () => number;
  readonly descriptors: () => number;
}

/** Settings of an agent. */
export interface AgentSettings {
  readonly name: string;
  readonly entry: string;
  readonly port: number;
  readonly adminPort: number;
  readonly appPort: number;
  readonly directory: string;
  /** Every line of stdout and stderr. */
  readonly onLine: (line: string) => void;
}

/** An agent as in its image; reads bundles from `bundle` of its directory and keeps the last good one in `state`. */
export function agentProgram({ name, entry, port, adminPort, appPort, directory, onLine }: AgentSettings): AgentProgram {
  const args = [
    '--ports',
    `${port}:${appPort}`,
    '--admin-port',
    String(adminPort),
    '--bundle-dir',
    join(directory, 'bundle'),
    '--state-dir',
    join(directory, 'state'),
  ];
  const fetchText = async (path: string): Promise<string | undefined> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, { headers: { connection: 'close' } }).catch(() => undefined);
    const text = await response?.text().catch(() => undefined);
    return response?.ok === true ? text : undefined;
  };
  const program = new Program(
    name,
    () => {
      const [command = '', ...flags] = agentCommand();
      const child = spawn(command, [...flags, entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      createInterface({ input: child.stdout }).on('line', onLine);
      createInterface({ input: child.stderr }).on('line', onLine);
      return child;
    },
    async () => (await fetchText('/readyz')) !== undefined,
  );
  return {
    program,
    port,
    gauge: async (metric) => Number(new RegExp(`^${metric} ([0-9.]+)$`, 'm').exec((await fetchText('/metrics')) ?? '')?.[1] ?? Number.NaN),
    rssMiB: () => Number(/^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    descriptors: () => readdirSync(`/proc/${program.pid}/fd`).length,
  };
}

/** The application on a port. */
export function applicationProgram(port: number): Program {
  const entry = join(import.meta.dirname, 'application.ts');
  let ready = false;
  return new Program(
    'application',
    () => {
      ready = false;
      const child = spawn(process.execPath, [entry, String(port)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      child.once('message', () => {
        ready = true;
      });
      return child;
    },
    async () => ready,
  );
}
