/*
 * Fetches with settings of single servers: private authorities, a header that the server demands, a proxy with CONNECT and credentials, and
 * a slow server, all of them real and over loopback. What other servers get to see, also after redirects.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Server } from 'node:net';
import { expect } from 'chai';
import type { KeyServer } from '../../../src/api/key-servers.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { type FetchLimits, fetchDocument } from '../../../src/jwks/fetch-document.ts';
import { FetchFailure, FetchTrail } from '../../../src/jwks/fetch-failure.ts';
import { fetchKeys } from '../../../src/jwks/fetch-keys.ts';
import { createJwksCache } from '../../../src/jwks/jwks-cache.ts';
import { resolveServers, type ServerOf } from '../../../src/jwks/server-settings.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../src/webhook/certs/issue.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';
import { freshJwks } from '../../support/key-server.ts';

const TOKEN = 'Bearer of-the-operator';
const DISCOVERY = '/.well-known/openid-configuration';
const HEADERS = [{ name: 'Authorization', valueFrom: { secretKeyRef: { name: 'idp', key: 'token' } } }];

interface TestServer {
  readonly origin: string;
  /** `authorization` of each request, by URL. */
  readonly seen: (readonly [url: string, authorization: string | undefined])[];
  answer: (request: IncomingMessage) => { readonly status?: number; readonly location?: string; readonly body?: string } | undefined;
}

describe('fetches with settings of a server', () => {
  const servers: Server[] = [];
  let authority: KeyPair;
  let serving: KeyPair;

  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  /** A server of the private authority. */
  const startServer = async (host: string): Promise<TestServer> => {
    const seen: [string, string | undefined][] = [];
    const port = await listen(
      createTlsServer({ key: serving.keyPem, cert: serving.certPem }, (request, response) => {
        seen.push([request.url ?? '', request.headers.authorization]);
        const answer = server.answer(request);
        if (answer === undefined) return;
        response.writeHead(answer.status ?? 200, answer.location === undefined ? {} : { location: answer.location }).end(answer.body);
      }),
    );
    const server: TestServer = { origin: `https://${host}:${port}`, seen, answer: () => ({ body: 'document' }) };
    return server;
  };
  const limitsWith = (settings: readonly KeyServer[], secret = TOKEN): FetchLimits => ({
    guards: createAddressGuards({ blockedCidrs: ['192.0.2.0/24'], isLocal: true }),
    maxBytes: 1 << 20,
    maxRedirects: 3,
    resolveHost: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    serverOf: resolveServers(settings, () => ({ value: secret })).serverOf,
  });
  const fetchWith = async (url: string, limits: FetchLimits): Promise<string> => {
    const guard = limits.guards('foo');
    const context = { limits, guard, trail: new FetchTrail(url, guard), signal: AbortSignal.timeout(10_000) };
    return (await fetchDocument(url, context)).text;
  };
  const failureOf = (url: string, limits: FetchLimits): Promise<string> =>
    fetchWith(url, limits).then(
      (text) => `fetched ${text}`,
      (error: unknown) => (error as Error).message,
    );

  before(async () => {
    authority = await issueAuthority(Date.now(), 3_600_000);
    serving = await issueServing(authority, ['idp.test', 'other.test'], { nowMs: Date.now(), validMs: 3_600_000 });
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('trust its authorities in place of all others, and for no other server', async () => {
    const [idp, other] = [await startServer('idp.test'), await startServer('other.test')];
    const foreign = await issueAuthority(Date.now(), 3_600_000);
    const settings = [{ url: idp.origin, caBundle: authority.certPem }];
    expect(await fetchWith(`${idp.origin}/keys`, limitsWith(settings))).to.equal('document');
    expect(await failureOf(`${other.origin}/keys`, limitsWith(settings))).to.include('name its authority in jwks.caFile');
    const pinned = { ...limitsWith([{ url: idp.origin, caBundle: foreign.certPem }]), trustedCa: [authority.certPem] };
    expect(await failureOf(`${idp.origin}/keys`, pinned)).to.include('its caBundle in jwks.servers does not name its authority');
    expect(await fetchWith(`${other.origin}/keys`, pinned)).to.equal('document');
  });

  it('send its headers to the keys and to the document that names them', async () => {
    const idp = await startServer('idp.test');
    idp.answer = ({ url, headers }) => {
      if (headers.authorization !== TOKEN) return { status: 401 };
      const body = url === DISCOVERY ? { jwks_uri: `${idp.origin}/keys` } : freshJwks('one');
      return { body: JSON.stringify(body) };
    };
    const limits = limitsWith([{ url: idp.origin, caBundle: authority.certPem, headers: HEADERS }]);
    const source = { kind: 'discovery', url: `${idp.origin}${DISCOVERY}` } as const;
    const { keySet } = await fetchKeys(source, { limits, guard: limits.guards('foo') }, AbortSignal.timeout(10_000));
    expect(keySet.keys.map((key) => key['kid'])).to.deep.equal(['one']);
    expect(idp.seen).to.deep.equal([
      [DISCOVERY, TOKEN],
      ['/keys', TOKEN],
    ]);
  });

  it('send no headers to another origin, however a fetch gets there, nor after the way back', async () => {
    const [idp, other] = [await startServer('idp.test'), await startServer('other.test')];
    const limits = { ...limitsWith([{ url: `${idp.origin}/in`, headers: HEADERS }]), trustedCa: [authority.certPem] };
    idp.answer = ({ url }) =>
      url === '/in/away'
        ? { status: 302, location: `${other.origin}/x` }
        : url === '/in/here'
          ? { status: 302, location: '/in/keys' }
          : { body: 'ok' };
    other.answer = () => ({ status: 302, location: `${idp.origin}/in/back` });
    await fetchWith(`${idp.origin}/in/away`, limits);
    await fetchWith(`${other.origin}/y`, limits);
    await fetchWith(`${idp.origin}/in/here`, limits);
    await fetchWith(`${idp.origin}/out`, limits);
    // Another name of the same address is another origin.
    await failureOf(idp.origin.replace('idp.test', 'other.test'), limits);
    expect(other.seen.map(([, authorization]) => authorization)).to.deep.equal([undefined, undefined]);
    expect(idp.seen).to.deep.equal([
      ['/in/away', TOKEN],
      ['/in/back', undefined],
      ['/in/back', undefined],
      ['/in/here', TOKEN],
      ['/in/keys', TOKEN],
      ['/out', undefined],
      ['/', undefined],
    ]);
  });

  it('hide what the server says to its headers from authors of policies, and the headers from logs', async () => {
    const idp = await startServer('idp.test');
    idp.answer = () => ({ status: 403 });
    const settings = [{ url: idp.origin, caBundle: authority.certPem, headers: HEADERS }];
    const open = limitsWith(settings);
    const guard = { scope: '', isLocal: false, refusalOf: () => undefined, isInternal: () => false };
    const failed = await fetchDocument(`${idp.origin}/keys`, {
      limits: open,
      guard,
      trail: new FetchTrail(`${idp.origin}/keys`, guard),
      signal: AbortSignal.timeout(10_000),
    }).catch((error: unknown) => error as FetchFailure);
    if (!(failed instanceof FetchFailure)) throw new Error('no failure');
    expect(failed.message).to.equal(`${idp.origin}/keys responded with status 403`);
    expect(failed.publicMessage).to.equal(`${idp.origin}/keys could not be fetched; the controller's log says why`);
    expect(JSON.stringify([failed, failed.stack])).not.to.include('operator');
  });

  it('fetch nothing while a reference cannot be used', async () => {
    const idp = await startServer('idp.test');
    const { serverOf } = resolveServers([{ url: idp.origin, headers: HEADERS }], () => ({ problem: 'gone' }));
    const limits = { ...limitsWith([]), trustedCa: [authority.certPem], serverOf };
    expect(await failureOf(`${idp.origin}/keys`, limits)).to.include('is not fetched: its settings in jwks.servers cannot be used');
    expect(idp.seen).to.deep.equal([]);
  });

  it('go through its proxy, by a tunnel, with credentials, and still not to forbidden addresses', async () => {
    const idp = await startServer('idp.test');
    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      tunnels.push(`${request.url} ${request.headers['proxy-authorization']} ${request.headers.authorization}`);
      const upstream = connect(Number(new URL(idp.origin).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    const proxyUrl = `http://user:pw@127.0.0.1:${await listen(proxy)}`;
    const proxyFrom = { secretKeyRef: { name: 'proxy', key: 'url' } };
    const settings = ['https://idp.test', 'https://192.0.2.7'].map((url) => ({ url, caBundle: authority.certPem, proxyFrom }));
    const limits = limitsWith(settings, proxyUrl);
    expect(await fetchWith('https://idp.test/keys', limits)).to.equal('document');
    expect(tunnels).to.deep.equal([`idp.test:443 Basic ${Buffer.from('user:pw').toString('base64')} undefined`]);
    expect(await failureOf('https://192.0.2.7/keys', limits)).to.include('must not be dialled');
    expect(tunnels).to.have.length(1);
  });
});

describe('a key cache with settings of servers', () => {
  it('waits for a slow server as long as its settings say, and fetches again with new ones', async () => {
    const clock = createFakeClock();
    const held: (() => void)[] = [];
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      held.push(() => response.end(JSON.stringify(freshJwks(`key-${requests}`))));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    let serverOf: ServerOf = resolveServers([{ url: origin, timeout: 20_000 }], () => ({ value: '' })).serverOf;
    const guards = createAddressGuards({ blockedCidrs: [], isLocal: true });
    const limits: FetchLimits = { guards, maxBytes: 1 << 20, maxRedirects: 0, serverOf: (target) => serverOf(target) };
    const cache = createJwksCache({ limits, clock, random: () => 1, logger: createLogger({ level: 'silent', component: 'test' }) });
    const rule = { issuer: 'me', jwksUri: `${origin}/keys`, timeoutMs: 1_000 };
    const stopping = new AbortController();
    const running = cache.run(stopping.signal);
    cache.want('policy', 'foo', [rule]);
    const kid = (): unknown => cache.keySetOf(rule, { policy: 'foo', bundle: 'foo' })?.keys[0]?.['kid'];
    try {
      await until(() => held.length === 1, 'the first request');
      clock.advance(19_000);
      held[0]?.();
      await until(() => kid() === 'key-1', 'the key');

      // As when a Secret has changed; twice, which is one fetch.
      serverOf = resolveServers([{ url: origin, timeout: 500 }], () => ({ value: '' })).serverOf;
      cache.refetchAll();
      cache.refetchAll();
      clock.advance(0);
      await until(() => held.length === 2, 'the second request');
      clock.advance(501);
      await until(() => cache.stateOf(rule, 'foo').kind === 'stale', 'the failure');
      expect([kid(), requests]).to.deep.equal(['key-1', 2]);
    } finally {
      stopping.abort();
      await running;
      server.close();
      server.closeAllConnections();
    }
  });
});
