/*
 * Settings of single key servers in the configuration: what is accepted, and that each mistake is named.
 */
import { expect } from 'chai';
import { loadControllerConfig } from '../../../src/config/controller.ts';

const load = (servers: readonly object[]): ReturnType<typeof loadControllerConfig>['jwks']['servers'] =>
  loadControllerConfig({ args: [], env: {}, fileText: JSON.stringify({ jwks: { servers } }) }).jwks.servers;
const URL_OF = 'https://idp.example/realms/a';
const header = (name: string): object => ({ name, valueFrom: { secretKeyRef: { name: 'idp', key: 'token' } } });

describe('settings of key servers', () => {
  it('have values and references', () => {
    const servers = [
      {
        url: URL_OF,
        caBundleFrom: { configMapKeyRef: { name: 'corporate-ca', key: 'ca.crt' } },
        proxyFrom: { secretKeyRef: { name: 'proxy', key: 'url' } },
        timeout: '20s',
        headers: [header('authorization'), header('x-api-key')],
      },
      { url: 'http://idp.internal:8080', proxy: 'http://proxy.example:3128' },
      { url: 'https://[2001:db8::1]:8443/', caBundle: 'PEM' },
    ];
    expect(load(servers)).to.deep.equal(servers.map((server) => ('timeout' in server ? { ...server, timeout: 20_000 } : server)));
  });

  for (const [server, message] of [
    [{}, 'jwks.servers.0.url'],
    [{ url: 'idp.example' }, 'jwks.servers.0.url: not an http(s) URL'],
    [{ url: 'ftp://idp.example' }, 'jwks.servers.0.url: not an http(s) URL'],
    [{ url: 'https://user:pw@idp.example' }, 'jwks.servers.0.url: not an http(s) URL without credentials'],
    [{ url: 'https://idp.example/?a=b' }, 'jwks.servers.0.url: not an http(s) URL without credentials'],
    [{ url: 'https://idp.example:99999' }, 'jwks.servers.0.url: not a URL'],
    [{ url: URL_OF, caBundle: 'x', caBundleFrom: { secretKeyRef: { name: 'a', key: 'b' } } }, 'caBundleFrom: caBundle is set, too'],
    [{ url: URL_OF, caBundleFrom: {} }, 'exactly one of secretKeyRef and configMapKeyRef'],
    [{ url: URL_OF, proxy: 'http://user:pw@proxy' }, 'jwks.servers.0.proxy: not the URL of an HTTP proxy without credentials'],
    [{ url: URL_OF, proxy: 'socks5://proxy' }, 'jwks.servers.0.proxy'],
    [{ url: URL_OF, timeout: '31s' }, 'jwks.servers.0.timeout: not between 100ms and 30s'],
    [{ url: URL_OF, timeout: '1ms' }, 'jwks.servers.0.timeout: not between'],
    [{ url: URL_OF, headers: [header('Host')] }, 'jwks.servers.0.headers.0.name: a header that the fetch sets itself'],
    [{ url: URL_OF, headers: [header('a b')] }, 'jwks.servers.0.headers.0.name: not the name of a header'],
    [{ url: URL_OF, headers: [header('x-a'), header('X-A')] }, 'two headers have the same name'],
    [{ url: URL_OF, headers: [{ name: 'x-a', value: 'secret' }] }, 'jwks.servers.0.headers.0'],
    [{ url: 'http://idp.example', headers: [header('x-a')] }, 'clear text'],
    [{ url: 'http://idp.example', caBundle: 'x' }, 'jwks.servers.0.caBundle: without effect'],
    [{ url: URL_OF, headers: [{ name: 'x', valueFrom: { secretKeyRef: { name: '../other', key: 'k' } } }] }, 'not the name of an object'],
  ] as const) {
    it(`refuses ${JSON.stringify(server)}`, () => {
      expect(() => load([server])).to.throw(message);
    });
  }

  it('refuse two entries with the same URL, too many entries, and too many objects', () => {
    expect(() => load([{ url: URL_OF }, { url: 'HTTPS://IDP.example:443/realms/a/'.toLowerCase() }])).to.throw(
      'jwks.servers.1.url: entry 0 has the same URL',
    );
    expect(() => load(Array.from({ length: 33 }, (_, at) => ({ url: `https://idp-${at}.example` })))).to.throw('more than 32 servers');
    const secrets = (entry: number): object[] =>
      Array.from({ length: 8 }, (_, at) => ({ name: `x-${at}`, valueFrom: { secretKeyRef: { name: `s-${entry}-${at}`, key: 'k' } } }));
    expect(() => load(Array.from({ length: 5 }, (_, at) => ({ url: `https://idp-${at}.example`, headers: secrets(at) })))).to.throw(
      'refers to more than 32 Secrets and ConfigMaps',
    );
  });
});
