/*
 * Sends the requests of recorded cases to built agents in its own network namespace, without Envoy, and writes what the agents did. The agents have the
 * time of each record. Started with `inOwnNetwork`: node replay-recorded.ts OUT AGENT DIR...
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../../cluster/certificates.ts';
import { type RecordedCase, type RecordedRequest, readCases } from '../../conformance/case-file.ts';
import { startSampleServers } from '../../conformance/sample-server.ts';
import { startNameServer } from '../../support/name-server.ts';
import type { ClientIdentity } from '../client.ts';
import { startUpstream } from '../upstream.ts';
import { AgentLane, protocolsOfWorkload } from './agent-lane.ts';
import { batchesOf } from './batches.ts';
import { makeAddressesLocal, portOf, redirect, setAddresses } from './redirect.ts';
import { canConnect, trustDomainsOf, type WireOutcome, writeWire } from './wire-file.ts';

const BATCH = 200;
const LANES = 2;
/** Earlier than any record. */
const BEFORE_RECORDS = new Date('2026-01-01T00:00:00Z');
const SERVER = 'spiffe://cluster.local/ns/default/sa/server';

/** Certificates of clients, by their identities. */
class Identities {
  readonly #authority: Authority;
  readonly #issued = new Map<string, Promise<ClientIdentity>>();

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  of({ source: { principal } }: RecordedRequest): Promise<ClientIdentity> | undefined {
    if (principal === undefined) return undefined;
    const known = this.#issued.get(principal);
    if (known !== undefined) return known;
    const made = this.#authority
      .issue({ name: `client-${this.#issued.size}`, commonName: '', uris: principal.split(',') })
      .then(({ certPath, keyPath }) => ({ cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }));
    this.#issued.set(principal, made);
    return made;
  }
}

async function drain(queue: RecordedCase[], lane: AgentLane, identities: Identities, out: string): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const recorded = next;
    const outcomes: WireOutcome[] = [];
    for (const request of recorded.requests) {
      if (request.observed === undefined || !canConnect(request)) {
        outcomes.push(null);
        continue;
      }
      const identity = await identities.of(request);
      outcomes.push(await lane.observe(request, recorded, identity).catch((error: unknown) => ({ failed: String(error) })));
    }
    writeWire(out, recorded.file, outcomes);
  }
}

async function main(): Promise<void> {
  const [out = '', entry = '', ...folders] = process.argv.slice(2);
  makeAddressesLocal();
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'sallyport-wire-'));
  const cases = folders.flatMap(readCases);
  const authority = await createAuthority(join(work, 'pki'), BEFORE_RECORDS);
  await authority.issue({ name: 'server', commonName: '', uris: [SERVER] });
  const identities = new Identities(authority);
  const upstream = await startUpstream();
  const authorizers = await startSampleServers();
  const names = await startNameServer();
  const tls = { directory: authority.dir, certificate: 'server.crt', key: 'server.key', trustBundle: 'ca.crt' };
  const around = { entry, hasOwnClock: true, trustDomains: trustDomainsOf(cases), tls, work, upstream, authorizerPorts: authorizers.ports };
  const lanes = Array.from({ length: LANES }, (_, index) => new AgentLane(index, around));
  try {
    const items = cases.map((recorded) => ({ recorded, key: protocolsOfWorkload(recorded.workload) }));
    items.sort((one, other) => (one.key < other.key ? -1 : 1));
    for (const batch of batchesOf(items, BATCH)) {
      const workloads = batch.map(({ recorded }) => recorded.workload);
      setAddresses('add', workloads);
      redirect(
        lanes.flatMap(({ slots }) => slots),
        workloads,
        { http: upstream.httpPort, tcp: upstream.tcpPort, names: portOf(names) },
      );
      const queue = batch.map(({ recorded }) => recorded);
      await Promise.all(lanes.map((lane) => drain(queue, lane, identities, out)));
      setAddresses('del', workloads);
    }
  } finally {
    for (const lane of lanes) await lane.close();
    upstream.close();
    await authorizers.close();
    names.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

await main();
