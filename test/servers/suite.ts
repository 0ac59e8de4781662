/*
 * The tests of servers behind an agent: every client reaches its server, however the agent learns what the port speaks, and a client that policies
 * deny does not; the access log says which connection it was.
 */
import { expect } from 'chai';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { planCapture } from '../../src/inject/capture.ts';
import { servicePortsFor } from '../../src/inject/services.ts';
import { until } from '../support/fake-clock.ts';
import { CLIENT_IPV4, CLIENT_IPV6, POD_IPV4, POD_IPV6, requirePodNetwork } from '../support/pod-network.ts';
import { selectFrom } from '../support/select-policies.ts';
import { debianPrograms, missingForDebian } from './debian-programs.ts';
import { type AccessRow, DENIED_CLIENT, POD_FOR_DENIED, ServerPod } from './server-pod.ts';
import type { ServicePortOf, TestedClient, TestedServer } from './tested-server.ts';

/** How the agent learns what a port speaks. */
const WAYS: readonly (readonly [name: string, portOf: ((server: TestedServer) => ServicePortOf) | undefined])[] = [
  ['the name of the Service port', (server) => server.byName],
  ['appProtocol or the number of the Service port', (server) => server.byProtocol],
  ['the first bytes', undefined],
];

/** What the suite runs on. */
export interface ServerSuite {
  readonly title: string;
  readonly packages: readonly string[];
  readonly servers: readonly TestedServer[];
  /** Server names of the certificate; a rule allows the first of TLS to ports in `byServerName`. */
  readonly serverNames: readonly [string, ...string[]];
  /** Ports on which only the first server name is allowed. */
  readonly byServerName: readonly number[];
}

/** Declares the tests. */
export function describeServers({ title, packages, servers, serverNames, byServerName }: ServerSuite): void {
  describe(title, function () {
    this.timeout(600_000);
    let pod: ServerPod | undefined;

    before(async function () {
      await requirePodNetwork(this, title);
      const missing = missingForDebian();
      if (missing !== undefined) {
        if (process.env['CI'] === 'true') throw new Error(`NOT CHECKED: ${title}: needs ${missing}`);
        process.stderr.write(`NOT CHECKED: ${title}: needs ${missing}\n`);
        this.skip();
      }
      const ports = servers.map(({ port }) => port).filter((port) => !byServerName.includes(port));
      const bundle = bundleOf(ports, byServerName, serverNames[0]);
      pod = await ServerPod.create({ root: await debianPrograms(packages) }, serverNames, bundle);
      for (const server of servers) await server.start(pod);
    });

    after(async () => pod?.close());

    for (const [way, portOf] of WAYS) {
      describe(`by ${way}`, () => {
        before(() => (pod as ServerPod).startAgent(protocolsOf(servers, portOf)));

        for (const server of servers) {
          for (const client of server.clients) {
            if (client.isDenied !== true) {
              it(`${server.name}: ${client.name}`, () => expectAllowed(pod as ServerPod, server, client));
            }
          }
        }

        // Together: where the agent does not know that a server speaks first, a denial takes seconds.
        it('clients that policies deny', async () => {
          (pod as ServerPod).rows.length = 0;
          await Promise.all(servers.map((server) => expectDenied(pod as ServerPod, server)));
        });
      });
    }
  });
}

async function expectAllowed(pod: ServerPod, server: TestedServer, client: TestedClient): Promise<void> {
  for (const [host, from] of [
    [POD_IPV4, CLIENT_IPV4],
    [POD_IPV6, CLIENT_IPV6],
  ] as const) {
    pod.rows.length = 0;
    const { stdout, stderr } = await pod.client(client.command(host, pod), client.input);

    expect(stdout).to.match(client.prints, stderr);
    const row = await rowOf(pod, server.port, from);
    expect(row).to.include({ decision: 'allow', details: '', 'server.address': host, policy: 'foo/clients' });
    expect(row['tls.client.server_name']).to.equal(client.serverName);
    expect(row['received_bytes']).to.be.above(0);
    expect(row['sent_bytes']).to.be.above(0);
  }
}

/** By a DENY rule on the address, and where a server name counts, by the lack of an ALLOW rule. */
async function expectDenied(pod: ServerPod, server: TestedServer): Promise<void> {
  const [first, ...others] = server.clients;
  const byName = others.filter(({ isDenied }) => isDenied === true);
  const rows: readonly (readonly [TestedClient, string, string, Readonly<Record<string, unknown>>])[] = [
    ...(first === undefined ? [] : [[first, POD_FOR_DENIED, DENIED_CLIENT, { reason: 'deny-rule', policy: 'foo/denied' }] as const]),
    ...byName.map((client) => [client, POD_IPV4, CLIENT_IPV4, { reason: 'no-allow-rule-matched' }] as const),
  ];
  for (const [client, host, from, expected] of rows) {
    const { code, stdout } = await pod.client(client.command(host, pod), client.input);

    expect(code, server.name).to.not.equal(0);
    expect(stdout, server.name).to.not.match(client.prints);
    const row = await rowOf(pod, server.port, from);
    expect(row).to.include({ decision: 'deny', received_bytes: 0, sent_bytes: 0, ...expected });
    expect(row['details']).to.match(/^rbac_access_denied_matched_policy\[/);
    expect(row['tls.client.server_name']).to.equal(client.serverName);
  }
}

/** The row of a connection; the others of the client must not differ. */
async function rowOf(pod: ServerPod, port: number, from: string): Promise<AccessRow> {
  const isWanted = (row: AccessRow): boolean => row['server.port'] === port && row['client.address'] === from;
  await until(() => pod.rows.some(isWanted), `a row of port ${port} in the access log, which has ${JSON.stringify(pod.rows)}`);
  const row = pod.rows.find(isWanted) ?? {};
  expect(row).to.include({ message: 'connection', 'network.transport': 'tcp' });
  return row;
}

/** What injection would write for a pod whose ports are declared like this. */
function protocolsOf(servers: readonly TestedServer[], portOf: ((server: TestedServer) => ServicePortOf) | undefined): string {
  const containers = [{ name: 'app', ports: servers.map(({ port }) => ({ containerPort: port })) }];
  const services = servers.map((server) => {
    const { port = server.port, ...entry } = portOf?.(server) ?? {};
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${server.port}`, namespace: 'foo' },
      spec: { selector: { app: 'httpbin' }, ports: [{ ...entry, port, targetPort: server.port }] },
    };
  });
  const found = portOf === undefined ? [] : servicePortsFor(services, { namespace: 'foo', labels: { app: 'httpbin' } });
  const { appProtocols } = planCapture(containers, {}, found);
  expect(appProtocols).to.deep.equal(portOf === undefined ? [] : servers.map(({ port }) => `${port}:tcp`).toSorted(byNumber));
  return appProtocols.join();
}

function byNumber(one: string, other: string): number {
  return Number.parseInt(one, 10) - Number.parseInt(other, 10);
}

function bundleOf(ports: readonly number[], byServerName: readonly number[], serverName: string): Bundle {
  const from = [{ source: { ipBlocks: [CLIENT_IPV4, CLIENT_IPV6] } }];
  const to = (numbers: readonly number[]): object => [{ operation: { ports: numbers.map(String) } }];
  const named = { from, to: to(byServerName), when: [{ key: 'connection.sni', values: [serverName] }] };
  const policies = [
    policyOf('clients', { rules: [{ from, to: to(ports) }, ...(byServerName.length === 0 ? [] : [named])] }),
    policyOf('denied', {
      action: 'DENY',
      rules: [{ from: [{ source: { ipBlocks: [DENIED_CLIENT] } }], to: to([...ports, ...byServerName]) }],
    }),
  ];
  const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
  return compileWorkload({
    workload,
    labelSets: [{}],
    policiesFor: selectFrom(policies),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  }).bundle;
}

function policyOf(name: string, spec: object): Policy {
  const metadata = { name, namespace: 'foo' };
  const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec });
  if (value === undefined) throw new Error(findings[0]?.message);
  return value;
}
