/*
 * The built agent as a process, between clients and the application of `traced-workload.ts`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { buildAll } from '../../scripts/build.ts';
import { mountVolume } from '../unit/agent/bundles.ts';
import { agentCommand } from './agent-flags.ts';
import { until } from './fake-clock.ts';
import { startTracedApplication, TRACED, type TracedApplication, tracedBundle } from './traced-workload.ts';

/** Everything around one agent at a time. */
export class TracedStage {
  /** Has what was built in `dist`. */
  readonly directory: string;
  readonly app: TracedApplication;
  /** Log lines of the agent that was started last. */
  lines: Record<string, unknown>[] = [];
  #agent: ChildProcess | undefined;

  private constructor(directory: string, app: TracedApplication) {
    this.directory = directory;
    this.app = app;
  }

  /** Builds the product. */
  static async build(): Promise<TracedStage> {
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-traced-'));
    await buildAll(join(directory, 'dist'));
    await mkdir(join(directory, 'bundle'));
    await mountVolume(join(directory, 'bundle'), tracedBundle());
    return new TracedStage(directory, await startTracedApplication());
  }

  /** Resolves when it listens. @param ports its own, and its admin port */
  async startAgent([port, adminPort]: readonly number[], env: Readonly<Record<string, string>>): Promise<void> {
    const [program = '', ...args] = agentCommand();
    const lines: Record<string, unknown>[] = [];
    this.lines = lines;
    const started = spawn(program, [...args, join(this.directory, 'dist/agent.mjs')], {
      env: {
        PATH: process.env['PATH'] ?? '',
        POD_IP: '127.0.0.1',
        POD_NAME: 'web-1',
        POD_NAMESPACE: TRACED.namespace,
        SALLYPORT_WORKLOAD: TRACED.name,
        SALLYPORT_WORKLOAD_KIND: TRACED.kind,
        SALLYPORT_PORTS: `${port}:${this.app.port}`,
        SALLYPORT_ADMIN_PORT: String(adminPort),
        SALLYPORT_BUNDLE_DIR: join(this.directory, 'bundle'),
        SALLYPORT_DRAIN_SECONDS: '1',
        SALLYPORT_ACCESS_LOG: 'off',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#agent = started;
    createInterface({ input: started.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
    await until(() => lines.some(({ message }) => message === 'agent listens'), 'the agent');
  }

  /** Ends the agent, which must end well; nothing without one. */
  async stopAgent(): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined || agent.exitCode !== null) return;
    const exit = once(agent, 'exit');
    agent.kill('SIGTERM');
    expect(await exit).to.deep.equal([0, null]);
  }

  async close(): Promise<void> {
    this.app.stop();
    await rm(this.directory, { recursive: true });
  }
}
