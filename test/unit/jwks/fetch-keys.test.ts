import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import type { FetchLimits } from '../../../src/jwks/fetch-document.ts';
import { fetchKeys, keySourceOf } from '../../../src/jwks/fetch-keys.ts';
import { type Answer, freshJwks, json, type KeyServer, startKeyServer } from '../../support/key-server.ts';

const guards = createAddressGuards({ blockedCidrs: [], isLocal: true });
const limits: FetchLimits = { guards, maxBytes: 4096, maxRedirects: 3 };
const rights = { limits, guard: guards('foo') };

async function failureOf(url: string, over: Partial<FetchLimits> = {}, signal: AbortSignal = AbortSignal.timeout(60_000)): Promise<string> {
  try {
    await fetchKeys({ kind: 'keys', url }, { ...rights, limits: { ...limits, ...over } }, signal);
  } catch (error) {
    expect(error).to.have.property('code', 'SP_JWKS_FETCH');
    return (error as Error).message;
  }
  throw new Error('the keys were accepted');
}

describe('keySourceOf', () => {
  const cases = [
    { rule: { issuer: 'i', jwks: '{"keys":[]}' }, source: undefined },
    { rule: { issuer: 'i', jwks: '', jwksUri: 'https://idp/keys' }, source: { kind: 'keys', url: 'https://idp/keys' } },
    { rule: { issuer: 'https://idp/' }, source: { kind: 'discovery', url: 'https://idp/.well-known/openid-configuration' } },
    { rule: { issuer: 'https://idp//' }, source: { kind: 'discovery', url: 'https://idp//.well-known/openid-configuration' } },
    { rule: {}, source: undefined },
  ];
  for (const { rule, source } of cases) {
    it(`is ${source === undefined ? 'absent' : source.url} when the rule is ${JSON.stringify(rule)}`, () => {
      expect(keySourceOf(rule)).to.deep.equal(source);
    });
  }
});

describe('fetchKeys', () => {
  let server: KeyServer;
  beforeEach(async () => {
    server = await startKeyServer();
  });
  afterEach(() => server.stop());
  const at = (path: string, answer: Answer): string => {
    server.answer(path, answer);
    return `${server.origin}${path}`;
  };

  it('returns the keys, their URL without the query, and max-age', async () => {
    const url = at('/keys?secret=1', json(freshJwks('one'), { 'cache-control': 'public, max-age=300' }));

    const { keySet, maxAgeSeconds } = await fetchKeys({ kind: 'keys', url }, rights, AbortSignal.timeout(60_000));

    expect(keySet.source).to.equal(`${server.origin}/keys`);
    expect(keySet.keys.map((key) => key['kid'])).to.deep.equal(['one']);
    expect(maxAgeSeconds).to.equal(300);
  });

  for (const [coding, pack] of [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['GZIP', gzipSync],
    ['identity', (bytes: Buffer): Buffer => bytes],
    ['deflate, gzip', (bytes: Buffer): Buffer => gzipSync(deflateSync(bytes))],
  ] as const) {
    it(`unpacks a key set in the coding ${coding}`, async () => {
      const body = pack(Buffer.from(JSON.stringify(freshJwks('one'))));
      const url = at('/keys', (_, response) => void response.writeHead(200, { 'content-encoding': coding }).end(body));

      const { keySet } = await fetchKeys({ kind: 'keys', url }, rights, AbortSignal.timeout(60_000));

      expect(keySet.keys.map((key) => key['kid'])).to.deep.equal(['one']);
    });
  }

  it('says which codings it takes', async () => {
    let asked: string | undefined;
    const url = at('/keys', (request, response) => {
      asked = request.headers['accept-encoding'];
      response.end(JSON.stringify(freshJwks('one')));
    });
    await fetchKeys({ kind: 'keys', url }, rights, AbortSignal.timeout(60_000));

    expect(asked).to.equal('gzip, deflate, br');
  });

  it('names a coding that it cannot unpack', async () => {
    const url = at('/keys', (_, response) => void response.writeHead(200, { 'content-encoding': 'zstd' }).end('x'));

    expect(await failureOf(url)).to.include('responds in the coding "zstd", which was not asked for');
  });

  it('limits the size after unpacking', async () => {
    const bomb = gzipSync(Buffer.alloc(1024 * 1024));
    const url = at('/keys', (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));

    expect(bomb.length).to.be.below(limits.maxBytes);
    expect(await failureOf(url)).to.include('responded with more than 4096 bytes');
  });

  it('fails for a body that is not in its coding', async () => {
    const url = at('/keys', (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip'));

    expect(await failureOf(url)).to.include('cannot be fetched');
  });

  for (const issuer of ['accounts.google.com', 'me@idp.example', 'idp', 'idp:8080/x', '//idp']) {
    it(`quotes the issuer ${issuer} when its keys cannot be discovered`, async () => {
      const source = keySourceOf({ issuer });
      const message = await fetchKeys(source ?? { kind: 'keys', url: '' }, rights, AbortSignal.timeout(60_000)).catch(
        (error: Error) => error.message,
      );

      expect(message).to.include(issuer.split('/')[0]);
    });
  }

  it('discovers the key set of an issuer', async () => {
    at('/keys', json(freshJwks('one'), { 'cache-control': 'max-age=900' }));
    const url = at('/.well-known/openid-configuration', json({ jwks_uri: `${server.origin}/keys` }, { 'cache-control': 'no-store' }));

    const { keySet, maxAgeSeconds } = await fetchKeys({ kind: 'discovery', url }, rights, AbortSignal.timeout(60_000));

    expect(keySet.keys).to.have.length(1);
    expect(maxAgeSeconds).to.equal(0);
  });

  it('fails when the configuration names no key set', async () => {
    const url = at('/.well-known/openid-configuration', json({ issuer: 'me' }));
    const attempt = fetchKeys({ kind: 'discovery', url }, rights, AbortSignal.timeout(60_000));
    expect(await attempt.catch((error: Error) => error.message)).to.contain('names no jwks_uri');
  });

  it('follows redirects up to a limit', async () => {
    at('/keys', json(freshJwks('one')));
    const first = at('/first', (_request, response) => response.writeHead(302, { location: '/keys' }).end());
    const endless = at('/endless', (_request, response) => response.writeHead(307, { location: '/endless' }).end());

    expect((await fetchKeys({ kind: 'keys', url: first }, rights, AbortSignal.timeout(60_000))).keySet.keys).to.have.length(1);
    expect(await failureOf(endless)).to.contain('more than 3 redirects');
  });

  const bad: readonly { readonly name: string; readonly answer: Answer; readonly message: string }[] = [
    {
      name: 'an error status',
      answer: (_request, response) => response.writeHead(500).end('secret text'),
      message: 'responded with status 500',
    },
    {
      name: 'a body that is not JSON',
      answer: (_request, response) => response.end('<html>secret text</html>'),
      message: 'contains no usable key',
    },
    { name: 'an empty key set', answer: json({ keys: [] }), message: 'contains no usable key' },
    { name: 'JSON without keys', answer: json({ hello: 'secret text' }), message: 'contains no usable key' },
    {
      name: 'only symmetric keys',
      answer: json({ keys: [{ kty: 'oct', k: 'c2VjcmV0LXRleHQtc2VjcmV0LXRleHQtc2VjcmV0LXRleHQ' }] }),
      message: 'contains no usable key',
    },
    { name: 'a body that is too large', answer: (_request, response) => response.end('x'.repeat(5_000)), message: 'more than 4096 bytes' },
    {
      name: 'a truncated body',
      answer: (_request, response) => response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy()),
      message: 'cannot be fetched',
    },
    { name: 'a closed connection', answer: (request) => request.socket.destroy(), message: 'cannot be fetched' },
    {
      name: 'a redirect to link-local',
      answer: (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
      message: 'link-local and must not be dialled',
    },
    {
      name: 'a redirect to link-local in decimal',
      answer: (_request, response) => response.writeHead(302, { location: 'http://2852039166/' }).end(),
      message: 'link-local and must not be dialled',
    },
    {
      name: 'a redirect to link-local in IPv6 notation',
      answer: (_request, response) => response.writeHead(302, { location: 'http://[::ffff:169.254.169.254]/' }).end(),
      message: 'link-local and must not be dialled',
    },
    {
      name: 'a redirect to a file',
      answer: (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      message: 'neither http nor https',
    },
  ];
  for (const { name, answer, message } of bad) {
    it(`rejects ${name} without including it in the message`, async () => {
      const actual = await failureOf(at('/keys', answer));
      expect(actual).to.contain(message);
      expect(actual).not.to.contain('secret text');
    });
  }

  it('fails at the deadline, before or during a response', async () => {
    const silent = at('/silent', () => undefined);
    const slow = at('/slow', (_request, response) => response.writeHead(200).write('{'));

    expect(await failureOf(silent, {}, AbortSignal.timeout(50))).to.contain('did not respond in time');
    expect(await failureOf(slow, {}, AbortSignal.timeout(50))).to.contain('did not respond in time');
  });

  it('checks the address that a host name resolves to', async () => {
    const url = 'http://rebinding.test/keys';
    const resolveHost = (): Promise<{ address: string; family: number }[]> => Promise.resolve([{ address: '169.254.169.254', family: 4 }]);
    expect(await failureOf(url, { resolveHost })).to.contain('link-local and must not be dialled');
  });

  it('dials an allowed address when a host name also has a forbidden one', async () => {
    server.answer('/keys', json(freshJwks('one')));
    const resolveHost = (): Promise<{ address: string; family: number }[]> =>
      Promise.resolve([
        { address: '169.254.169.254', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const url = `${server.origin.replace('127.0.0.1', 'idp.test')}/keys`;
    const { keySet } = await fetchKeys(
      { kind: 'keys', url },
      { ...rights, limits: { ...limits, resolveHost } },
      AbortSignal.timeout(60_000),
    );
    expect(keySet.keys).to.have.length(1);
  });

  it('omits the credentials of the URL from the message', async () => {
    server.answer('/keys', (_request, response) => response.writeHead(403).end());
    const message = await failureOf(server.origin.replace('//', '//user:password@') + '/keys');
    expect(message).to.equal(`${server.origin}/keys responded with status 403`);
  });
});
