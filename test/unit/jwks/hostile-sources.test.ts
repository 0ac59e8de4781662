/*
 * One namespace names hundreds of servers that hang: what it costs, and what another namespace notices. Servers and sockets are real; the clock
 * is not, so that deadlines pass when the test says so.
 */
import { execFile } from 'node:child_process';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { JwtRule } from '../../../src/api/istio/resources.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { PROMPT_MS, PROMPT_SLOTS, SLOW_SLOTS } from '../../../src/jwks/fetch-slots.ts';
import { createJwksCache, type JwksCache } from '../../../src/jwks/jwks-cache.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { freshJwks, json, type KeyServer, startKeyServer } from '../../support/key-server.ts';

const RULES = 400;
const MIB = 1024 * 1024;
const BENCH = join(import.meta.dirname, '../../bench/key-sources.ts');

/** Servers that accept requests and never end a response. */
class HangingServers {
  readonly #servers: Server[] = [];
  open = 0;
  most = 0;
  requests = 0;

  async start(count: number): Promise<readonly string[]> {
    const origins: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const server = createServer((_request, response) => {
        this.requests += 1;
        this.open += 1;
        this.most = Math.max(this.most, this.open);
        response.on('close', () => {
          this.open -= 1;
        });
        response.writeHead(200).write('{"keys":[');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      this.#servers.push(server);
      const address = server.address();
      origins.push(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
    }
    return origins;
  }

  stop(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

describe('sources of a hostile namespace', function () {
  let clock: FakeClock;
  let cache: JwksCache;
  let hanging: HangingServers;
  let keys: KeyServer;
  let stop: () => Promise<void>;
  beforeEach(async () => {
    clock = createFakeClock();
    hanging = new HangingServers();
    keys = await startKeyServer();
    const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: MIB, maxRedirects: 5 };
    cache = createJwksCache({ limits, clock, random: () => 1, logger: createLogger({ level: 'silent', component: 'test' }) });
    const stopping = new AbortController();
    const running = cache.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      await running;
    };
  });
  afterEach(async () => {
    await stop();
    hanging.stop();
    await keys.stop();
  });

  const rule = (jwksUri: string): JwtRule => ({ issuer: 'me', jwksUri, timeoutMs: 30_000 });
  const isFresh = (one: JwtRule, namespace: string): boolean => cache.stateOf(one, namespace).kind === 'fresh';

  it('delay a fetch of another namespace by a second at most, again and again', async () => {
    const origins = await hanging.start(RULES);
    keys.answer('/keys', json(freshJwks('one')));
    cache.want(
      'hostile',
      'hostile',
      origins.map((origin) => rule(`${origin}/keys`)),
    );
    await until(() => hanging.open === PROMPT_SLOTS, 'full prompt slots');
    for (const owner of ['root', 'tenant', 'third']) {
      const own = { ...rule(`${keys.origin}/keys`), issuer: owner, jwksUri: `${keys.origin}/keys?${owner}` };
      keys.answer(`/keys?${owner}`, json(freshJwks(owner)));
      cache.want(owner, owner, [own]);
      expect(isFresh(own, owner)).to.equal(false);
      clock.advance(PROMPT_MS);
      await until(() => isFresh(own, owner), `keys of ${owner}`);
      await until(() => hanging.open === PROMPT_SLOTS + SLOW_SLOTS, 'full slots');
    }
    expect(hanging.requests).to.be.below(RULES);
  });

  it('never have more than 16 connections', async () => {
    const origins = await hanging.start(RULES);
    cache.want(
      'hostile',
      'hostile',
      origins.map((origin) => rule(`${origin}/keys`)),
    );
    for (let second = 0; second < 20; second += 1) {
      const before = hanging.requests;
      await until(() => hanging.open >= PROMPT_SLOTS, 'full slots');
      clock.advance(PROMPT_MS);
      await until(() => hanging.requests > before, 'the next requests');
    }
    // A server may see the next connection before the end of the one that gave way.
    expect(hanging.most).to.be.at.most(PROMPT_SLOTS + SLOW_SLOTS + PROMPT_SLOTS);
    await until(() => hanging.open <= PROMPT_SLOTS + SLOW_SLOTS, 'the end of those that gave way');
  });

  it('end with their policy', async () => {
    const origins = await hanging.start(RULES);
    cache.want(
      'hostile',
      'hostile',
      origins.map((origin) => rule(`${origin}/keys`)),
    );
    await until(() => hanging.open === PROMPT_SLOTS, 'full slots');
    cache.want('hostile', 'hostile', []);
    await until(() => hanging.open === 0, 'the end of all');
    expect(clock.pending()).to.deep.equal([]);
    expect(cache.ages()).to.deep.equal([]);
  });

  it('do not delay others by discovery documents, redirects, bombs or large heads', async () => {
    const bomb = gzipSync(Buffer.alloc(8 * MIB));
    keys.answer('/a/.well-known/openid-configuration', () => undefined);
    keys.answer('/b/.well-known/openid-configuration', json({ jwks_uri: `${keys.origin}/b/hangs` }));
    keys.answer('/b/hangs', () => undefined);
    keys.answer('/redirects', (_request, response) => response.writeHead(302, { location: '/hangs' }).end());
    keys.answer('/hangs', () => undefined);
    keys.answer('/bomb', (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    keys.answer('/head', (_request, response) => response.writeHead(200, { 'x-large': 'x'.repeat(20_000) }).end());
    keys.answer('/keys', json(freshJwks('one')));
    const failing = [rule(`${keys.origin}/bomb`), rule(`${keys.origin}/head`)];
    const discovered = ['a', 'b'].map((name): JwtRule => ({ issuer: `${keys.origin}/${name}`, timeoutMs: 30_000 }));
    cache.want('hostile', 'hostile', [...failing, ...discovered, rule(`${keys.origin}/redirects`)]);
    cache.want('other', 'other', [rule(`${keys.origin}/keys`)]);

    await until(() => isFresh(rule(`${keys.origin}/keys`), 'other'), 'the keys');
    await until(() => failing.every((one) => cache.stateOf(one, 'hostile').kind === 'unavailable'), 'the refusals');
    expect(failing.map((one) => Reflect.get(cache.stateOf(one, 'hostile'), 'reason'))).to.deep.equal([
      `${keys.origin}/bomb responded with more than ${MIB} bytes`,
      `${keys.origin}/head cannot be fetched (HPE_HEADER_OVERFLOW)`,
    ]);
  });

  it('take little memory: 900 of them, almost 1 MiB each', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [BENCH, '--rules', '900', '--seconds', '3']);
    const result = JSON.parse(stdout) as { readonly mostMiB: number; readonly mostConnections: number };
    expect(result.mostMiB).to.be.below(256);
    expect(result.mostConnections).to.be.at.most(PROMPT_SLOTS + SLOW_SLOTS + PROMPT_SLOTS);
  });
});
