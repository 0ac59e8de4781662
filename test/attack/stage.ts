/*
 * Starts the agent as in its image and a real Envoy, each in front of applications of the same kind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../src/api/kube/names.ts';
import { encodeBundle } from '../../src/bundle/encode.ts';
import { buildAgent } from '../bench/support/agent-build.ts';
import { freePorts } from '../cluster/wait.ts';
import { agentFlags } from '../support/agent-flags.ts';
import { until } from '../support/fake-clock.ts';
import { Application } from './application.ts';
import { Pinger } from './client.ts';
import { type PortPair, writeEnvoyConfig } from './envoy.ts';
import { Lane } from './lane.ts';
import { bundleOfPolicies } from './policies.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const START_MS = 20_000;
const LANES = 6;

/** A proxy with its lanes. */
export interface Proxy {
  readonly lanes: readonly Lane[];
  /** Everything that it wrote to stdout and stderr so far. */
  readonly output: () => string;
  /** Is it still the process that was started? */
  readonly alive: () => boolean;
  /** Ends it with SIGTERM, and returns the exit code; null: it had to be killed. */
  readonly stop: () => Promise<number | null>;
}

/** An application behind a proxy. */
interface StartableApplication {
  /** It speaks HTTP/2; absent: HTTP/1.1. */
  readonly isHttp2?: boolean;
  start(): Promise<number>;
  stop(): void;
}

/** A proxy and its ports, one for each application. */
export interface RunningProxy extends Omit<Proxy, 'lanes'> {
  readonly ports: readonly number[];
}

type Arguments = (directory: string, adminPort: number, pairs: readonly PortPair[]) => readonly string[] | Promise<readonly string[]>;

interface Program {
  readonly binary: string;
  readonly readiness: string;
  readonly prepare: Arguments;
}

/** Starts Envoy in front of applications. */
export function startEnvoyProcess(binary: string, applications: readonly StartableApplication[]): Promise<RunningProxy> {
  return startProcess({ binary, readiness: '/ready', prepare: writeEnvoyConfig }, applications);
}

/** Builds the agent and starts it in front of applications. */
export function startAgentProcess(applications: readonly StartableApplication[]): Promise<RunningProxy> {
  return startProcess({ binary: process.execPath, readiness: '/readyz', prepare: prepareAgent }, applications);
}

/** Starts Envoy. */
export function startEnvoy(binary: string): Promise<Proxy> {
  return withLanes((applications) => startEnvoyProcess(binary, applications));
}

/** Builds and starts the agent. */
export function startAgent(): Promise<Proxy> {
  return withLanes(startAgentProcess);
}

const prepareAgent: Arguments = async (directory, adminPort, pairs) => {
  const entry = join(directory, 'agent.mjs');
  await buildAgent(ROOT, entry);
  const { json, digest } = encodeBundle(bundleOfPolicies());
  const bundles = join(directory, 'bundle');
  mkdirSync(bundles);
  writeFileSync(join(bundles, BUNDLE_KEY), json);
  writeFileSync(join(bundles, BUNDLE_DIGEST_KEY), digest);
  const ports = pairs.map(({ listenPort, upstreamPort }) => `${listenPort}:${upstreamPort}`).join();
  const protocols = pairs.map(({ upstreamPort, isHttp2 }) => `${upstreamPort}:${isHttp2 ? 'http2' : 'http1'}`).join();
  const flags = ['--ports', ports, '--app-protocols', protocols, '--admin-port', String(adminPort)];
  return [...agentFlags(), entry, ...flags, '--bundle-dir', bundles, '--drain-seconds', '0'];
};

async function withLanes(run: (applications: readonly Application[]) => Promise<RunningProxy>): Promise<Proxy> {
  const applications = Array.from({ length: LANES + 1 }, () => new Application());
  const proxy = await run(applications);
  const pingPort = proxy.ports.at(-1) ?? 0;
  const pingers = Array.from({ length: LANES }, () => new Pinger(pingPort));
  return {
    ...proxy,
    lanes: pingers.map((pinger, at) => new Lane(proxy.ports[at] ?? 0, applications[at] as Application, pinger)),
    stop: async () => {
      for (const pinger of pingers) pinger.close();
      return await proxy.stop();
    },
  };
}

async function startProcess({ binary, readiness, prepare }: Program, applications: readonly StartableApplication[]): Promise<RunningProxy> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-attack-'));
  const upstreamPorts = await Promise.all(applications.map((application) => application.start()));
  const [adminPort = 0, ...listenPorts] = await freePorts(applications.length + 1);
  const pairs = upstreamPorts.map((upstreamPort, at) => ({
    listenPort: listenPorts[at] ?? 0,
    upstreamPort,
    isHttp2: applications[at]?.isHttp2 === true,
  }));
  const child = spawn(binary, [...(await prepare(directory, adminPort, pairs))], { stdio: ['ignore', 'pipe', 'pipe'] });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  const url = `http://127.0.0.1:${adminPort}${readiness}`;
  const isReady = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`${binary} ended: ${output}`);
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.status === 200;
  };
  await until(isReady, `${binary} to be ready`, START_MS);
  return {
    ports: listenPorts,
    output: () => output,
    alive: () => child.exitCode === null && child.signalCode === null,
    stop: async () => {
      const code = await end(child);
      for (const application of applications) application.stop();
      rmSync(directory, { recursive: true, force: true });
      return code;
    },
  };
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return code;
}
