/*
 * Records what real Envoy does with listeners of real Istio. Runs in its own network namespace, where every address is local.
 * Reads cases with istiod's results, one per line, and writes recorded cases in the format of test/conformance. `oracle.ts`
 * starts it: node recorder.ts TODO OUT ENVOY
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../cluster/certificates.ts';
import type { Observed, RecordedCase, RecordedRequest, RecordedUpstream } from '../conformance/case-file.ts';
import { type SampleServers, startSampleServers } from '../conformance/sample-server.ts';
import type { LogLine } from './access-log.ts';
import { type Answer, type ClientIdentity, exchange } from './client.ts';
import { type JsonObject, listenerOf } from './envoy-config.ts';
import { EnvoyDied, type RunningEnvoy, startEnvoy } from './envoy-process.ts';
import type { IstioAnswer } from './istio.ts';
import { SIGHTING, startUpstream, type Upstream } from './upstream.ts';

/** A case and istiod's result for it; one line of the file TODO. */
export interface Todo {
  readonly recorded: Omit<RecordedCase, 'istio'>;
  readonly answer: IstioAnswer;
  readonly versions: { readonly istio: string; readonly envoy: string };
}

/** See `RecordedCase.istio.recorder`. */
const RECORDER = 2;
const BATCH = 40;
const AT_ONCE = 8;
const SERVER = 'spiffe://cluster.local/ns/default/sa/server';
const NOISE: ReadonlySet<string> = new Set(['x-request-id']);

/** Makes every address local in this namespace, so that clients and workloads can have any address. */
function makeAddressesLocal(): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  execFileSync('ip', ['route', 'add', 'local', '0.0.0.0/0', 'dev', 'lo']);
  execFileSync('ip', ['-6', 'route', 'add', 'local', '::/0', 'dev', 'lo']);
  for (const family of ['ipv4', 'ipv6']) writeFileSync(`/proc/sys/net/${family}/ip_nonlocal_bind`, '1');
}

class Recorder {
  readonly #binary: string;
  readonly #out: string;
  readonly #work: string;
  readonly #authority: Authority;
  readonly #server: { readonly certPath: string; readonly keyPath: string };
  readonly #upstream: Upstream;
  readonly #authorizers: SampleServers;
  readonly #identities = new Map<string, Promise<ClientIdentity>>();
  #batches = 0;

  private constructor(binary: string, out: string, work: string, parts: Parts) {
    this.#binary = binary;
    this.#out = out;
    this.#work = work;
    this.#authority = parts.authority;
    this.#server = parts.server;
    this.#upstream = parts.upstream;
    this.#authorizers = parts.authorizers;
  }

  static async start(binary: string, out: string, work: string): Promise<Recorder> {
    const authority = await createAuthority(join(work, 'pki'));
    const server = await authority.issue({ name: 'server', commonName: '', uris: [SERVER] });
    return new Recorder(binary, out, work, { authority, server, upstream: await startUpstream(), authorizers: await startSampleServers() });
  }

  /** Records all of `todo` with one Envoy. If that Envoy exits, each listener gets its own Envoy. */
  async record(todo: readonly Todo[]): Promise<void> {
    const folder = join(this.#work, `batch-${this.#batches++}`);
    try {
      const envoy = await this.#envoy(todo, folder);
      try {
        const queue = todo.map((item, index) => ({ item, name: `case-${index}` }));
        await Promise.all(Array.from({ length: AT_ONCE }, () => this.#drain(queue, envoy)));
      } finally {
        await envoy.stop();
      }
    } catch (error) {
      if (!(error instanceof EnvoyDied)) throw error;
      const [only] = todo;
      if (only !== undefined && todo.length === 1) this.#write(only, { envoyRejected: error.message }, only.recorded.requests);
      else for (const item of todo) await this.record([item]);
    }
    rmSync(folder, { recursive: true, force: true });
  }

  #envoy(todo: readonly Todo[], folder: string): Promise<RunningEnvoy> {
    const fixed = {
      httpPort: this.#upstream.httpPort,
      tcpPort: this.#upstream.tcpPort,
      authorizerPorts: this.#authorizers.ports,
      ...this.#server,
      caPath: this.#authority.ca.certPath,
    };
    const listeners = (around: Parameters<typeof listenerOf>[3]): readonly JsonObject[] =>
      todo.map(({ recorded, answer }, index) => listenerOf(answer.listener ?? {}, `case-${index}`, recorded.workload, around));
    return startEnvoy(this.#binary, folder, listeners, fixed);
  }

  async #drain(queue: { item: Todo; name: string }[], envoy: RunningEnvoy): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { item } = next;
      const refused = envoy.refused.get(next.name);
      if (refused !== undefined) {
        this.#write(item, { envoyRejected: refused }, item.recorded.requests);
        continue;
      }
      const requests: RecordedRequest[] = [];
      for (const request of item.recorded.requests) {
        const { observed: _, at: __, ...asked } = request;
        const outcome = await this.#observeInTime(request, item, envoy).catch((error: unknown) => {
          process.stderr.write(`LEFT OUT: ${item.recorded.file} [${request.name}]: ${String(error)}\n`);
          return {};
        });
        requests.push({ ...asked, ...outcome });
      }
      this.#write(item, {}, requests);
    }
  }

  /** Adds the second of the observation if tokens have times, and repeats the request if it spanned two seconds. */
  async #observeInTime(request: RecordedRequest, item: Todo, envoy: RunningEnvoy): Promise<Pick<RecordedRequest, 'observed' | 'at'>> {
    for (;;) {
      const at = nowSeconds();
      const observed = await this.#observe(request, item, envoy);
      // TCP connections have no tokens.
      if (item.recorded.tokens === undefined || observed.status === undefined) return { observed };
      if (nowSeconds() === at) return { observed, at };
    }
  }

  async #observe(request: RecordedRequest, { recorded: { workload } }: Todo, envoy: RunningEnvoy): Promise<Observed> {
    const { protocol = 'http', undeclared = false } = workload.ports.find(({ number }) => number === request.port) ?? {};
    const identity = request.source.principal === undefined ? undefined : await this.#identity(request.source.principal);
    const sinceMs = Date.now();
    const { answer, connection } = await exchange(request, { ip: workload.ip, port: request.port, protocol }, identity);
    if (answer.kind === 'http') {
      const line = await envoy.logged('request', connection, sinceMs);
      if (line === undefined) throw new Error(`no access log line for ${request.name}`);
      return httpObserved(answer, line, this.#upstream);
    }
    if (undeclared && protocol !== 'tcp') throw new Error('Envoy did not detect the protocol as HTTP');
    const line = answer.kind === 'closed' && answer.handshake ? undefined : await envoy.logged('connection', connection, sinceMs);
    return connectionObserved(answer, line);
  }

  #identity(principal: string): Promise<ClientIdentity> {
    const known = this.#identities.get(principal);
    if (known !== undefined) return known;
    const name = `client-${this.#identities.size}`;
    const made = this.#authority
      .issue({ name, commonName: '', uris: principal.split(',') })
      .then(({ certPath, keyPath }) => ({ cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }));
    this.#identities.set(principal, made);
    return made;
  }

  #write({ recorded, answer, versions }: Todo, refused: { envoyRejected?: string }, requests: readonly RecordedRequest[]): void {
    const { rejected, warnings } = answer;
    const istio = {
      ...versions,
      recorder: RECORDER,
      ...(rejected === undefined ? {} : { rejected }),
      ...(warnings === undefined ? {} : { warnings }),
      ...refused,
    };
    const { file, ...rest } = recorded;
    writeFileSync(join(this.#out, `${file}.json`), `${JSON.stringify({ ...rest, requests, istio }, null, 1)}\n`);
  }

  async close(): Promise<void> {
    this.#upstream.close();
    await this.#authorizers.close();
  }
}

interface Parts {
  readonly authority: Authority;
  readonly server: { readonly certPath: string; readonly keyPath: string };
  readonly upstream: Upstream;
  readonly authorizers: SampleServers;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

function httpObserved({ status, headers, body }: Extract<Answer, { kind: 'http' }>, line: LogLine, upstream: Upstream): Observed {
  const dryRun = dryRunOf(line);
  const sighting = headers.find(([name]) => name === SIGHTING)?.[1];
  if (sighting !== undefined) {
    const seen = upstream.sighting(sighting);
    return { outcome: 'allow', status, ...dryRun, ...(seen === undefined ? {} : { upstream: told(seen) }) };
  }
  const kept = Object.fromEntries(headers.filter(([name]) => name !== 'date' && name !== 'server' && !name.startsWith('x-envoy-')));
  const outcome = outcomeOf(status, kept['grpc-status']);
  const details = line.details ?? '';
  return { outcome, status, ...(details === '' ? {} : { details }), headers: kept, ...(body === '' ? {} : { body }), ...dryRun };
}

function outcomeOf(status: number, grpcStatus: string | undefined): Observed['outcome'] {
  if (status === 403 || grpcStatus === '7') return 'deny';
  return status === 401 || grpcStatus === '16' ? 'unauthenticated' : 'reject';
}

/** What the application received, without values that differ between runs. */
function told({ headers, ...rest }: RecordedUpstream): RecordedUpstream {
  const kept = headers
    .filter(([name]) => !NOISE.has(name))
    .map(([name, value]): [string, string] => [
      name,
      name === 'x-forwarded-client-cert' ? value.replace(/Hash=[0-9a-f]+/g, 'Hash=<redacted>') : value,
    ]);
  return { ...rest, headers: kept };
}

function connectionObserved(answer: Exclude<Answer, { kind: 'http' }>, line: LogLine | undefined): Observed {
  const dryRun = line === undefined ? {} : dryRunOf(line);
  if (answer.kind === 'tcp') return { outcome: 'allow', ...dryRun };
  const closed = line?.closed ?? '';
  if (closed.startsWith('rbac_')) return { outcome: 'deny', details: closed, ...dryRun };
  return { outcome: line?.flags?.includes('UAEX') === true ? 'deny' : 'refused', ...dryRun };
}

const DRY_RUN = 'istio_dry_run_';

function dryRunOf({ metadata }: LogLine): { dryRun?: Readonly<Record<string, string>> } {
  const results = Object.entries(metadata ?? {}).flatMap(([name, value]) =>
    name.startsWith(DRY_RUN) ? [[name.slice(DRY_RUN.length), value]] : [],
  );
  return results.length === 0 ? {} : { dryRun: Object.fromEntries(results) as Record<string, string> };
}

/** Batches in which no two workloads share an address, because an address belongs to one listener. */
function batchesOf(todo: readonly Todo[]): readonly (readonly Todo[])[] {
  const batches: { readonly ips: Set<string>; readonly items: Todo[] }[] = [];
  for (const item of todo) {
    const { ip } = item.recorded.workload;
    let batch = batches.find(({ ips, items }) => items.length < BATCH && !ips.has(ip));
    if (batch === undefined) batches.push((batch = { ips: new Set(), items: [] }));
    batch.ips.add(ip);
    batch.items.push(item);
  }
  return batches.map(({ items }) => items);
}

async function main(): Promise<void> {
  const [todoPath = '', out = '', binary = ''] = process.argv.slice(2);
  makeAddressesLocal();
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'sallyport-oracle-'));
  const todo = readFileSync(todoPath, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Todo);
  const recorder = await Recorder.start(binary, out, work);
  let done = 0;
  try {
    for (const batch of batchesOf(todo)) {
      await recorder.record(batch);
      done += batch.length;
      process.stderr.write(`recorded ${done}/${todo.length} cases\n`);
    }
  } finally {
    await recorder.close();
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) await main();
