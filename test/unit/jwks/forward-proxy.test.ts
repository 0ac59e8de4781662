/*
 * Key fetches through a forward proxy: which URLs go through it, with a real proxy and real servers behind it, and what a failure of the
 * proxy is called.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Server as NetServer } from 'node:net';
import { expect } from 'chai';
import { RefusedError } from '../../../src/errors.ts';
import { type FetchContext, type FetchLimits, fetchDocument } from '../../../src/jwks/fetch-document.ts';
import { FetchTrail } from '../../../src/jwks/fetch-failure.ts';
import { readFetchLimits } from '../../../src/jwks/fetch-limits.ts';
import { proxiesOfEnvironment } from '../../../src/jwks/forward-proxy.ts';
import { issueAuthority, issueServing } from '../../../src/webhook/certs/issue.ts';

describe('proxiesOfEnvironment', () => {
  const proxyFor = (env: Readonly<Record<string, string>>, url: string): string | undefined =>
    proxiesOfEnvironment(env)?.(new URL(url))?.href;
  const BOTH = { HTTP_PROXY: 'http://plain:3128', HTTPS_PROXY: 'http://secure:3128' };

  it('names none without variables, and with empty ones', () => {
    expect(proxiesOfEnvironment({})).to.equal(undefined);
    expect(proxiesOfEnvironment({ HTTP_PROXY: '', https_proxy: ' ', NO_PROXY: '*' })).to.equal(undefined);
  });

  it('distinguishes http and https, and reads upper and lower case, with or without a scheme', () => {
    expect(proxyFor(BOTH, 'http://idp.example/keys')).to.equal('http://plain:3128/');
    expect(proxyFor(BOTH, 'https://idp.example/keys')).to.equal('http://secure:3128/');
    expect(proxyFor({ https_proxy: 'proxy:8080' }, 'https://idp.example/')).to.equal('http://proxy:8080/');
    expect(proxyFor({ https_proxy: 'proxy:8080' }, 'http://idp.example/')).to.equal(undefined);
    expect(proxyFor({ HTTP_PROXY: 'https://user:pw@[2001:db8::1]:8443' }, 'http://idp.example/')).to.equal(
      'https://user:pw@[2001:db8::1]:8443/',
    );
  });

  for (const value of ['socks5://proxy:1080', 'http://', '://x', 'proxy:notaport']) {
    it(`refuses ${value}, without showing it`, () => {
      expect(() => proxiesOfEnvironment({ HTTPS_PROXY: value }))
        .to.throw(RefusedError, 'HTTPS_PROXY is not the URL of an HTTP proxy')
        .with.property('code', 'SP_CONFIG');
    });
  }

  for (const [noProxy, url, isDirect] of [
    ['', 'http://localhost/', true],
    ['', 'http://127.0.0.9/', true],
    ['', 'http://[::1]/', true],
    ['', 'http://localhost.example/', false],
    ['*', 'http://idp.example/', true],
    ['idp.example', 'http://idp.example/', true],
    ['idp.example', 'http://IDP.example./', true],
    ['idp.example', 'http://a.idp.example/', true],
    ['idp.example', 'http://other-idp.example/', false],
    ['.idp.example', 'http://a.idp.example/', true],
    ['.idp.example', 'http://idp.example/', false],
    ['*.idp.example', 'http://a.idp.example/', true],
    ['localhost, .svc,.cluster.local', 'https://keycloak.auth.svc/', true],
    ['localhost .svc', 'https://keycloak.auth.svc/', true],
    ['.svc', 'https://keycloak.auth.svc.example/', false],
    ['idp.example:8443', 'https://idp.example:8443/', true],
    ['idp.example:8443', 'https://idp.example/', false],
    ['idp.example:443', 'https://idp.example/', true],
    ['idp.example:80', 'http://idp.example/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['10.0.0.0/8', 'http://[2001:db8::1]/', false],
    ['10.0.0.0/8', 'http://10.example/', false],
    ['2001:db8::/32', 'http://[2001:db8::1]/', true],
    ['192.0.2.1', 'http://192.0.2.1/', true],
    ['192.0.2.1:81', 'http://192.0.2.1/', false],
    ['[2001:db8::1]:80', 'http://[2001:db8::1]/', true],
    ['2001:db8:0::1', 'http://[2001:db8::1]/', true],
  ] as const) {
    it(`fetches ${url} ${isDirect ? 'directly' : 'through the proxy'} with NO_PROXY=${noProxy}`, () => {
      expect(proxyFor({ ...BOTH, NO_PROXY: noProxy }, url) === undefined).to.equal(isDirect);
    });
  }
});

describe('fetches through a forward proxy', () => {
  let proxy: Server;
  let asked: string[] = [];
  let authorizations: (string | undefined)[] = [];
  let refuseWith: number | undefined;
  let tunnelTo = 0;
  let origin = '';
  const servers: NetServer[] = [];

  beforeEach(async () => {
    asked = [];
    authorizations = [];
    refuseWith = undefined;
    const note = (request: IncomingMessage): void => {
      asked.push(`${request.method} ${request.url} host=${request.headers.host}`);
      authorizations.push(request.headers['proxy-authorization']);
    };
    proxy = createServer((request, response) => {
      note(request);
      response.statusCode = refuseWith ?? 200;
      response.end(`document of ${request.url}`);
    });
    proxy.on('connect', (request, socket, head) => {
      note(request);
      if (refuseWith !== undefined) {
        socket.end(`HTTP/1.1 ${refuseWith} No\r\n\r\n`);
        return;
      }
      const server = connect(tunnelTo, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        server.write(head);
        server.pipe(socket).pipe(server);
      });
      server.on('error', () => socket.destroy());
      socket.on('error', () => server.destroy());
    });
    origin = `http://127.0.0.1:${await listen(proxy)}`;
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function listen(server: NetServer): Promise<number> {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  /** Names are known to the proxy only. */
  function contextOf(url: string, limits: FetchLimits, timeoutMs: number): FetchContext {
    const resolveHost = (): Promise<never> => Promise.reject(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }));
    const guard = limits.guards('foo');
    return { limits: { ...limits, resolveHost }, guard, trail: new FetchTrail(url, guard), signal: AbortSignal.timeout(timeoutMs) };
  }
  async function fetchWith(env: Readonly<Record<string, string>>, url: string, trustedCa?: readonly string[]): Promise<string> {
    const limits = {
      ...(await readFetchLimits({ blockedCidrs: ['192.0.2.0/24'], isLocal: true }, env)),
      ...(trustedCa === undefined ? {} : { trustedCa }),
    };
    return (await fetchDocument(url, contextOf(url, limits, 5000))).text;
  }
  const failureOf = (env: Readonly<Record<string, string>>, url: string): Promise<string> =>
    fetchWith(env, url).then(
      () => 'none',
      (error: unknown) => (error as Error).message,
    );

  it('sends the absolute URL over http, with credentials of the proxy', async () => {
    const env = { HTTP_PROXY: origin.replace('//', '//us%40er:p%3Aw@') };
    expect(await fetchWith(env, 'http://idp.corp.invalid:8080/keys?x=1')).to.equal('document of http://idp.corp.invalid:8080/keys?x=1');
    expect(asked).to.deep.equal(['GET http://idp.corp.invalid:8080/keys?x=1 host=idp.corp.invalid:8080']);
    expect(authorizations).to.deep.equal([`Basic ${Buffer.from('us@er:p:w').toString('base64')}`]);
    await fetchWith({ HTTP_PROXY: origin.replace('//', '//user@') }, 'http://idp.corp.invalid:8080/keys');
    await fetchWith({ HTTP_PROXY: origin }, 'http://idp.corp.invalid:8080/keys');
    expect(authorizations.slice(1)).to.deep.equal([`Basic ${Buffer.from('user:').toString('base64')}`, undefined]);
  });

  it('opens a tunnel over https, and verifies the certificate of the server behind it', async () => {
    const authority = await issueAuthority(Date.now(), 3_600_000);
    const serving = await issueServing(authority, ['idp.corp.invalid'], { nowMs: Date.now(), validMs: 3_600_000 });
    tunnelTo = await listen(
      createTlsServer({ key: serving.keyPem, cert: serving.certPem }, (request, response) =>
        response.end(`${request.url} ${request.headers.host}`),
      ),
    );
    const env = { https_proxy: origin };
    expect(await fetchWith(env, 'https://idp.corp.invalid/keys', [authority.certPem])).to.equal('/keys idp.corp.invalid');
    expect(asked).to.deep.equal(['CONNECT idp.corp.invalid:443 host=idp.corp.invalid:443']);
    expect(await failureOf(env, 'https://idp.corp.invalid/keys')).to.include('has a certificate that is not trusted');
    expect(
      await fetchWith(env, 'https://other.corp.invalid/keys', [authority.certPem]).catch((error: unknown) => (error as Error).message),
    ).to.include('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('names the server in the TLS handshake of a tunnel, and no address', async () => {
    const authority = await issueAuthority(Date.now(), 3_600_000);
    const serving = await issueServing(authority, ['idp.corp.invalid'], { nowMs: Date.now(), validMs: 3_600_000 });
    const names: string[] = [];
    const SNICallback = (name: string, done: (error: null) => void): void => {
      names.push(name);
      done(null);
    };
    const options = { key: serving.keyPem, cert: serving.certPem, SNICallback };
    tunnelTo = await listen(createTlsServer(options, (_, response) => response.end('document')));
    const env = { https_proxy: origin };

    expect(await fetchWith(env, 'https://idp.corp.invalid/keys', [authority.certPem])).to.equal('document');
    for (const host of ['203.0.113.7', '[2001:db8::7]']) {
      const failure = await fetchWith(env, `https://${host}/keys`, [authority.certPem]).catch((error: unknown) => (error as Error).message);
      // The certificate names no address.
      expect(failure).to.include('ERR_TLS_CERT_ALTNAME_INVALID');
    }
    expect(names).to.deep.equal(['idp.corp.invalid']);
    expect(asked.slice(1)).to.deep.equal([
      'CONNECT 203.0.113.7:443 host=203.0.113.7:443',
      'CONNECT [2001:db8::7]:443 host=[2001:db8::7]:443',
    ]);
  });

  it('follows redirects, each by the rules for its own URL', async () => {
    const target = createServer((_, response) => response.end('direct'));
    const port = await listen(target);
    proxy.removeAllListeners('request');
    proxy.on('request', (request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(302, { location: `http://127.0.0.1:${port}/keys` }).end();
    });
    expect(await fetchWith({ HTTP_PROXY: origin }, 'http://idp.corp.invalid/keys')).to.equal('direct');
    expect(asked).to.deep.equal(['http://idp.corp.invalid/keys']);
  });

  it('names the proxy when it is the proxy that failed, without its credentials', async () => {
    const closed = createServer();
    const port = await listen(closed);
    closed.close();
    await once(closed, 'close');
    const env = { HTTP_PROXY: `http://user:secret@127.0.0.1:${port}`, HTTPS_PROXY: `http://user:secret@127.0.0.1:${port}` };
    for (const scheme of ['http', 'https']) {
      expect(await failureOf(env, `${scheme}://idp.corp.invalid/keys`)).to.equal(
        `${scheme}://idp.corp.invalid/keys cannot be fetched: the proxy http://127.0.0.1:${port} failed (ECONNREFUSED)`,
      );
    }
  });

  it('names the proxy when it refuses the tunnel or the credentials', async () => {
    refuseWith = 403;
    expect(await failureOf({ HTTPS_PROXY: origin }, 'https://idp.corp.invalid/keys')).to.equal(
      `https://idp.corp.invalid/keys cannot be fetched: the proxy ${origin} failed (status 403 to CONNECT idp.corp.invalid:443)`,
    );
    refuseWith = 407;
    expect(await failureOf({ HTTP_PROXY: origin }, 'http://idp.corp.invalid/keys')).to.include(`the proxy ${origin} failed (status 407`);
  });

  it('asks no proxy for an address that must not be dialled', async () => {
    for (const url of ['http://169.254.169.254/latest', 'https://192.0.2.7/keys']) {
      expect(await failureOf({ HTTP_PROXY: origin, HTTPS_PROXY: origin }, url)).to.include('must not be dialled');
    }
    expect(asked).to.deep.equal([]);
  });

  it('gives up at the deadline', async () => {
    proxy.removeAllListeners('connect');
    proxy.on('connect', () => {});
    const limits = await readFetchLimits({ blockedCidrs: [] }, { HTTPS_PROXY: origin });
    const failed = await fetchDocument('https://idp.corp.invalid/keys', contextOf('https://idp.corp.invalid/keys', limits, 50)).catch(
      (error: unknown) => error as Error,
    );
    expect((failed as Error).message).to.equal('https://idp.corp.invalid/keys did not respond in time');
    proxy.closeAllConnections();
  });
});
