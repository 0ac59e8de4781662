/*
 * Redirects of a fetch, and the check of the address that was dialled, with real servers over loopback.
 */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { expect } from 'chai';
import type { AddressGuard } from '../../../src/jwks/address-guard.ts';
import { type FetchedDocument, type FetchLimits, fetchDocument } from '../../../src/jwks/fetch-document.ts';
import { FetchTrail } from '../../../src/jwks/fetch-failure.ts';
import { issueAuthority, issueServing } from '../../../src/webhook/certs/issue.ts';

const OPEN: AddressGuard = { scope: '', isLocal: true, refusalOf: () => undefined, isInternal: () => false };
const servers: Server[] = [];

async function portOf(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function fetchWith(url: string, over: Partial<FetchLimits> = {}, guard: AddressGuard = OPEN): Promise<FetchedDocument> {
  const resolveHost = (): Promise<{ address: string; family: number }[]> => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
  const limits: FetchLimits = { guards: () => guard, maxBytes: 4096, maxRedirects: 3, resolveHost, ...over };
  return await fetchDocument(url, { limits, guard, trail: new FetchTrail(url, guard), signal: AbortSignal.timeout(10_000) });
}

const failureOf = (...parameters: Parameters<typeof fetchWith>): Promise<string> =>
  fetchWith(...parameters).then(
    ({ text }) => `fetched ${text}`,
    (error: unknown) => (error as Error).message,
  );

describe('fetchDocument', () => {
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  for (const [header, seconds] of [
    [undefined, undefined],
    ['public', undefined],
    ['max-age=60', 60],
    ['public, Max-Age = "60"', 60],
    ['max-age=0', 0],
    ['max-age=60, no-cache', 0],
    ['no-store', 0],
    ['no-cache=set-cookie', 0],
    ['no-cache-ever, max-age=5', 5],
    ['x-max-age=5', undefined],
    ['max-age=-1', undefined],
    ['max-age=5s', undefined],
    ['max-age=12345678901', undefined],
    ['max-age=x, max-age=7', 7],
  ] as const) {
    it(`takes ${seconds} seconds from the Cache-Control ${header}`, async () => {
      const headers = header === undefined ? {} : { 'cache-control': header };
      const origin = `http://127.0.0.1:${await portOf(createServer((_, response) => response.writeHead(200, headers).end('keys')))}`;

      expect((await fetchWith(origin)).maxAgeSeconds).to.equal(seconds);
    });
  }

  for (const [status, said] of [
    [200, 'fetched keys'],
    [299, 'fetched keys'],
    [300, 'responded with status 300'],
    [302, 'responded with status 302'],
    [400, 'responded with status 400'],
    [503, 'responded with status 503'],
  ] as const) {
    it(`says "${said}" for ${status} without a location`, async () => {
      const origin = `http://127.0.0.1:${await portOf(createServer((_, response) => response.writeHead(status).end('keys')))}`;

      expect(await failureOf(origin)).to.include(said);
    });
  }

  it('follows the location of a redirect only', async () => {
    for (const [status, said] of [
      [200, 'fetched keys'],
      [300, 'more than 0 redirects'],
      [399, 'more than 0 redirects'],
      [400, 'status 400'],
    ] as const) {
      const server = createServer((_, response) => response.writeHead(status, { location: '/other' }).end('keys'));
      const origin = `http://127.0.0.1:${await portOf(server)}`;
      expect(await failureOf(origin, { maxRedirects: 0 }), `${status}`).to.include(said);
    }
  });

  it('reads a body of the limit, and no longer one', async () => {
    const origin = `http://127.0.0.1:${await portOf(createServer((_, response) => response.end('x'.repeat(100))))}`;

    expect(await failureOf(origin, { maxBytes: 100 })).to.equal(`fetched ${'x'.repeat(100)}`);
    expect(await failureOf(origin, { maxBytes: 99 })).to.include(' 99 ');
  });

  describe('redirects', () => {
    /** `/<n>` redirects n times, then `/0` responds. */
    const countDown: RequestListener = (request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('keys');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    };

    for (const maxRedirects of [0, 1, 3]) {
      it(`follows ${maxRedirects} and not one more when that is the limit`, async () => {
        const origin = `http://127.0.0.1:${await portOf(createServer(countDown))}`;

        expect(await fetchWith(`${origin}/${maxRedirects}`, { maxRedirects })).to.include({ text: 'keys', url: `${origin}/0` });
        expect(await failureOf(`${origin}/${maxRedirects + 1}`, { maxRedirects })).to.include(`more than ${maxRedirects} redirects`);
      });
    }

    it('never lead from https to http, whether on the first or a later hop', async () => {
      const { trustedCa, key, cert } = await tls();
      const requests: string[] = [];
      const plain = await portOf(
        createServer((request, response) => {
          requests.push(request.url ?? '');
          response.end('clear text');
        }),
      );
      const secure = await portOf(
        createTlsServer({ key, cert }, (request, response) => {
          const location = request.url === '/first' ? '/second' : `http://idp.test:${plain}/keys`;
          response.writeHead(302, { location }).end();
        }),
      );

      for (const path of ['first', 'second']) {
        const url = `https://idp.test:${secure}/${path}`;
        expect(await failureOf(url, { trustedCa })).to.equal(`https://idp.test:${secure}/second redirects from https to http`);
      }
      expect(requests).to.deep.equal([]);
    });

    it('may lead from http to https, and from https to https', async () => {
      const { trustedCa, key, cert } = await tls();
      const secure = await portOf(
        createTlsServer({ key, cert }, (request, response) => {
          if (request.url === '/keys') response.end('keys');
          else response.writeHead(302, { location: '/keys' }).end();
        }),
      );
      const plain = await portOf(
        createServer((_request, response) => response.writeHead(302, { location: `https://idp.test:${secure}/first` }).end()),
      );

      expect(await fetchWith(`http://idp.test:${plain}/`, { trustedCa })).to.include({
        text: 'keys',
        url: `https://idp.test:${secure}/keys`,
      });
    });
  });

  describe('the address that is connected', () => {
    /** Allows each address only when it is asked about it for the first time, which is before it is dialled. */
    function changingGuard(): AddressGuard {
      const asked = new Set<string>();
      const refusalOf = (address: string): string | undefined => {
        if (asked.has(address)) return 'forbidden';
        asked.add(address);
        return undefined;
      };
      return { ...OPEN, refusalOf };
    }

    it('is checked once more, before anything is sent', async () => {
      const requests: string[] = [];
      const port = await portOf(
        createServer((request, response) => {
          requests.push(request.url ?? '');
          response.end('secret');
        }),
      );

      expect(await failureOf(`http://idp.test:${port}/keys`, {}, changingGuard())).to.equal(
        `http://idp.test:${port}/keys cannot be fetched: its address is forbidden and must not be dialled`,
      );
      expect(requests).to.deep.equal([]);
    });

    it('is checked once more over TLS', async () => {
      const { trustedCa, key, cert } = await tls();
      const port = await portOf(createTlsServer({ key, cert }, (_request, response) => response.end('secret')));

      expect(await failureOf(`https://idp.test:${port}/keys`, { trustedCa }, changingGuard())).to.include('its address is forbidden');
    });
  });
});

/** A certificate for idp.test. */
async function tls(): Promise<{ readonly trustedCa: readonly string[]; readonly key: string; readonly cert: string }> {
  const nowMs = Date.now();
  const authority = await issueAuthority(nowMs, 3_600_000);
  const serving = await issueServing(authority, ['idp.test'], { nowMs, validMs: 3_600_000 });
  return { trustedCa: [authority.certPem], key: serving.keyPem, cert: serving.certPem };
}
