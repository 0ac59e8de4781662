import { createServer } from 'node:net';
import { expect } from 'chai';
import type { JwtRule } from '../../../src/api/istio/resources.ts';
import type { AddressGuards } from '../../../src/jwks/address-guard.ts';
import type { FetchLimits } from '../../../src/jwks/fetch-document.ts';
import { displayUrl, FetchFailure } from '../../../src/jwks/fetch-failure.ts';
import { fetchKeys } from '../../../src/jwks/fetch-keys.ts';
import { createJwksCache, type JwksCache, type KeysChange } from '../../../src/jwks/jwks-cache.ts';
import type { HostAddress } from '../../../src/jwks/resolve-host.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { type Answer, freshJwks, json, type KeyServer, startKeyServer } from '../../support/key-server.ts';

/** 127.0.0.1 is inside the cluster, 127.0.0.2 is the internet, 127.0.0.3 must not be dialled. */
const guards: AddressGuards = () => ({
  scope: '',
  isLocal: false,
  refusalOf: (address) => (address === '127.0.0.3' ? 'forbidden' : undefined),
  isInternal: (address) => address !== '127.0.0.2',
});
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'public.test': ['127.0.0.2'],
  'mixed.test': ['127.0.0.2', '127.0.0.1'],
  'forbidden.test': ['127.0.0.3'],
  'empty.test': [],
};
const limits: FetchLimits = {
  guards,
  maxBytes: 4096,
  maxRedirects: 3,
  resolveHost: (name) => {
    const addresses = HOSTS[name];
    const found = (addresses ?? []).map((address): HostAddress => ({ address, family: 4 }));
    return addresses === undefined ? Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })) : Promise.resolve(found);
  },
};

let inside: KeyServer;
let outside: KeyServer;
beforeEach(async () => {
  [inside, outside] = await Promise.all([startKeyServer(), startKeyServer('127.0.0.2')]);
});
afterEach(() => Promise.all([inside.stop(), outside.stop()]));

async function failureOf(url: string, kind: 'keys' | 'discovery' = 'keys', deadlineMs = 60_000): Promise<FetchFailure> {
  const error = await fetchKeys({ kind, url }, { limits, guard: guards('foo') }, AbortSignal.timeout(deadlineMs)).catch(
    (reason: unknown) => reason,
  );
  if (!(error instanceof FetchFailure)) throw new Error(`not a failure: ${String(error)}`);
  return error;
}

/** The port of a server that was there a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const ANSWERS: readonly (readonly [what: string, answer: Answer, detail: string])[] = [
  ['a status', (_request, response) => response.writeHead(403).end(), 'responded with status 403'],
  ['a closed connection', (request) => request.socket.destroy(), 'ECONNRESET'],
  ['no response in time', () => undefined, 'did not respond in time'],
  ['a body without keys', (_request, response) => response.end('<html>'), 'contains no usable key'],
  ['a large body', (_request, response) => response.end('x'.repeat(5_000)), 'responded with more than 4096 bytes'],
  ['an unknown coding', (_request, response) => response.writeHead(200, { 'content-encoding': 'zstd' }).end('x'), 'was not asked for'],
  ['a redirect to a file', (_request, response) => response.writeHead(302, { location: 'file:///x' }).end(), 'neither http nor https'],
  ['a redirect to itself', (_request, response) => response.writeHead(302, { location: '/keys' }).end(), 'more than 3 redirects'],
];

describe('failure of a fetch', () => {
  for (const [what, answer, detail] of ANSWERS) {
    it(`reports ${what} of a public address, and keeps that of an internal one`, async () => {
      outside.answer('/keys', answer);
      inside.answer('/keys', answer);
      const deadlineMs = detail === 'did not respond in time' ? 300 : 60_000;
      const reported = await failureOf(`${outside.origin}/keys`, 'keys', deadlineMs);
      const kept = await failureOf(`${inside.origin}/keys`, 'keys', deadlineMs);

      expect(reported.publicMessage).to.include(detail).and.to.equal(reported.message);
      expect(reported.isInternal).to.equal(false);
      expect(kept.message).to.include(detail);
      expect(kept.publicMessage).to.equal(`${inside.origin}/keys could not be fetched; the controller's log says why`);
      expect(kept.isInternal).to.equal(true);
    });
  }

  it('keeps a closed port of an internal address', async () => {
    const url = `http://127.0.0.1:${await closedPort()}/keys`;
    const failure = await failureOf(url);
    expect(failure.message).to.include('ECONNREFUSED');
    expect(failure.publicMessage).to.equal(`${url} could not be fetched; the controller's log says why`);
  });

  for (const [host, detail] of [
    ['nothing.test', 'ENOTFOUND'],
    ['forbidden.test', 'forbidden and must not be dialled'],
    ['empty.test', 'its host has no address'],
  ] as const) {
    it(`keeps what the name ${host} leads to`, async () => {
      const failure = await failureOf(`http://${host}/keys`);
      expect(failure.message).to.include(detail);
      expect(failure.publicMessage).to.equal(`http://${host}/keys could not be fetched; the controller's log says why`);
    });
  }

  it('keeps the failure of a name that has public and internal addresses', async () => {
    outside.answer('/keys', (_request, response) => response.writeHead(500).end());
    const failure = await failureOf(outside.origin.replace('127.0.0.2', 'mixed.test') + '/keys');
    expect(failure.isInternal).to.equal(true);
  });

  it('reports the failure of a name with public addresses', async () => {
    const failure = await failureOf(outside.origin.replace('127.0.0.2', 'public.test') + '/keys');
    expect(failure.publicMessage).to.include('responded with status 404');
  });

  it('keeps what a public server redirects to, and the place of the redirect', async () => {
    outside.answer('/keys', (_request, response) => response.writeHead(302, { location: `${inside.origin}/private` }).end());
    const failure = await failureOf(`${outside.origin}/keys`);
    expect(failure.message).to.equal(`${inside.origin}/private responded with status 404`);
    expect(failure.publicMessage).to.equal(`${outside.origin}/keys could not be fetched; the controller's log says why`);
  });

  it('keeps what an internal server redirects to', async () => {
    inside.answer('/keys', (_request, response) => response.writeHead(302, { location: `${outside.origin}/public` }).end());
    const failure = await failureOf(`${inside.origin}/keys`);
    expect(failure.message).to.include('/public responded with status 404');
    expect(failure.isInternal).to.equal(true);
  });

  it('keeps what a public discovery document leads to', async () => {
    outside.answer('/.well-known/openid-configuration', json({ jwks_uri: `${inside.origin}/keys` }));
    const failure = await failureOf(`${outside.origin}/.well-known/openid-configuration`, 'discovery');
    expect(failure.message).to.equal(`${inside.origin}/keys responded with status 404`);
    expect(failure.isInternal).to.equal(true);
  });

  it('reports that the address in the URL of the policy must not be dialled', async () => {
    const failure = await failureOf('http://127.0.0.3/keys');
    expect(failure.publicMessage).to.equal('http://127.0.0.3/keys cannot be fetched: its address is forbidden and must not be dialled');
  });

  it('dials no redirect, discovery or name that leads to a forbidden address', async () => {
    outside.answer('/keys', (_request, response) => response.writeHead(302, { location: 'http://127.0.0.3/' }).end());
    outside.answer('/name', (_request, response) => response.writeHead(302, { location: 'http://forbidden.test/' }).end());
    outside.answer('/.well-known/openid-configuration', json({ jwks_uri: 'http://127.0.0.3/' }));
    for (const [path, kind] of [
      ['/keys', 'keys'],
      ['/name', 'keys'],
      ['/.well-known/openid-configuration', 'discovery'],
    ] as const) {
      expect((await failureOf(`${outside.origin}${path}`, kind)).message).to.include('forbidden and must not be dialled');
    }
  });

  it('sends nothing to a forward proxy that may not be dialled, and keeps what a proxy says of names that are unknown here', async () => {
    const proxied: FetchLimits = { ...limits, proxyOf: () => new URL(inside.origin) };
    const failureBehindProxy = async (url: string): Promise<FetchFailure> => {
      const attempt = fetchKeys({ kind: 'keys', url }, { limits: proxied, guard: guards('foo') }, AbortSignal.timeout(60_000));
      const error = await attempt.catch((reason: unknown) => reason);
      if (!(error instanceof FetchFailure)) throw new Error(`not a failure: ${String(error)}`);
      return error;
    };
    for (const host of ['127.0.0.3', 'forbidden.test']) {
      expect((await failureBehindProxy(`http://${host}/keys`)).message).to.include('forbidden and must not be dialled');
    }
    expect(inside.requests).to.deep.equal([]);
    const unknown = await failureBehindProxy('http://nothing.test/keys');
    expect(unknown.message).to.include('responded with status 404');
    expect(unknown.isInternal).to.equal(true);
    expect((await failureBehindProxy('http://public.test/keys')).isInternal).to.equal(false);
  });

  it('dials the addresses that were checked, without a second lookup', async () => {
    let lookups = 0;
    outside.answer('/keys', json(freshJwks('one')));
    const rebinding: FetchLimits = {
      ...limits,
      resolveHost: () => {
        lookups += 1;
        return Promise.resolve([{ address: lookups === 1 ? '127.0.0.2' : '127.0.0.3', family: 4 }]);
      },
    };
    const url = outside.origin.replace('127.0.0.2', 'rebinding.test') + '/keys';
    const { keySet } = await fetchKeys({ kind: 'keys', url }, { limits: rebinding, guard: guards('foo') }, AbortSignal.timeout(60_000));
    expect(keySet.keys).to.have.length(1);
    expect(lookups).to.equal(1);
  });
});

describe('status of a source inside the cluster', () => {
  let clock: FakeClock;
  let jwksCache: JwksCache;
  let changes: KeysChange[];
  let stop: () => Promise<void>;
  beforeEach(() => {
    clock = createFakeClock();
    changes = [];
    jwksCache = createJwksCache({ limits, clock, random: () => 1, logger: createLogger({ level: 'silent', component: 'test' }) });
    jwksCache.subscribe((change) => changes.push(change));
    const stopping = new AbortController();
    const running = jwksCache.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      await running;
    };
  });
  afterEach(() => stop());

  it('says the same at the same time, whatever the source does', async () => {
    const closed = `http://127.0.0.1:${await closedPort()}/keys`;
    inside.answer('/hangs', () => undefined);
    const rules = [closed, `${inside.origin}/hangs`, `${inside.origin}/missing`, 'http://nothing.test/keys'].map(
      (jwksUri): JwtRule => ({ issuer: 'me', jwksUri, timeoutMs: 800 }),
    );
    const stateOf = (rule: JwtRule): ReturnType<JwksCache['stateOf']> => jwksCache.stateOf(rule, 'foo');
    jwksCache.want('policy', 'foo', rules);
    // The deadline of the one that hangs, its second in the prompt lane, and the wait of the three others.
    await until(() => inside.requests.length === 2 && clock.pending().length === 5, 'the end of the others');
    expect(rules.map((rule) => stateOf(rule).kind)).to.deep.equal(['pending', 'pending', 'pending', 'pending']);
    clock.advance(799);
    expect(changes).to.deep.equal([]);

    clock.advance(1);
    await until(() => changes.length === 4, 'the failures');
    expect(rules.map(stateOf)).to.deep.equal(
      rules.map(({ jwksUri = '' }) => ({
        kind: 'unavailable',
        url: jwksUri,
        reason: `${jwksUri} could not be fetched; the controller's log says why`,
      })),
    );
  });

  it('reports the failure of a public source immediately', async () => {
    jwksCache.want('policy', 'foo', [{ issuer: 'me', jwksUri: `${outside.origin}/missing` }]);
    await until(() => changes.length === 1, 'the failure');
    expect(clock.pending()).to.deep.equal([1_000]);
  });
});

describe('displayUrl', () => {
  it('omits credentials and query, and cuts long URLs', () => {
    expect(displayUrl('https://user:secret@idp.example/keys?token=x#y')).to.equal('https://idp.example/keys');
    const longest = `https://idp.example/${'a'.repeat(256 - 'https://idp.example/'.length)}`;
    expect(displayUrl(longest)).to.equal(longest);
    expect(displayUrl(`${longest}a`)).to.equal(`${longest.slice(0, 255)}…`);
    expect(displayUrl(`https://idp.example/${'a'.repeat(2_000)}`)).to.have.length(256);
    expect(displayUrl('nonsense')).to.equal('an invalid URL');
  });
});
