/*
 * Settings of single key servers on a real API server: a controller fetches from a server with a private authority that demands a header,
 * through a proxy that demands credentials, with what Secrets and ConfigMaps hold at the time. Mistakes are reported where the author of
 * the configuration looks, and secret values appear nowhere.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect } from 'chai';
import { collectReport } from '../../src/cli/live/bug-report.ts';
import { readConfigurationProblems } from '../../src/cli/live/configuration-problems.ts';
import { issueAuthority, issueServing } from '../../src/webhook/certs/issue.ts';
import { RA, setUp } from '../support/controller-stage.ts';
import { freshJwks, ownAddress } from '../support/key-server.ts';

const SYSTEM = 'sallyport-system';
const ORIGIN = 'https://idp.test';
/** As the chart grants them. */
const SECRETS_RULE = { apiGroups: [''], resources: ['secrets'], resourceNames: ['idp', 'proxy'], verbs: ['get', 'list', 'watch'] };
const CONFIG = {
  jwks: {
    refresh: '1s',
    servers: [
      {
        url: ORIGIN,
        caBundleFrom: { configMapKeyRef: { name: 'idp-ca', key: 'ca.crt' } },
        proxyFrom: { secretKeyRef: { name: 'proxy', key: 'url' } },
        headers: [{ name: 'x-api-key', valueFrom: { secretKeyRef: { name: 'idp', key: 'token' } } }],
      },
    ],
  },
};

describe('settings of key servers on a real API server', function () {
  this.timeout(180_000);
  const at = setUp();
  const servers: Server[] = [];
  let directory: string;
  let authorityPem: string;
  let proxyUrl: string;
  /** What the server demands, and the key that it serves. */
  let [demanded, kid] = ['secret-one', 'key-one'];
  let refusals = 0;
  const tunnels: (string | undefined)[] = [];
  /** Both ends of each tunnel. */
  const tunnelled = new Set<Duplex>();

  const listen = async (server: Server, address: string): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return (server.address() as AddressInfo).port;
  };
  const secret = (name: string, data: Readonly<Record<string, string>>): Promise<unknown> =>
    at.cluster.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: SYSTEM, name }, stringData: data });
  const problems = async (): Promise<readonly string[]> => {
    const found = await readConfigurationProblems({ client: at.cluster.client }, { namespace: SYSTEM, nowMs: Date.now() });
    return found?.map(({ message }) => message) ?? [];
  };
  const isValid = (): Promise<number | undefined> => at.controller.metric('sallyport_config_last_reload_successful');

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-key-servers-'));
    const authority = await issueAuthority(Date.now(), 3_600_000);
    const serving = await issueServing(authority, ['idp.test'], { nowMs: Date.now(), validMs: 3_600_000 });
    authorityPem = authority.certPem;
    const idpPort = await listen(
      createTlsServer({ key: serving.keyPem, cert: serving.certPem }, (request, response) => {
        const isAllowed = request.headers['x-api-key'] === demanded;
        if (!isAllowed) refusals += 1;
        response.writeHead(isAllowed ? 200 : 401).end(isAllowed ? JSON.stringify(freshJwks(kid)) : '');
      }),
      '127.0.0.1',
    );
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      tunnelled.add(socket);
      tunnels.push(request.headers['proxy-authorization']);
      const upstream = connect(idpPort, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      tunnelled.add(upstream);
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    const address = ownAddress();
    proxyUrl = `http://sallyport:secret-password@${address}:${await listen(proxy, address)}`;
    await at.cluster.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { namespace: SYSTEM, name: 'key-servers' },
      rules: [SECRETS_RULE],
    });
    await at.cluster.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace: SYSTEM, name: 'key-servers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'key-servers' },
      subjects: [{ kind: 'ServiceAccount', name: 'sallyport', namespace: SYSTEM }],
    });
    await at.cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: SYSTEM, name: 'sallyport' } });
    const file = join(directory, 'config.yaml');
    await writeFile(file, JSON.stringify(CONFIG));
    await at.stop(at.controller);
    at.controller = await at.start('two', { SALLYPORT_CONFIG: file, SALLYPORT_CONFIG_MAP: 'sallyport' });
    await at.see(async () => (await at.controller.get('/readyz')).status === 200, 'readiness');
    await at.see(
      async () => (await at.controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1,
      'leadership',
    );
  });
  after(async () => {
    for (const socket of tunnelled) socket.destroy();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    await rm(directory, { recursive: true });
  });

  it('are named while they cannot be used, take effect when objects come and change, and stay secret', async () => {
    const policy = { selector: { matchLabels: { app: 'httpbin' } }, jwtRules: [{ issuer: 'me', jwksUri: `${ORIGIN}/keys` }] };
    await at.cluster.policy(RA, 'jwt', at.ns, policy);
    await at.guardedPod();

    await at.see(async () => (await problems()).length === 1 && (await isValid()) === 0, 'the report');
    const [message] = await problems();
    for (const [setting, object] of [
      ['caBundleFrom', 'ConfigMap "idp-ca"'],
      ['proxyFrom', 'Secret "proxy"'],
      ['headers.0.valueFrom', 'Secret "idp"'],
    ]) {
      expect(message).to.include(`jwks.servers.0.${setting}: ${object} in namespace ${SYSTEM} does not exist`);
    }
    expect(message).to.match(/; no keys are fetched from these servers until it is corrected$/);
    await at.see(async () => (await at.readyReason(RA, 'jwt')) === 'KeysUnavailable', 'the condition');
    expect(tunnels).to.deep.equal([]);

    await secret('proxy', { url: `${proxyUrl}\n` });
    await secret('idp', { token: `${demanded}\n`, unrelated: 'secret-unrelated' });
    const data = { 'ca.crt': authorityPem };
    await at.cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: SYSTEM, name: 'idp-ca' }, data });
    await at.see(async () => (await at.kidsOf()).includes('key-one'), 'the first key');
    await at.see(async () => (await problems()).length === 0 && (await isValid()) === 1, 'the correction');
    expect([refusals, new Set(tunnels)]).to.deep.equal([
      0,
      new Set([`Basic ${Buffer.from('sallyport:secret-password').toString('base64')}`]),
    ]);

    [demanded, kid] = ['secret-two', 'key-two'];
    await at.see(() => Promise.resolve(refusals > 0), 'the refusal of the old header');
    await secret('idp', { token: demanded });
    await at.see(async () => (await at.kidsOf()).includes('key-two'), 'the key with the new header');

    const report = await collectReport({ client: at.cluster.client } as Parameters<typeof collectReport>[0], {
      system: SYSTEM,
      logLines: 100,
    });
    const [configMaps, events, metrics] = [
      await at.cluster.client.request({ method: 'GET', path: '/api/v1/configmaps' }),
      [...(await at.cluster.events(SYSTEM)), ...(await at.cluster.events(at.ns))],
      (await at.controller.get('/metrics')).text,
    ];
    const said = JSON.stringify([at.controller.log, configMaps.json, events, metrics, [...report]]);
    for (const value of [
      'secret-one',
      'secret-two',
      'secret-password',
      'secret-unrelated',
      Buffer.from('secret').toString('base64').slice(0, 7),
    ])
      expect(said.includes(value), value).to.equal(false);
  });
});
