/*
 * A whole agent with the real filter chain: the JWT task over raw sockets, closed until its first bundle, a changed bundle for the next
 * request, several agents in one process, the agent as a process with SIGTERM.
 */

import { spawn } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../../src/agent/agent.ts';
import type { AgentOptions } from '../../../src/agent/agent-options.ts';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { systemClock } from '../../../src/clock.ts';
import { compileWorkload } from '../../../src/compile/compile-workload.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { selectFrom } from '../../support/select-policies.ts';
import { DENY_ALL, filesOf, mountVolume, newFolder, simpleBundle } from './bundles.ts';
import { RawClient, talk } from './loopback.ts';

const ISSUER = 'https://issuer.example';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }] });

function tokenOf(claims: object, key: KeyObject = privateKey): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', kid: 'k1', typ: 'JWT' })}.${part({ iss: ISSUER, sub: 'alice', ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

type Spec = readonly ['RequestAuthentication' | 'AuthorizationPolicy', object];

function compile(...specs: readonly Spec[]): Bundle {
  const policies = specs.map(([kind, spec], at) => {
    const { value, findings } = parsePolicy({
      apiVersion: 'security.istio.io/v1',
      kind,
      metadata: { name: `p${at}`, namespace: 'foo' },
      spec,
    });
    if (value === undefined) throw new Error(findings[0]?.message);
    return value;
  });
  const input = {
    workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
    labelSets: [{}],
    policiesFor: selectFrom(policies),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  };
  return compileWorkload(input).bundle;
}

const authentication: Spec = [
  'RequestAuthentication',
  { jwtRules: [{ issuer: ISSUER, jwks, outputClaimToHeaders: [{ header: 'x-name', claim: 'name' }] }] },
];
const principal: Spec = ['AuthorizationPolicy', { rules: [{ from: [{ source: { requestPrincipals: [`${ISSUER}/alice`] } }] }] }];
const group: Spec = [
  'AuthorizationPolicy',
  { rules: [{ from: [{ source: { requestPrincipals: ['*'] } }], when: [{ key: 'request.auth.claims[groups]', values: ['g1'] }] }] },
];

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

let dir = '';
let bundleDir = '';
let app: Server;
let appPort = 0;
let seen: IncomingMessage[] = [];
const agents: RunningAgent[] = [];
const stop = new AbortController();

const options = (over: Partial<AgentOptions> = {}): AgentOptions => ({
  bundleDir,
  workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
  labelsFile: undefined,
  labels: undefined,
  stateDir: undefined,
  pollMs: 1000,
  ports: [{ listenPort: 0, appPort }],
  listenHost: '127.0.0.1',
  appHost: '127.0.0.1',
  destinationIp: '10.1.2.3',
  blockedPort: 0,
  admin: { host: '127.0.0.1', port: 0 },
  appProbes: { 'app/readyz': { httpGet: { port: appPort } } },
  accessLog: undefined,
  drainMs: 50,
  logger: createLogger({ level: 'silent', component: 'test' }),
  processMetrics: false,
  ...over,
});
async function start(over: Partial<AgentOptions> = {}): Promise<RunningAgent> {
  const agent = await startAgent(options(over), stop.signal);
  agents.push(agent);
  return agent;
}
async function ask(
  agent: RunningAgent,
  headers: Record<string, string> = {},
  path = '/headers',
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${agent.ports[0]}${path}`, { headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
}
const admin = async (agent: RunningAgent, path: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(`http://127.0.0.1:${agent.adminPort}${path}`);
  return { status: response.status, text: await response.text() };
};

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(async () => {
    dir = await newFolder();
    bundleDir = join(dir, 'bundle');
    await mkdir(bundleDir);
    seen = [];
    app = createServer((request, response) => {
      seen.push(request);
      response.end('app');
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    appPort = (app.address() as AddressInfo).port;
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    app.close();
    app.closeAllConnections();
    await rm(dir, { recursive: true });
  });
}

describe('agent: requests', () => {
  setUp();

  it('is closed until its first bundle, then ready', async () => {
    const agent = await start();
    expect((await ask(agent)).status).to.equal(503);
    expect((await admin(agent, '/readyz')).status).to.equal(503);
    expect((await admin(agent, '/healthz')).status).to.equal(200);

    await mountVolume(bundleDir, filesOf(compile()));
    await agent.ready(AbortSignal.timeout(60_000));
    expect(await ask(agent)).to.include({ status: 200, text: 'app' });
    expect((await admin(agent, '/readyz')).status).to.equal(200);
    expect(agent.digest()).to.match(/^sha256:/);
  });

  it('passes a port of protocol tcp through under the TCP form of the policies', async () => {
    const request = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    await mountVolume(bundleDir, filesOf(compile()));
    const agent = await start({ appProtocols: new Map([[appPort, 'tcp']]) });
    expect(await talk(agent.ports[0] ?? 0, request)).to.match(/^HTTP\/1.1 200 [^]*app/);
    // Counted when both sides are closed.
    const counted = 'sallyport_agent_tcp_connections_total{action="allow",reason="no-allow-policy"} 1';
    while (!agent.metrics.text().includes(counted)) await sleep(1);

    // A rule on request principals has no form for TCP, so nothing is allowed.
    await mountVolume(bundleDir, filesOf(compile(principal)));
    const denying = await start({ appProtocols: new Map([[0, 'tcp']]) });
    expect(await talk(denying.ports[0] ?? 0, request)).to.equal('');
  });

  it('answers 503 and is never ready when it captures connections and cannot read where they lead', async () => {
    await mountVolume(bundleDir, filesOf(compile()));
    const agent = await start({ ports: [], capturePort: 0, originalDestination: { problem: 'no node:ffi' } });
    expect(await ask(agent)).to.include({ status: 503, text: 'the agent cannot read the original destination' });
    expect(await admin(agent, '/readyz')).to.deep.include({ status: 503, text: '[-]capture failed: no node:ffi\nnot ready\n' });
    expect((await admin(agent, '/healthz')).status).to.equal(200);
  });

  it('enforces the policies of the JWT task', async () => {
    await mountVolume(bundleDir, filesOf(compile(authentication, principal)));
    const agent = await start();

    expect(await ask(agent, bearer(tokenOf({ name: 'Zo\u00eb' })))).to.include({ status: 200 });
    expect(seen[0]?.headers).to.not.have.property('authorization');
    expect(Buffer.from(String(seen[0]?.headers['x-name']), 'latin1').toString()).to.equal('Zo\u00eb');
    expect(seen[0]?.rawHeaders.filter((name) => name === 'x-request-id')).to.have.length(1);
    const denied = await ask(agent);
    expect(denied).to.include({ status: 403, text: 'RBAC: access denied' });
    expect(denied.headers.get('server')).to.equal('istio-envoy');
    const invalid = await ask(agent, { authorization: 'Bearer invalidToken' });
    expect(invalid).to.include({ status: 401, text: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections' });
    expect(invalid.headers.get('www-authenticate')).to.equal(
      `Bearer realm="http://127.0.0.1:${agent.ports[0]}/headers", error="invalid_token"`,
    );
    expect((await ask(agent, bearer(tokenOf({ exp: 1 })))).text).to.equal('Jwt is expired');
    expect((await ask(agent, bearer(tokenOf({}, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)))).text).to.equal(
      'Jwt verification fails',
    );
    expect(seen).to.have.length(1);
  });

  it('writes replies exactly as Envoy does', async () => {
    await mountVolume(bundleDir, filesOf(compile(authentication, principal)));
    const agent = await start();
    const text = await talk(
      agent.ports[0] ?? 0,
      'POST /a?b HTTP/1.1\r\nHost: h:80\r\nAuthorization: Bearer x\r\nContent-Length: 3\r\n\r\nabc',
    );
    expect(text.replace(/date: [^\r]+/, 'date: now')).to.equal(
      'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm="http://h:80/a?b", error="invalid_token"\r\ncontent-length: 79\r\n' +
        'content-type: text/plain\r\ndate: now\r\nserver: istio-envoy\r\nconnection: close\r\n\r\n' +
        'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
    );
  });

  it('evaluates the next request on an open connection by the new bundle', async () => {
    await mountVolume(bundleDir, filesOf(compile(authentication)));
    const agent = await start();
    const client = new RawClient(agent.ports[0] ?? 0);
    const request = `GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${tokenOf({ groups: ['g2'] })}\r\n\r\n`;
    await client.send(request).until((text) => text.includes('app'));
    const before = agent.digest();
    await mountVolume(bundleDir, filesOf(compile(authentication, group)));
    while (agent.digest() === before) await sleep(2);
    expect(await client.send(request).until((text) => text.includes('denied'))).to.match(/HTTP\/1.1 200[^]*HTTP\/1.1 403/);
    client.socket.destroy();
  });

  it('ends open streams by the new bundle and at the end of their token, where it is to', async () => {
    let wallMs = Date.now();
    app.removeAllListeners('request');
    app.on('request', (_request: IncomingMessage, response: ServerResponse) => void response.write('event'));
    await mountVolume(bundleDir, filesOf(compile(authentication)));
    const agent = await start({ reevaluateStreams: true, clock: { ...systemClock, wallMs: () => wallMs } });
    const open = async (claims: object): Promise<RawClient> => {
      const client = new RawClient(agent.ports[0] ?? 0);
      client.send(`GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${tokenOf(claims)}\r\n\r\n`);
      await client.until((text) => text.includes('event'));
      return client;
    };
    const expiring = await open({ exp: Math.floor(wallMs / 1000) + 100, groups: ['g1'] });
    const [kept, denied] = [await open({ groups: ['g1'] }), await open({ groups: ['g2'] })];
    await mountVolume(bundleDir, filesOf(compile(authentication, group)));
    await denied.untilClosed();
    wallMs += 200_000;
    await expiring.untilClosed();

    expect(kept.closed).to.equal(false);
    kept.socket.destroy();
    const revoked = 'sallyport_agent_streams_revoked_total';
    expect(agent.metrics.text()).to.include(`${revoked}{reason="denied"} 1\n`).and.to.include(`${revoked}{reason="token-expired"} 1\n`);
  });
});

describe('agent: reporting', () => {
  setUp();

  it('counts decisions and shows the active bundle, but no part of a request', async () => {
    await mountVolume(bundleDir, filesOf(compile(authentication, principal)));
    const agent = await start();
    await ask(agent, bearer(tokenOf({})), '/secret-path');
    await ask(agent, { 'x-secret': 'secret' }, '/secret-path?secret');
    await ask(agent, bearer('x'));
    await mountVolume(bundleDir, { 'bundle.json': '{}', 'bundle.sha256': 'x' });
    while (!agent.metrics.text().includes('bundle_refused_total{')) await sleep(2);
    const { text } = await admin(agent, '/metrics');

    expect(text).to.include('sallyport_agent_decisions_total{action="allow",reason="allow-rule"} 1\n');
    expect(text).to.include('sallyport_agent_decisions_total{action="deny",reason="no-allow-rule-matched"} 1\n');
    expect(text).to.include('sallyport_agent_decisions_total{action="unauthenticated",reason="jwt"} 1\n');
    expect(text).to.include('sallyport_agent_policy_decisions_total{policy="none",action="deny"} 1\n');
    expect(text).to.include('sallyport_agent_policy_decisions_total{policy="foo/p1",action="allow"} 1\n');
    expect(text).to.include('sallyport_agent_policy_decisions_total{policy="foo/p0",action="unauthenticated"} 1\n');
    expect(text).to.include(`sallyport_agent_bundle_info{digest="${agent.digest()}"} 1\n`);
    expect(text).to.include('sallyport_agent_bundle_refused_total{code="SP_BUNDLE_UNREADABLE"} 1\n');
    expect(text).to.match(/sallyport_agent_decision_seconds_count 3\n/);
    expect(text).not.to.match(/secret|alice/);
  });

  it('runs the probes of the application without evaluating policies', async () => {
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    const agent = await start();
    expect((await ask(agent)).status).to.equal(403);
    expect((await admin(agent, '/app-health/app/readyz')).status).to.equal(200);
    expect((await admin(agent, '/app-health/__proto__')).status).to.equal(404);
    app.close();
    app.closeAllConnections();
    expect((await admin(agent, '/app-health/app/readyz')).status).to.equal(500);
  });
});

describe('agent: starting and stopping', () => {
  setUp();

  it('runs next to other agents in one process', async () => {
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    const other = join(dir, 'other');
    await mkdir(other);
    await mountVolume(other, filesOf(compile()));
    const [one, two] = [await start(), await start({ bundleDir: other })];
    expect([(await ask(one)).status, (await ask(two)).status]).to.deep.equal([403, 200]);
    expect(one.metrics.text()).not.to.include('action="allow"');
  });

  it('fails to start when a port is in use, and leaves none open', async () => {
    const first = await start();
    const taken = first.ports[0] ?? 0;
    const failed = await startAgent(
      options({
        ports: [
          { listenPort: 0, appPort },
          { listenPort: taken, appPort },
        ],
      }),
      stop.signal,
    ).catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'EADDRINUSE');
  });

  it('stops waiting for a policy when the signal aborts', async () => {
    const agent = await start();
    const failed = await agent.ready(AbortSignal.timeout(5)).catch((error: unknown) => error);
    expect(failed).to.have.property('name', 'TimeoutError');
  });

  it('serves as a process, logs decisions to stdout, and exits with status 0 on SIGTERM', async function () {
    this.timeout(120_000);
    await mountVolume(bundleDir, filesOf(compile(authentication, principal)));
    const main = new URL('../../../src/main/agent.ts', import.meta.url).pathname;
    const flags = [
      '--ports',
      `0:${appPort}`,
      '--admin-port',
      '0',
      '--bundle-dir',
      bundleDir,
      '--workload',
      'httpbin',
      '--namespace',
      'foo',
    ];
    const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const lines = (): Record<string, unknown>[] =>
      output
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    while (!output.includes('agent listens')) await sleep(10);
    const [port] = (lines().find((line) => line['message'] === 'agent listens')?.['ports'] ?? []) as number[];
    const response = await fetch(`http://127.0.0.1:${port}/x`);
    expect(response.status).to.equal(403);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];

    expect(code).to.equal(0);
    expect(lines().find((line) => line['component'] === 'access')).to.include({
      decision: 'deny',
      'url.path': '/x',
      reason: 'no-allow-rule-matched',
      'nearest.policy': 'foo/p1',
      'nearest.rule': 0,
      'nearest.clause': 'from[0].source.requestPrincipals',
      'nearest.failing': 1,
    });
    expect(lines().at(-1)).to.include({ message: 'agent stopped' });
  });

  it('exits with status 78 and names the setting when the configuration is invalid', async () => {
    const main = new URL('../../../src/main/agent.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, '--ports', 'x'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).to.equal(78);
    expect(output).to.include('--ports (SALLYPORT_PORTS)');
  });
});
