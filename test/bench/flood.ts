/*
 * `node test/bench/flood.ts [--seconds N] [--rounds N] [--flooders N] [--source DIR] [--only NAME]`: how long good requests take during a
 * flood of tokens that have to be verified, through the agent and through a real Envoy, measured in turns. The flooders, a process with a
 * lower priority, send one request after the other; 200 good requests a second carry one valid token. Prints p50 and p99 of the good
 * requests and the ratios to Envoy. A first round warms up the agent and this process, whose code is compiled while it runs; its p99 is
 * printed apart. The proxies share core 1; load generators and application share core 0.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeJwtBundle } from './support/demo-bundle.ts';
import { findEnvoy, writeJwtEnvoyConfig } from './support/envoy.ts';
import { FLOOD_ALGORITHMS, FLOOD_ISSUER, type FloodAlgorithm } from './support/flood-tokens.ts';
import { type Flooders, startFlooders } from './support/flooders.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const PROXY_CORE = 1;
const LOAD_CORE = 0;
const UPSTREAM_PORT = 22_500;
const AGENT_PORT = 22_501;
const ENVOY_PORT = 22_503;
const GOOD_CONNECTIONS = 20;
const GOOD_INTERVAL_MS = 5;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    flooders: { type: 'string', default: '16' },
    source: { type: 'string', default: '.' },
    only: { type: 'string', default: '' },
  },
});
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-flood-'));
const rounds = Number(values.rounds);
const running: Pick<Pinned, 'stop'>[] = [];

interface Measured {
  /** Milliseconds from when a good request was due. */
  readonly latencies: number[];
  flood: number;
  readonly statuses: Set<string>;
}

/** The time of each good request, in milliseconds from when it was due. */
async function sendGood(port: number, good: string): Promise<readonly number[]> {
  const latencies: number[] = [];
  const clients = Array.from({ length: GOOD_CONNECTIONS }, () => new RawClient(port));
  const sent: Promise<void>[] = [];
  const startMs = performance.now();
  for (let at = 0; at * GOOD_INTERVAL_MS < seconds * 1000; at += 1) {
    const dueMs = startMs + at * GOOD_INTERVAL_MS;
    while (performance.now() < dueMs) await sleep(1);
    const client = clients[at % clients.length] as RawClient;
    sent.push(
      client.send(good).then((status) => {
        if (status !== '200') throw new Error(`port ${port}: a good request got ${status}`);
        latencies.push(performance.now() - dueMs);
      }),
    );
  }
  await Promise.all(sent);
  for (const client of clients) client.close();
  return latencies;
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

async function compare(flooders: Flooders, kind: 'garbage' | 'valid', algorithm: FloodAlgorithm): Promise<void> {
  const name = `${kind} ${algorithm}`;
  const good = bearerRequest('/good', flooders.goodToken);
  const sides = [AGENT_PORT, ENVOY_PORT].map((port) => ({
    port,
    first: [] as readonly number[],
    measured: { latencies: [], flood: 0, statuses: new Set<string>() } as Measured,
  }));
  for (let round = 0; round <= rounds; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      let latencies: readonly number[] = [];
      const order = { port: side.port, connections: Number(values.flooders), kind, algorithm };
      const { requests, statuses } = await flooders.flood(order, async () => {
        latencies = await sendGood(side.port, good);
      });
      if (round === 0) {
        side.first = latencies;
        continue;
      }
      side.measured.latencies.push(...latencies);
      side.measured.flood += requests;
      for (const status of statuses) side.measured.statuses.add(status);
    }
  }
  const [agent, envoy] = sides.map(({ first, measured: { latencies, flood: requests, statuses } }) => {
    const sorted = latencies.sort((a, b) => a - b);
    const rate = requests / seconds / rounds;
    return {
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      max: sorted.at(-1) ?? 0,
      first: percentile(
        first.toSorted((a, b) => a - b),
        0.99,
      ),
      rate,
      statuses: [...statuses].join(' '),
    };
  });
  if (agent === undefined || envoy === undefined) return;
  const side = ({ p50, p99, max, first, rate, statuses }: typeof agent): string =>
    `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} max ${max.toFixed(1)} ms (first round p99 ${first.toFixed(1)}), flood ${rate.toFixed(0)}/s (${statuses})`;
  process.stdout.write(
    `${name.padEnd(15)} agent ${side(agent)} | Envoy ${side(envoy)} | ratio p50 ${(agent.p50 / envoy.p50).toFixed(2)} p99 ${(agent.p99 / envoy.p99).toFixed(2)}\n`,
  );
  reportRatio(['flood', name, 'p50 to Envoy'], agent.p50 / envoy.p50, TOLERANCE.time);
  reportRatio(['flood', name, 'p99 to Envoy'], agent.p99 / envoy.p99, TOLERANCE.tail);
}

async function main(): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  const flooders = await startFlooders();
  running.push(flooders);
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(flooders.pid)]);
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error('this benchmark needs Envoy (pip)');
  running.push(await startPinned([buildUpstream(directory), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const bundle = join(directory, 'bundle');
  writeJwtBundle(bundle, [{ issuer: FLOOD_ISSUER, jwks: flooders.jwks, forwardOriginalToken: true }]);
  const entry = join(directory, 'agent.mjs');
  await buildAgent(resolve(values.source), entry);
  const flags = ['--ports', `${AGENT_PORT}:${UPSTREAM_PORT}`, '--admin-port', String(AGENT_PORT + 1), '--bundle-dir', bundle];
  const ports = { listenPort: ENVOY_PORT, adminPort: ENVOY_PORT + 1, upstreamPort: UPSTREAM_PORT };
  const envoy = writeJwtEnvoyConfig(binary, directory, ports, {
    providers: {
      'origins-0': { issuer: FLOOD_ISSUER, forward: true, local_jwks: { inline_string: flooders.jwks }, payload_in_metadata: 'payload' },
    },
    rules: [
      { match: { prefix: '/' }, requires: { requires_any: { requirements: [{ provider_name: 'origins-0' }, { allow_missing: {} }] } } },
    ],
  });
  const until = (port: number): object => ({ core: PROXY_CORE, until: { url: `http://127.0.0.1:${port}/`, headers: {} } });
  const command = [...agentCommand(), entry, ...flags, '--access-log', 'off'];
  running.push(await startPinned(command, { core: PROXY_CORE, ...until(AGENT_PORT) }));
  running.push(await startPinned(envoy, { core: PROXY_CORE, ...until(ENVOY_PORT) }));
  for (const algorithm of FLOOD_ALGORITHMS) {
    for (const kind of ['garbage', 'valid'] as const) {
      if (`${kind} ${algorithm}`.includes(values.only)) await compare(flooders, kind, algorithm);
    }
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const one of running) await one.stop();
  rmSync(directory, { recursive: true });
}
