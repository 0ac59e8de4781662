/*
 * Records what real Envoy does with listeners of real Istio. Runs in its own network namespace, where every address is local.
 * Reads cases with istiod's results, one per line, and writes recorded cases in the format of test/conformance. `oracle.ts`
 * starts it: node recorder.ts TODO OUT ENVOY [AGENT]. With the file of a built agent, each request is sent to agents, too.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../cluster/certificates.ts';
import type { Observed, RecordedCase, RecordedRequest, RecordedWorkload } from '../conformance/case-file.ts';
import { type SampleServers, startSampleServers } from '../conformance/sample-server.ts';
import { type NameServer, startNameServer } from '../support/name-server.ts';
import type { LogLine } from './access-log.ts';
import { type Answer, type ClientIdentity, exchange } from './client.ts';
import { type JsonObject, listenerOf } from './envoy-config.ts';
import { EnvoyDied, type RunningEnvoy, startEnvoy } from './envoy-process.ts';
import type { IstioAnswer } from './istio.ts';
import { SIGHTING, startUpstream, told, type Upstream } from './upstream.ts';
import { AgentLane, type LaneSurroundings, protocolsOfWorkload } from './wire/agent-lane.ts';
import { batchesOf } from './wire/batches.ts';
import { makeAddressesLocal, portOf, redirect, setAddresses } from './wire/redirect.ts';
import { canConnect, trustDomainsOf, type WireOutcome, writeWire } from './wire/wire-file.ts';

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
/** With agents, which need more CPU time. */
const LANES = 3;
/** A request whose answers take longer than a second cannot be decided within one. */
const MAX_TRIES = 20;
const SERVER = 'spiffe://cluster.local/ns/default/sa/server';

class Recorder {
  readonly #binary: string;
  readonly #out: string;
  readonly #work: string;
  readonly #authority: Authority;
  readonly #server: { readonly certPath: string; readonly keyPath: string };
  readonly #upstream: Upstream;
  readonly #authorizers: SampleServers;
  readonly #identities = new Map<string, Promise<ClientIdentity>>();
  /** None without an agent. */
  readonly #lanes: readonly AgentLane[];
  readonly #names: NameServer;
  #batches = 0;

  private constructor(binary: string, out: string, work: string, parts: Parts) {
    this.#binary = binary;
    this.#out = out;
    this.#work = work;
    this.#authority = parts.authority;
    this.#server = parts.server;
    this.#upstream = parts.upstream;
    this.#authorizers = parts.authorizers;
    this.#lanes = parts.lanes;
    this.#names = parts.names;
  }

  /** @param agent its built file, and the trust domains of clients; undefined: no agent is asked */
  static async start(binary: string, out: string, work: string, agent: AgentToAsk | undefined): Promise<Recorder> {
    const authority = await createAuthority(join(work, 'pki'));
    const server = await authority.issue({ name: 'server', commonName: '', uris: [SERVER] });
    const [upstream, authorizers] = [await startUpstream(), await startSampleServers()];
    const tls = { directory: authority.dir, certificate: 'server.crt', key: 'server.key', trustBundle: 'ca.crt' };
    const lanes = Array.from(
      { length: agent === undefined ? 0 : LANES },
      (_, index) =>
        new AgentLane(index, { ...(agent as AgentToAsk), tls, hasOwnClock: false, work, upstream, authorizerPorts: authorizers.ports }),
    );
    return new Recorder(binary, out, work, { authority, server, upstream, authorizers, lanes, names: await startNameServer() });
  }

  /** Records all of `todo` with one Envoy. If that Envoy exits, each listener gets its own Envoy. */
  async record(todo: readonly Todo[]): Promise<void> {
    const death = await this.#recordTogether(todo);
    if (death === undefined) return;
    const [only] = todo;
    if (only !== undefined && todo.length === 1) this.#write(only, { envoyRejected: death.message }, only.recorded.requests);
    else for (const item of todo) await this.record([item]);
  }

  /** @returns why Envoy exited; undefined: everything is recorded */
  async #recordTogether(todo: readonly Todo[]): Promise<EnvoyDied | undefined> {
    const folder = join(this.#work, `batch-${this.#batches++}`);
    const workloads = todo.map(({ recorded }) => recorded.workload);
    if (this.#lanes.length > 0) this.#guard(workloads);
    try {
      const envoy = await this.#envoy(todo, folder);
      try {
        const queue = todo.map((item, index) => ({ item, name: `case-${index}` }));
        const lanes = this.#lanes.length > 0 ? this.#lanes : Array.from({ length: AT_ONCE }, () => undefined);
        await Promise.all(lanes.map((lane) => this.#drain(queue, envoy, lane)));
      } finally {
        await envoy.stop();
      }
    } catch (error) {
      if (error instanceof EnvoyDied) return error;
      throw error;
    } finally {
      if (this.#lanes.length > 0) setAddresses('del', workloads);
      rmSync(folder, { recursive: true, force: true });
    }
    return undefined;
  }

  /** Gives the namespace the addresses of workloads, and leads their connections through agents. */
  #guard(workloads: readonly RecordedWorkload[]): void {
    setAddresses('add', workloads);
    const { httpPort: http, tcpPort: tcp } = this.#upstream;
    redirect(
      this.#lanes.flatMap(({ slots }) => slots),
      workloads,
      { http, tcp, names: portOf(this.#names) },
    );
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

  async #drain(queue: { item: Todo; name: string }[], envoy: RunningEnvoy, lane: AgentLane | undefined): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { item } = next;
      const refused = envoy.refused.get(next.name);
      if (refused !== undefined) {
        this.#write(item, { envoyRejected: refused }, item.recorded.requests);
        continue;
      }
      const requests: RecordedRequest[] = [];
      const wire: WireOutcome[] = [];
      for (const request of item.recorded.requests) {
        const { observed: _, at: __, ...asked } = request;
        const { agent = null, ...outcome }: Both = await this.#observeInTime(request, item, envoy, lane).catch((error: unknown) => {
          process.stderr.write(`LEFT OUT: ${item.recorded.file} [${request.name}]: ${String(error)}\n`);
          return {};
        });
        requests.push({ ...asked, ...outcome });
        wire.push(agent);
      }
      this.#write(item, {}, requests);
      if (lane !== undefined) writeWire(this.#out, item.recorded.file, wire);
    }
  }

  /** Adds the second of the observation if tokens have times, and repeats the request if it spanned two seconds. */
  async #observeInTime(request: RecordedRequest, item: Todo, envoy: RunningEnvoy, lane: AgentLane | undefined): Promise<Both> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const at = nowSeconds();
      const observed = await this.#observe(request, item, envoy);
      const agent = lane !== undefined && canConnect(request) ? { agent: await this.#ask(lane, request, item) } : {};
      // TCP connections have no tokens.
      if (item.recorded.tokens === undefined || observed.status === undefined) return { observed, ...agent };
      if (nowSeconds() === at) return { observed, at, ...agent };
    }
    throw new Error('no answer within one second');
  }

  /** What an agent does. A failure is an outcome, which the record does not have. */
  async #ask(lane: AgentLane, request: RecordedRequest, { recorded }: Todo): Promise<WireOutcome> {
    const identity = request.source.principal === undefined ? undefined : await this.#identity(request.source.principal);
    return await lane
      .observe(request, recorded, identity)
      .catch((error: unknown) => ({ failed: error instanceof Error ? error.message : String(error) }));
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
    for (const lane of this.#lanes) await lane.close();
    this.#upstream.close();
    this.#names.stop();
    await this.#authorizers.close();
  }
}

interface Parts {
  readonly authority: Authority;
  readonly server: { readonly certPath: string; readonly keyPath: string };
  readonly upstream: Upstream;
  readonly authorizers: SampleServers;
  readonly lanes: readonly AgentLane[];
  readonly names: NameServer;
}

/** Agents that get what Envoy gets. */
type AgentToAsk = Pick<LaneSurroundings, 'entry' | 'trustDomains'>;

/** What Envoy did with a request, and the agent. */
type Both = Pick<RecordedRequest, 'observed' | 'at'> & { readonly agent?: WireOutcome };

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

function keyOf({ recorded }: Todo): string {
  return protocolsOfWorkload(recorded.workload);
}

async function main(): Promise<void> {
  const [todoPath = '', out = '', binary = '', entry] = process.argv.slice(2);
  makeAddressesLocal();
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'sallyport-oracle-'));
  const todo = readFileSync(todoPath, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Todo);
  // An agent is kept while the ports of the workloads speak the same.
  if (entry !== undefined) todo.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  const agent = entry === undefined ? undefined : { entry, trustDomains: trustDomainsOf(todo.map(({ recorded }) => recorded)) };
  const recorder = await Recorder.start(binary, out, work, agent);
  let done = 0;
  try {
    for (const batch of batchesOf(todo, BATCH)) {
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
