import { expect } from 'chai';
import type { KeyServer, ValueSource } from '../../../src/api/key-servers.ts';
import { RefusedError } from '../../../src/errors.ts';
import { type ReferenceValue, type ResolvedServers, resolveServers, staticServers } from '../../../src/jwks/server-settings.ts';
import { issueAuthority } from '../../../src/webhook/certs/issue.ts';

const SECRET: ValueSource = { secretKeyRef: { name: 'idp', key: 'token' } };
const resolved = (server: Partial<KeyServer>, found: ReferenceValue = { value: '' }): ResolvedServers =>
  resolveServers([{ url: 'https://idp.example', ...server }], () => found);
const withHeader = { headers: [{ name: 'X-Token', valueFrom: SECRET }] };

describe('settings for a URL', () => {
  const servers = ['https://idp.example', 'https://idp.example/realms/a', 'https://idp.example/realms/a/b/', 'http://idp.example:8080/x'];
  const { serverOf } = resolveServers(
    servers.map((url, at) => ({ url, timeout: 1000 + at })),
    () => ({ value: '' }),
  );
  for (const [url, entry] of [
    ['https://idp.example/', 0],
    ['https://IDP.example:443/keys?x=/realms/a', 0],
    ['https://idp.example/realms/a', 1],
    ['https://idp.example/realms/a/keys', 1],
    ['https://idp.example/realms/ab', 0],
    ['https://idp.example/realms/a/b', 2],
    ['https://idp.example/realms/a/../c', 0],
    // What a server may take for /realms/c.
    ['https://idp.example/realms/a/..%2fc', 0],
    ['https://idp.example/realms/a%5c..', 0],
    ['http://idp.example:8080/x/keys', 3],
    ['http://idp.example:8080/', undefined],
    ['http://idp.example/', undefined],
    ['https://idp.example:8443/', undefined],
    ['https://idp.example.evil/', undefined],
    ['https://a.idp.example/', undefined],
  ] as const) {
    it(`are ${entry === undefined ? 'none' : `those of ${servers[entry]}`} for ${url}`, () => {
      expect(serverOf(new URL(url))?.timeoutMs).to.equal(entry === undefined ? undefined : 1000 + entry);
    });
  }
});

describe('resolveServers', () => {
  const of = ({ serverOf }: ResolvedServers): ReturnType<typeof serverOf> => serverOf(new URL('https://idp.example/keys'));

  it('takes certificates from a bundle with text between them, and a proxy and headers from Secrets', async () => {
    const pems = await Promise.all([1, 2].map(async () => (await issueAuthority(Date.now(), 60_000)).certPem));
    const bundle = resolved({ caBundle: `# one\n${pems[0]}\n# two\n${pems[1]}` });
    expect([bundle.problems, of(bundle)?.authorities?.length]).to.deep.equal([[], 2]);
    expect(of(resolved({ proxyFrom: SECRET }, { value: 'http://us%40er:pw@proxy:3128\n' }))?.proxy?.href).to.equal(
      'http://us%40er:pw@proxy:3128/',
    );
    expect(of(resolved(withHeader, { value: 'Bearer abc\n' }))).to.deep.include({ headers: { 'x-token': 'Bearer abc' }, isBroken: false });
  });

  for (const [what, server, value, problem] of [
    ['a bundle without certificates', { caBundleFrom: SECRET }, 'secret text', 'contains no certificate in PEM'],
    [
      'an invalid certificate',
      { caBundleFrom: SECRET },
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'contains an invalid certificate (number 1)',
    ],
    [
      'a certificate without a first line',
      { caBundleFrom: SECRET },
      'secret\n-----END CERTIFICATE-----',
      'contains an invalid certificate',
    ],
    ['too many certificates', { caBundleFrom: SECRET }, '-----END CERTIFICATE-----'.repeat(201), 'more than 200 certificates'],
    ['a proxy of another kind', { proxyFrom: SECRET }, 'socks5://secret@proxy', 'is not the URL of an HTTP proxy'],
    ['a proxy whose password is not encoded', { proxyFrom: SECRET }, 'http://u:secret%@proxy', 'is not the URL of an HTTP proxy'],
    ['a header with a line break', withHeader, 'secret\r\nx-evil: 1', 'is not the value of a header'],
    ['an empty header', withHeader, ' \n', 'is not the value of a header'],
    ['a header that is too long', withHeader, 'a'.repeat(8193), 'has more than 8192 bytes'],
  ] as const) {
    it(`names ${what} without its value, and breaks the entry`, () => {
      const found = resolved(server, { value });
      expect(found.problems[0]).to.match(/^jwks\.servers\.0\.\S+From: key "token" of Secret "idp" /);
      expect(found.problems[0]).to.include(problem);
      expect(found.problems.join()).not.to.include('secret');
      expect(of(found)?.isBroken).to.equal(true);
    });
  }

  it('names an object that cannot be read', () => {
    const found = resolved(withHeader, { problem: 'Secret "idp" does not exist' });
    expect(found.problems).to.deep.equal(['jwks.servers.0.headers.0.valueFrom: Secret "idp" does not exist']);
    expect(of(found)).to.deep.include({ headers: {}, isBroken: true });
  });

  it('is in another state when a value changes', () => {
    const [one, other] = ['a', 'b'].map((value) => resolved(withHeader, { value }).state);
    expect(one)
      .to.equal(resolved(withHeader, { value: 'a' }).state)
      .and.not.to.equal(other);
  });
});

describe('staticServers', () => {
  it('refuses references, which only a cluster has', () => {
    expect(() => staticServers([{ url: 'https://idp.example', ...withHeader }]))
      .to.throw(RefusedError, 'jwks.servers.0.headers.0.valueFrom: Secrets and ConfigMaps are read in a cluster only')
      .with.property('code', 'SP_CONFIG');
    expect(staticServers([{ url: 'https://idp.example', timeout: 1 }])(new URL('https://idp.example/x'))?.timeoutMs).to.equal(1);
  });
});
