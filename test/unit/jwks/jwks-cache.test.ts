import { expect } from 'chai';
import type { JwtRule } from '../../../src/api/istio/resources.ts';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache, EVERY_NAMESPACE, type JwksCache, type KeysChange } from '../../../src/jwks/jwks-cache.ts';
import { SEEK_COOLDOWN_MS } from '../../../src/jwks/refresher.ts';
import { kidHash } from '../../../src/jwt/kid-hash.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { freshJwks, json, type KeyServer, startKeyServer } from '../../support/key-server.ts';

const silent = createLogger({ level: 'silent', component: 'test' });
let warnings: object[];
let notes: (readonly [fields: object, message: string])[];
const logger = Object.assign(Object.create(silent), {
  warn: (fields: object) => void warnings.push(fields),
  info: (fields: object, message: string) => void notes.push([fields, message]),
});
const MINUTE = 60_000;

let server: KeyServer;
let clock: FakeClock;
let jwksCache: JwksCache;
let changes: KeysChange[];
let finished: number;
let outcomes: string[];
let stop: () => Promise<void>;
let rule: JwtRule;

/** Starts a key server and a cache with a fake clock before each test. */
function useCache(): void {
  beforeEach(async () => {
    server = await startKeyServer();
    rule = { issuer: 'me', jwksUri: `${server.origin}/keys` };
    clock = createFakeClock();
    changes = [];
    warnings = [];
    notes = [];
    const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1 << 20, maxRedirects: 5 };
    finished = 0;
    outcomes = [];
    const observer = {
      onFetch: (outcome: string) => {
        finished += 1;
        outcomes.push(outcome);
      },
    };
    // Deadlines are on the fake clock, too: real ones would fire too late for these tests.
    jwksCache = createJwksCache({ limits, clock, random: () => 1, logger, observer });
    jwksCache.subscribe((change) => changes.push(change));
    const stopping = new AbortController();
    const running = jwksCache.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      await running;
    };
  });
  afterEach(async () => {
    await stop();
    await server.stop();
  });
}

const kids = (namespace = 'foo'): readonly (string | undefined)[] | undefined =>
  jwksCache.keySetOf(rule, { policy: 'foo', bundle: namespace })?.keys.map((key) => key['kid']);
const requests = (count: number): Promise<void> =>
  until(() => server.requests.length === count && finished === count, `${count} responses`);

describe('JWKS cache, when sources respond', () => {
  useCache();

  it('fetches a new source immediately and notifies its owners', async () => {
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('policy', 'foo', [rule]);
    expect(jwksCache.isPending(rule, { policy: 'foo', bundle: 'foo' })).to.equal(true);
    expect(jwksCache.stateOf(rule, 'foo').kind).to.equal('pending');
    await until(() => changes.length === 1, 'a change');

    expect(changes).to.deep.equal([{ owners: ['policy'], keys: true }]);
    expect(notes).to.deep.include([{ url: rule.jwksUri, keys: 1 }, 'keys changed']);
    expect(kids()).to.deep.equal(['one']);
    expect(jwksCache.isPending(rule, { policy: 'foo', bundle: 'foo' })).to.equal(false);
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.equal({ kind: 'fresh', url: rule.jwksUri, leftOut: [] });
  });

  it('does not use keys that are too large, and says so', async () => {
    const [key] = freshJwks('one').keys;
    server.answer('/keys', json({ keys: Array.from({ length: 100 }, (_, at) => ({ ...key, kid: `${at}`.padStart(3000, 'k') })) }));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);

    expect(kids()).to.equal(undefined);
    expect(jwksCache.stateOf(rule, 'foo')).to.include({
      kind: 'unavailable',
      reason: `${rule.jwksUri} cannot be used: its keys take more than 256 KiB`,
    });
  });

  it('fetches a source once when several policies want it, and notifies all of them', async () => {
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('a', 'foo', [rule, { ...rule, issuer: 'other' }]);
    jwksCache.want('b', 'foo', [rule]);
    await until(() => changes.length === 1, 'a change');

    expect(server.requests).to.deep.equal(['/keys']);
    expect(changes[0]?.owners).to.deep.equal(['a', 'b']);
  });

  it('does not fetch a source again because another namespace wants it', async () => {
    const other = { ...rule, jwksUri: `${server.origin}/other` };
    server.answer('/keys', json(freshJwks('one')));
    server.answer('/other', json(freshJwks('two')));
    jwksCache.want('a', 'foo', [rule]);
    await requests(1);
    jwksCache.want('b', 'bar', [rule, other]);
    await until(() => jwksCache.stateOf(other, 'bar').kind === 'fresh', 'the other source');
    expect(server.requests).to.deep.equal(['/keys', '/other']);
    expect(kids('bar')).to.deep.equal(['one']);
  });

  it('reports the keys of a set that it does not use, with its place, and again only when that changes', async () => {
    const good = freshJwks('good').keys;
    const odd = { kty: 'EC', crv: 'secp256k1', kid: 'odd' };
    const leftOut = ['keys[1] (kid "odd"): [crv] or [alg] field is not supported for an EC key'];
    server.answer('/keys', json({ keys: [...good, odd] }));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    clock.advance(20 * MINUTE);
    await requests(2);
    expect(kids()).to.deep.equal(['good']);
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.equal({ kind: 'fresh', url: rule.jwksUri, leftOut });
    expect(warnings).to.deep.equal([{ code: 'SP_JWKS', url: rule.jwksUri, leftOut }]);
    expect(changes).to.have.length(1);

    server.answer('/keys', json({ keys: good }));
    clock.advance(20 * MINUTE);
    await until(() => changes.length === 2, 'the change');
    expect(changes[1]).to.deep.equal({ owners: ['policy'], keys: false });
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.include({ leftOut: [] });
    expect(warnings).to.have.length(1);
  });

  it('uses rotated keys after the next refresh, and notifies only when keys change', async () => {
    const first = freshJwks('one');
    server.answer('/keys', json(first));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    clock.advance(20 * MINUTE);
    await requests(2);
    expect(changes).to.have.length(1);

    server.answer('/keys', json(freshJwks('two')));
    clock.advance(20 * MINUTE);
    await until(() => changes.length === 2, 'the rotation');
    expect(kids()).to.deep.equal(['two']);
  });

  const ages = [
    { header: 'max-age=300', delayMs: 5 * MINUTE },
    { header: 'max-age=1', delayMs: MINUTE },
    { header: 'no-store', delayMs: MINUTE },
    { header: 'public, max-age=86400', delayMs: 20 * MINUTE },
    { header: 'public', delayMs: 20 * MINUTE },
  ];
  for (const { header, delayMs } of ages) {
    it(`refreshes after ${delayMs / MINUTE} minutes when Cache-Control is "${header}"`, async () => {
      server.answer('/keys', json(freshJwks('one'), { 'cache-control': header }));
      jwksCache.want('policy', 'foo', [rule]);
      await requests(1);
      expect(clock.pending()).to.deep.equal([delayMs]);
    });
  }
});

describe('JWKS cache, when a key is sought', () => {
  useCache();
  const seek = (kid: string): string | undefined => jwksCache.seek(rule, 'foo', kid === '' ? '' : kidHash(kid));
  const begin = async (): Promise<void> => {
    server.answer('/keys', json(freshJwks('old')));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
  };

  it('fetches the source now, once for all who seek it, and not for a key that it has', async () => {
    await begin();
    server.answer('/keys', json(freshJwks('new')));
    expect(['new', 'new', 'other'].map(seek)).to.deep.equal(['fetch', 'held', 'held']);
    await requests(2);
    expect(kids()).to.deep.equal(['new']);
    expect(seek('new')).to.equal('known');
    expect(jwksCache.seek({ issuer: 'me', jwksUri: 'https://other.example' }, 'foo', kidHash('new'))).to.equal(undefined);
    expect(clock.pending()).to.deep.equal([20 * MINUTE]);
  });

  it('costs one fetch in each cooldown, however many keys are invented', async () => {
    await begin();
    for (let at = 0; at < 60; at += 1) {
      for (let times = 0; times < 10; times += 1) seek(`invented-${at}-${times}`);
      // Whatever is due has run before more is sought.
      await requests(2 + Math.floor((at * 1_000) / SEEK_COOLDOWN_MS));
      clock.advance(1_000);
    }
    await requests(2 + 60_000 / SEEK_COOLDOWN_MS);
  });

  it('looks again for a key that was sought while a fetch was in progress', async () => {
    await begin();
    let respond = (): void => undefined;
    const held = freshJwks('old');
    server.answer('/keys', (request, response) => {
      respond = () => json(held)(request, response);
    });
    seek('new');
    await until(() => server.requests.length === 2, 'the fetch');
    expect(seek('new')).to.equal('held');
    server.answer('/keys', json(freshJwks('new')));
    respond();
    await requests(2);
    await until(() => clock.pending()[0] === SEEK_COOLDOWN_MS, 'the next fetch');
    clock.advance(SEEK_COOLDOWN_MS);
    await requests(3);
    expect(kids()).to.deep.equal(['new']);
  });

  it('does not put off a fetch that is due sooner, nor one of a source that fails', async () => {
    server.answer('/keys', (_request, response) => response.writeHead(500).end());
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    expect(seek('new')).to.equal('fetch');
    await requests(2);
    await until(() => clock.pending()[0] === 2_000, 'the retry');
    expect(seek('new')).to.equal('held');
    expect(clock.pending()).to.deep.equal([2_000]);
  });

  it('uses the keys of a bundle that another process published later, until the source has been fetched', async () => {
    await begin();
    const published = { source: 'bundle', keys: [{ kty: 'EC', kid: 'new' }] };
    server.answer('/keys', json(freshJwks('new')));
    jwksCache.seed(rule, published, { policy: 'foo', bundle: 'foo' });
    expect([kids('foo'), kids('bar')]).to.deep.equal([['new'], ['old']]);
    await requests(2);
    expect([kids('foo'), kids('bar')]).to.deep.equal([['new'], ['new']]);
  });

  it('reports a change when the source still has what it had before that bundle', async () => {
    const same = freshJwks('old');
    server.answer('/keys', json(same));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    jwksCache.seed(rule, { source: 'bundle', keys: [{ kty: 'EC', kid: 'stale' }] }, { policy: 'foo', bundle: 'foo' });
    await until(() => changes.length === 2, 'the change');
    expect([changes[1]?.keys, kids('foo')]).to.deep.equal([true, ['old']]);
    const keySet = jwksCache.keySetOf(rule, { policy: 'foo', bundle: 'foo' }) as KeySet;
    jwksCache.seed(rule, { ...keySet, source: 'bundle' }, { policy: 'foo', bundle: 'foo' });
    expect(clock.pending()).to.deep.equal([20 * MINUTE]);
  });
});

describe('JWKS cache, when a source fails', () => {
  useCache();

  it('has no keys when the source never succeeds, retries with growing delays, and recovers', async () => {
    jwksCache.want('policy', 'foo', [rule]);
    for (const [index, delayMs] of [1_000, 2_000, 4_000, 8_000].entries()) {
      await requests(index + 1);
      expect(clock.pending()).to.deep.equal([delayMs]);
      clock.advance(delayMs);
    }
    await requests(5);

    expect(kids()).to.equal(undefined);
    expect(jwksCache.isPending(rule, { policy: 'foo', bundle: 'foo' })).to.equal(false);
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.equal({
      kind: 'unavailable',
      url: rule.jwksUri,
      reason: `${rule.jwksUri} responded with status 404`,
    });
    expect(changes).to.deep.equal([{ owners: ['policy'], keys: false }]);

    server.answer('/keys', json(freshJwks('one')));
    clock.advance(16_000);
    await until(() => changes.length === 2, 'recovery');
    expect(changes[1]).to.deep.equal({ owners: ['policy'], keys: true });
    expect(jwksCache.stateOf(rule, 'foo').kind).to.equal('fresh');
  });

  it('keeps the last good keys when the source fails, and reports the failure', async () => {
    const good = freshJwks('one');
    server.answer('/keys', json(good));
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    server.answer('/keys', json({ keys: [] }));
    clock.advance(20 * MINUTE);
    await until(() => changes.length === 2, 'the failure');

    expect(changes[1]).to.deep.equal({ owners: ['policy'], keys: false });
    expect(kids()).to.deep.equal(['one']);
    expect(jwksCache.stateOf(rule, 'foo').kind).to.equal('stale');

    server.answer('/keys', json(good));
    await until(() => clock.pending().length > 0, 'the next attempt');
    clock.advance(1_000);
    await until(() => changes.length === 3, 'the recovery');
    expect(changes[2]).to.deep.equal({ owners: ['policy'], keys: false });
  });

  it('fetches a source while another does not respond', async () => {
    server.answer('/silent', () => undefined);
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('slow', 'foo', [{ issuer: 'slow', jwksUri: `${server.origin}/silent` }]);
    await until(() => server.requests.length === 1, 'the slow request');
    jwksCache.want('policy', 'foo', [rule]);
    await until(() => changes.length === 1, 'the keys');

    expect(kids()).to.deep.equal(['one']);
    clock.advance(5_000);
    await until(() => changes.length === 2, 'the deadline of the slow one');
    expect(jwksCache.stateOf({ issuer: 'slow', jwksUri: `${server.origin}/silent` }, 'foo')).to.have.property('kind', 'unavailable');
  });

  it('fetches a source that waits behind many others soon when another namespace comes to want it', async () => {
    const many = Array.from({ length: 60 }, (_, at) => ({ issuer: 'me', jwksUri: `${server.origin}/hanging/${at}` }));
    for (const { jwksUri } of many) server.answer(new URL(jwksUri).pathname, () => undefined);
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('many', 'bar', [...many, rule]);
    await until(() => server.requests.length === 12, 'the first fetches');
    jwksCache.want('policy', 'foo', [rule]);
    clock.advance(1_000);
    await until(() => server.requests.length >= 16, 'the next fetches');

    expect(server.requests).to.include('/keys');
    expect(server.requests.length).to.be.below(30);
    await until(() => jwksCache.stateOf(rule, 'foo').kind === 'fresh', 'the keys');
    jwksCache.want('many', 'bar', []);
  });

  for (const [timeoutMs, endMs] of [
    [200, 200],
    [60_000, 30_000],
  ] as const) {
    it(`gives a source ${endMs} ms when a rule says ${timeoutMs}`, async () => {
      server.answer('/keys', () => undefined);
      jwksCache.want('policy', 'foo', [{ ...rule, timeoutMs }]);
      await until(() => server.requests.length === 1, 'the request');
      expect(clock.pending()).to.include(endMs);
      clock.advance(endMs);
      await until(() => changes.length === 1, 'the deadline');
      expect(jwksCache.stateOf(rule, 'foo')).to.have.property('reason', `${rule.jwksUri} did not respond in time`);
    });
  }
});

describe('JWKS cache, what it logs of failures', () => {
  useCache();

  it('logs a failure once, and the same one again after a success', async () => {
    jwksCache.want('policy', 'foo', [rule]);
    await requests(1);
    clock.advance(1_000);
    await requests(2);
    expect(warnings).to.have.length(1);

    server.answer('/keys', json(freshJwks('one')));
    clock.advance(2_000);
    await requests(3);
    server.answer('/keys', (_request, response) => response.writeHead(404).end());
    clock.advance(20 * MINUTE);
    await requests(4);
    expect(warnings).to.have.length(2);
    expect(outcomes).to.deep.equal(['failure', 'failure', 'success', 'failure']);
  });

  it('logs a failure once whose message is longer than what is kept of it', async () => {
    const path = `/${'k'.repeat(256)}`;
    server.answer(path, json({ keys: [{ kty: 'EC', kid: '\u0001'.repeat(64) }] }));
    jwksCache.want('policy', 'foo', [{ issuer: 'me', jwksUri: `${server.origin}${path}` }]);
    await requests(1);
    clock.advance(1_000);
    await requests(2);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.have.nested.property('err.message').that.has.length.above(512);
  });
});

describe('JWKS cache, by policy and namespace', () => {
  useCache();

  it('removes a source when no policy wants it any longer', async () => {
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('a', 'foo', [rule]);
    jwksCache.want('b', 'foo', [rule]);
    await requests(1);
    jwksCache.want('a', 'foo', []);
    expect(kids()).to.deep.equal(['one']);

    jwksCache.want('b', 'foo', []);
    expect(kids()).to.equal(undefined);
    expect(clock.pending()).to.deep.equal([]);
    expect(jwksCache.ages()).to.deep.equal([]);
  });

  it('uses keys of a published bundle for its own namespace only, until a fetch succeeds', async () => {
    jwksCache.want('policy', 'foo', [rule]);
    jwksCache.seed(rule, { source: 'bundle', keys: [{ kty: 'EC', kid: 'seeded' }] }, { policy: 'foo', bundle: 'foo' });
    await requests(1);
    expect(kids('foo')).to.deep.equal(['seeded']);
    expect(kids('bar')).to.equal(undefined);
    expect(jwksCache.stateOf(rule, 'foo').kind).to.equal('stale');
    expect(jwksCache.stateOf(rule, 'bar').kind).to.equal('unavailable');

    server.answer('/keys', json(freshJwks('one')));
    clock.advance(1_000);
    await until(() => changes.length === 2, 'the fetch');
    expect(kids('foo')).to.deep.equal(['one']);
    expect(kids('bar')).to.deep.equal(['one']);
  });

  it('uses keys for every namespace only while no fetch has succeeded and there are no others', async () => {
    server.answer('/keys', (_request, response) => response.writeHead(500).end());
    jwksCache.want('policy', 'foo', [rule]);
    const seed = (kid: string, bundle: string): void =>
      jwksCache.seed(rule, { source: 'bundle', keys: [{ kty: 'EC', kid }] }, { policy: 'foo', bundle });
    seed('own', 'foo');
    seed('newest', EVERY_NAMESPACE);
    expect([kids('foo'), kids('new')]).to.deep.equal([['own'], ['newest']]);
    expect(jwksCache.isPending(rule, { policy: 'foo', bundle: 'new' })).to.equal(false);
    await requests(1);
    expect(kids('new')).to.deep.equal(['newest']);
    server.answer('/keys', json(freshJwks('one')));
    clock.advance(1_000);
    await until(() => changes.length === 2, 'the fetch');
    seed('older', EVERY_NAMESPACE);
    expect([kids('foo'), kids('new')]).to.deep.equal([['one'], ['one']]);
  });

  it('keeps the first keys of a bundle, whatever bundles come later', async () => {
    jwksCache.want('policy', 'foo', [rule]);
    for (const kid of ['first', 'second'])
      jwksCache.seed(rule, { source: 'bundle', keys: [{ kty: 'EC', kid }] }, { policy: 'foo', bundle: 'foo' });
    expect(kids('foo')).to.deep.equal(['first']);

    server.answer('/keys', json(freshJwks('one')));
    await until(() => changes.length === 1, 'the fetch');
    expect(kids('foo')).to.deep.equal(['one']);
  });

  it('distinguishes a source that is yet to be fetched from one that a namespace has too many of', () => {
    const many = Array.from({ length: 4_097 }, (_, at) => ({ issuer: 'me', jwksUri: `${server.origin}/${at}` }));
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.equal({ kind: 'pending', url: rule.jwksUri });

    jwksCache.want('policy', 'foo', many);
    expect(jwksCache.stateOf(rule, 'foo')).to.deep.equal({
      kind: 'unavailable',
      url: rule.jwksUri,
      reason: 'the policies of this namespace name more than 4096 key sources',
    });
    expect(jwksCache.stateOf(rule, 'bar').kind).to.equal('pending');
    jwksCache.want('policy', 'foo', []);
  });

  it('returns the age of each key set', async () => {
    server.answer('/keys', json(freshJwks('one')));
    jwksCache.want('policy', 'foo', [rule]);
    expect(jwksCache.ages()).to.deep.equal([{ namespaces: new Set(['foo']), ageSeconds: undefined }]);
    await until(() => jwksCache.ages()[0]?.ageSeconds === 0, 'fetched keys');
    clock.advance(90_000);
    expect(jwksCache.ages()).to.deep.equal([{ namespaces: new Set(['foo']), ageSeconds: 90 }]);
  });

  it('fetches nothing for inline keys', () => {
    const inline: JwtRule = { issuer: 'me', jwks: '{"keys":[]}' };
    jwksCache.want('policy', 'foo', [inline]);
    expect(jwksCache.stateOf(inline, 'foo')).to.deep.equal({ kind: 'inline' });
    expect(jwksCache.ages()).to.deep.equal([]);
  });
});
