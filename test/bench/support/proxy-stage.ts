/*
 * Where the agent and a real Envoy are measured next to each other: a directory, the built agent, and processes that end with the benchmark. The
 * proxies share core 1; the benchmark itself, as client and application, has core 0.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentCommand } from '../../support/agent-flags.ts';
import { until } from '../../support/fake-clock.ts';
import { buildAgent } from './agent-build.ts';
import { type EnvoyPorts, findEnvoy } from './envoy.ts';
import { type Pinned, startPinned } from './processes.ts';
import type { Side } from './side-by-side.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PROXY_CORE = 1;
const LOAD_CORE = 0;
const PATIENCE_MS = 30_000;

/** A proxy to start. */
export interface ProxyToStart {
  readonly name: string;
  readonly port: number;
  readonly command: readonly string[];
}

/** See {@link onProxyStage}. */
export class ProxyStage {
  readonly directory: string;
  /** Path of the Envoy binary. */
  readonly envoy: string;
  readonly #application: number;
  readonly #isServing: (port: number) => Promise<unknown>;
  readonly #running: Pinned[] = [];

  /** @param isServing resolves when the proxy on a port answers, and rejects otherwise */
  constructor(directory: string, envoy: string, application: number, isServing: (port: number) => Promise<unknown>) {
    this.directory = directory;
    this.envoy = envoy;
    this.#application = application;
    this.#isServing = isServing;
  }

  /** Directory of the agent's bundle. */
  get bundle(): string {
    return join(this.directory, 'bundle');
  }

  /** Ports of an Envoy; the next one is that of its admin interface, as for agents. */
  envoyPorts(listenPort: number): EnvoyPorts {
    return { listenPort, adminPort: listenPort + 1, upstreamPort: this.#application };
  }

  /** Starts the built agent with the bundle. */
  startAgent(port: number, ...flags: readonly string[]): Promise<Side> {
    const ports = ['--ports', `${port}:${this.#application}`, '--admin-port', String(port + 1), '--bundle-dir', this.bundle];
    return this.start({ name: 'agent', port, command: [...agentCommand(ROOT), this.agentPath, ...ports, ...flags] });
  }

  /** Starts a proxy; resolves when it serves. */
  async start({ name, port, command }: ProxyToStart): Promise<Side> {
    const process = await startPinned(command, { core: PROXY_CORE });
    this.#running.push(process);
    const isServing = (): Promise<boolean> =>
      this.#isServing(port).then(
        () => true,
        () => false,
      );
    await until(isServing, `port ${port} to serve`, PATIENCE_MS);
    return { name, process, port };
  }

  /** Builds the agent. */
  async build(): Promise<void> {
    await buildAgent(ROOT, this.agentPath);
  }

  async stop(): Promise<void> {
    for (const one of this.#running) await one.stop();
  }

  private get agentPath(): string {
    return join(this.directory, 'agent.mjs');
  }
}

/** What a benchmark does on the stage. */
export interface ProxyPlay {
  readonly name: string;
  /** Port of the application, which is part of the benchmark. */
  readonly application: number;
  /** Asks a proxy whether it serves. */
  readonly isServing: (port: number) => Promise<unknown>;
  readonly run: (stage: ProxyStage) => Promise<void>;
}

/** Runs a benchmark, and ends what it started. @throws Error without Envoy */
export async function onProxyStage({ name, application, isServing, run }: ProxyPlay): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  const envoy = await findEnvoy();
  if (envoy === undefined) throw new Error('this benchmark needs Envoy (pip)');
  const directory = mkdtempSync(join(tmpdir(), `sallyport-${name}-`));
  const stage = new ProxyStage(directory, envoy, application, isServing);
  try {
    await stage.build();
    await run(stage);
  } finally {
    await stage.stop();
    rmSync(directory, { recursive: true });
  }
}
