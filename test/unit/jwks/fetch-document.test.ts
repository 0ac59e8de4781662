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
