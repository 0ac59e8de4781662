/*
 * The agent behind the redirect of all ports, in a real network namespace: each connection reaches the port that its client asked for,
 * and policies see the real addresses, for IPv4, IPv6 and clients of IPv4 on its socket of IPv6.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { agentCommand } from '../support/agent-flags.ts';
import {
  APPLY_REDIRECT,
  CLIENT_IPV4,
  CLIENT_IPV6,
  createPodNetwork,
  POD_IPV4,
  POD_IPV6,
  type PodNetwork,
  requirePodNetwork,
} from '../support/pod-network.ts';
import { selectFrom } from '../support/select-policies.ts';
import { filesOf, mountVolume, newFolder } from '../unit/agent/bundles.ts';

/** Answers every request with its own port, on all addresses and on the loopback address only. */
const APP = `
  import { createServer } from 'node:http';
  import net from 'node:net';
  const listen = (port, host) => new Promise((resolve) => {
    createServer((request, response) => response.end('app ' + port)).listen(port, host, resolve);
  });
  await listen(8080, '::');
  await listen(9090, '::');
  await listen(7000, '127.0.0.1');
  // A server that speaks first, and one that repeats what it gets.
  await new Promise((resolve) => net.createServer((socket) => socket.on('error', () => {}).end('220 mail\\r\\n')).listen(2525, '::', resolve));
  await new Promise((resolve) => net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(6379, '::', resolve));
  console.log('open');
`;
/** Prints status and body of a GET, or the error code. */
const GET = `
  import { get } from 'node:http';
  const [host, port] = process.argv.slice(1);
  get({ host, port: Number(port), path: '/x', agent: false }, (response) => {
    let body = '';
    response.on('data', (chunk) => (body += chunk)).on('end', () => console.log(response.statusCode, body));
  }).on('error', (error) => console.log(error.code));
`;

/** Prints what the address sends, to the end of its side or four bytes of `PING`; or the error code. */
const TCP = `
  import { connect } from 'node:net';
  const [host, port, text] = process.argv.slice(1);
  let answer = '';
  const socket = connect({ host, port: Number(port) }, () => { if (text !== undefined) socket.end(text); });
  socket.on('data', (chunk) => (answer += chunk)).on('error', (error) => console.log(error.code)).on('end', () => console.log(answer));
`;

function compile(spec: object): Bundle {
  const { value, findings } = parsePolicy({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'foo' },
    spec,
  });
  if (value === undefined) throw new Error(findings[0]?.message);
  const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
  const input = { workload, labelSets: [{}], policiesFor: selectFrom([value]), mesh: DEFAULT_MESH_CONFIG, keySetOf: () => undefined };
  return compileWorkload(input).bundle;
}

/** Clients of both families to ports 8080 and 7000; to 9090 only over IPv6. */
const BUNDLE = compile({
  rules: [
    {
      from: [{ source: { ipBlocks: [CLIENT_IPV4, CLIENT_IPV6] } }],
      to: [{ operation: { ports: ['8080', '7000'] } }],
      when: [{ key: 'destination.ip', values: [POD_IPV4, POD_IPV6] }],
    },
    { to: [{ operation: { ports: ['2525', '6379'] } }], from: [{ source: { ipBlocks: [CLIENT_IPV4, CLIENT_IPV6] } }] },
    { to: [{ operation: { ports: ['9090'] } }], when: [{ key: 'destination.ip', values: [POD_IPV6] }] },
  ],
});

describe('an agent behind the redirect of all ports', () => {
  let network: PodNetwork | undefined;
  let directory = '';
  let log = '';
  const get = async (host: string, port: number): Promise<string> =>
    (network as PodNetwork).script((network as PodNetwork).outside, GET, host, String(port));

  before(async function () {
    this.timeout(300_000);
    await requirePodNetwork(this, 'the agent behind the redirect of all ports');
    network = await createPodNetwork();
    directory = await newFolder();
    const bundle = join(directory, 'bundle');
    await mkdir(bundle);
    await mountVolume(bundle, filesOf(BUNDLE));
    await network.start(network.inside, [process.execPath, '--input-type=module', '-e', APP]);
    await network.script(network.inside, APPLY_REDIRECT, '--all', '15006', '--exclude', '15020');
    const entry = new URL('../../src/main/agent.ts', import.meta.url).pathname;
    const agent = await network.start(network.inside, [...agentCommand(), entry], {
      ...process.env,
      POD_IP: POD_IPV4,
      POD_NAMESPACE: 'foo',
      SALLYPORT_WORKLOAD: 'httpbin',
      SALLYPORT_CAPTURE_PORT: '15006',
      SALLYPORT_BUNDLE_DIR: bundle,
    });
    agent.stdout?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
  });

  after(async () => {
    await network?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const rows: readonly (readonly [string, string, number, string])[] = [
    ['a port over IPv4', POD_IPV4, 8080, '200 app 8080'],
    ['a port over IPv6', POD_IPV6, 8080, '200 app 8080'],
    ['another port, which policies allow over IPv6 only', POD_IPV6, 9090, '200 app 9090'],
    ['that port over IPv4', POD_IPV4, 9090, '403 RBAC: access denied'],
    ['the port of the agent itself', POD_IPV4, 15_006, 'ECONNRESET'],
    ['the port of the agent itself over IPv6', POD_IPV6, 15_006, 'ECONNRESET'],
    ['a port that no policy allows', POD_IPV4, 6000, '403 RBAC: access denied'],
  ];
  for (const [name, host, port, answer] of rows) {
    it(`answers ${answer} to ${name}`, async () => {
      expect(await get(host, port)).to.equal(answer);
    });
  }

  it('passes TCP through to servers that speak first or second, over both families, and closes what is denied', async () => {
    const { script, outside } = network as PodNetwork;
    for (const host of [POD_IPV4, POD_IPV6]) {
      expect(await script(outside, TCP, host, '2525')).to.equal('220 mail');
      expect(await script(outside, TCP, host, '6379', '\u0001PING')).to.equal('\u0001PING');
    }
    expect(await script(outside, TCP, POD_IPV4, '9090', '\u0001PING')).to.match(/^(?:ECONNRESET)?$/);
    while (!log.includes('"message":"connection","decision":"deny"')) await sleep(20);
  });

  it('does not reach what listens on the loopback address only', async () => {
    expect(await get(POD_IPV4, 7000)).to.match(/^503 /);
  });

  it('refuses a connection whose original destination is not an address of the pod', async () => {
    const { outside, inside, execute } = network as PodNetwork;
    await execute(outside, 'ip', 'route', 'add', '10.98.7.7/32', 'via', POD_IPV4);
    await execute(inside, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');

    expect(await get('10.98.7.7', 8080)).to.equal('ECONNRESET');
  });

  it('logs the address of the client and the port that it asked for', async () => {
    await get(POD_IPV6, 8080);
    const lines = () =>
      log
        .split('\n')
        .filter((line) => line.includes('"component":"access"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    while (!lines().some((line) => line['client.address'] === CLIENT_IPV6 && line['server.port'] === 8080)) {
      await sleep(20);
    }
    expect(log).to.match(/port 15006 is the agent's own|was not redirected/);
  });
});
