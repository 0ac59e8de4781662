/*
 * A whole agent whose bundle has CUSTOM policies: from policy and mesh settings to what application and client receive.
 */

import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../../../src/agent/agent.ts';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../../../../src/api/mesh-config.ts';
import { compileWorkload } from '../../../../src/compile/compile-workload.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { selectFrom } from '../../../support/select-policies.ts';
import { filesOf, mountVolume, newFolder } from '../bundles.ts';
import { type HttpFake, providerOf, startHttpFake } from './checks.ts';
import { type GrpcFake, startGrpcFake } from './fake-grpc-server.ts';

interface CustomPolicy {
  readonly provider: string;
  readonly paths: readonly string[];
}

describe('an agent with ext_authz servers', () => {
  let dir = '';
  let app: Server;
  let agent: RunningAgent | undefined;
  let http: HttpFake;
  let grpc: GrpcFake;
  let seen: { readonly request: IncomingMessage; readonly body: string }[] = [];
  const stop = new AbortController();

  beforeEach(async () => {
    dir = await newFolder();
    await mkdir(join(dir, 'bundle'));
    seen = [];
    app = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        seen.push({ request, body });
        response.setHeader('set-cookie', 'app=1');
        response.end('app');
      });
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    http = await startHttpFake((response, { body, headers }) => {
      if (body === 'evil' || headers.includes('Bearer evil'))
        response.writeHead(401, { 'www-authenticate': 'Basic', 'content-type': 'text/html' }).end('<p>');
      else response.writeHead(200, { 'x-user': 'me', 'set-cookie': 'session=2', 'x-envoy-auth-headers-to-remove': 'authorization' }).end();
    });
    grpc = await startGrpcFake(({ attributes }, answer) => {
      const { headers } = attributes.request.http;
      answer(null, { status: { code: headers['x-user'] === 'me' ? 0 : 7 }, ok_response: { query_parameters_to_remove: ['secret'] } });
    });
  });
  afterEach(async () => {
    await agent?.stop();
    agent = undefined;
    app.close();
    app.closeAllConnections();
    await http.close();
    grpc.close();
    await rm(dir, { recursive: true });
  });

  async function start(policies: readonly CustomPolicy[], providers: readonly ExtensionProvider[]): Promise<string> {
    const mesh: MeshConfig = { ...DEFAULT_MESH_CONFIG, extensionProviders: providers, multipleCustomProviders: true };
    const parsed = policies.map(({ provider, paths }, at) => {
      const spec = { action: 'CUSTOM', provider: { name: provider }, rules: [{ to: [{ operation: { paths } }] }] };
      const { value } = parsePolicy({
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: `p${at}`, namespace: 'foo' },
        spec,
      });
      if (value === undefined) throw new Error('not a policy');
      return value;
    });
    const workload = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };
    const { bundle } = compileWorkload({ workload, labelSets: [{}], policiesFor: selectFrom(parsed), mesh, keySetOf: () => undefined });
    await mountVolume(join(dir, 'bundle'), filesOf(bundle));
    agent = await startAgent(
      {
        bundleDir: join(dir, 'bundle'),
        workload,
        labelsFile: undefined,
        labels: undefined,
        stateDir: undefined,
        pollMs: 1000,
        ports: [{ listenPort: 0, appPort: (app.address() as AddressInfo).port }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: '10.1.2.3',
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        accessLog: undefined,
        drainMs: 500,
        logger: createLogger({ level: 'silent', component: 'test' }),
        processMetrics: false,
      },
      stop.signal,
    );
    return `http://127.0.0.1:${agent.ports[0]}`;
  }

  const web = (): ExtensionProvider =>
    providerOf(http.port, {
      name: 'a-web',
      headersToUpstreamOnAllow: ['x-user'],
      headersToDownstreamOnAllow: ['set-cookie'],
      includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: false, packAsBytes: false },
    });
  const rpc = (): ExtensionProvider => providerOf(grpc.port, { name: 'b-rpc', protocol: 'grpc' });

  it('sends the checks one after the other, and the application gets the changed request', async () => {
    const url = await start(
      [
        { provider: 'a-web', paths: ['*'] },
        { provider: 'b-rpc', paths: ['*'] },
      ],
      [web(), rpc()],
    );
    const headers = { authorization: 'Bearer good', 'x-user': 'forged' };
    const response = await fetch(`${url}/orders?secret=1&id=2`, { method: 'POST', body: 'harmless', headers });

    expect(response.status).to.equal(200);
    expect(response.headers.getSetCookie()).to.deep.equal(['app=1', 'session=2']);
    expect(http.seen[0]).to.deep.include({ method: 'POST', url: '/orders?secret=1&id=2', body: 'harmless' });
    expect(grpc.seen[0]?.attributes.destination.address.socket_address).to.deep.include({ address: '10.1.2.3' });
    expect(seen).to.have.length(1);
    expect(seen[0]?.body).to.equal('harmless');
    expect(seen[0]?.request.url).to.equal('/orders?id=2');
    expect(seen[0]?.request.headers).to.include({ 'x-user': 'me' });
    expect(seen[0]?.request.headers).to.not.have.property('authorization');
  });

  it('sends no check for a request that no rule selects', async () => {
    const url = await start([{ provider: 'a-web', paths: ['/admin'] }], [web()]);
    expect((await fetch(`${url}/open`)).status).to.equal(200);
    expect(http.seen).to.deep.equal([]);
  });

  it('passes the first denial to the client and sends no further check', async () => {
    const url = await start(
      [
        { provider: 'a-web', paths: ['*'] },
        { provider: 'b-rpc', paths: ['*'] },
      ],
      [web(), rpc()],
    );
    const response = await fetch(url, { method: 'POST', body: 'evil' });

    expect(response.status).to.equal(401);
    expect(response.headers.get('www-authenticate')).to.equal('Basic');
    expect(response.headers.get('content-type')).to.equal('text/html');
    expect(await response.text()).to.equal('<p>');
    expect(grpc.seen).to.deep.equal([]);
    expect(seen).to.deep.equal([]);
  });

  it('denies with 403 when the gRPC server denies', async () => {
    const url = await start([{ provider: 'b-rpc', paths: ['*'] }], [rpc()]);
    expect((await fetch(url)).status).to.equal(403);
    expect((await fetch(url, { headers: { 'x-user': 'me' } })).status).to.equal(200);
    expect(seen).to.have.length(1);
  });

  it('answers 413 to a body larger than the provider accepts', async () => {
    const url = await start([{ provider: 'a-web', paths: ['*'] }], [web()]);
    const response = await fetch(url, { method: 'POST', body: '123456789' });
    expect(response.status).to.equal(413);
    expect(await response.text()).to.equal('Payload Too Large');
    expect(seen).to.deep.equal([]);
  });

  it('denies with the error status when the server is down, and allows when the provider fails open', async () => {
    const down = { port: 1, statusOnError: 503 };
    const url = await start(
      [
        { provider: 'closed', paths: ['/closed'] },
        { provider: 'open', paths: ['/open'] },
      ],
      [providerOf(1, { ...down, name: 'closed' }), providerOf(1, { ...down, name: 'open', failOpen: true })],
    );
    const closed = await fetch(`${url}/closed`);
    expect(closed.status).to.equal(503);
    expect(await closed.text()).to.equal('');
    expect((await fetch(`${url}/open`)).status).to.equal(200);
    expect(seen).to.have.length(1);
  });
});
