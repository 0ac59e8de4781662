/*
 * Keys of a real OpenID provider that rotates them, on a real API server with controllers and an agent as processes. What is stated: a key
 * is used within a second of its first use (within the cooldown while tokens with unknown keys are sent), and a removed one no longer after
 * the next fetch.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { SEEK_COOLDOWN_MS } from '../../src/jwks/refresher.ts';
import { RA } from '../support/controller-stage.ts';
import { SHOP, setUpFeed } from '../support/feed-stage.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { ownAddress } from '../support/key-server.ts';
import type { PodAgentProcess } from '../support/pod-agent-process.ts';
import { segment } from '../unit/jwt/tokens.ts';

/** More than the second that is stated, for a busy machine, and less than anything else that would bring the key. */
const SOON_MS = 5_000;

describe('keys that an agent lacks, on a real API server', function () {
  this.timeout(300_000);
  // Whatever keys come before the next regular fetch were asked for.
  const at = setUpFeed({ SALLYPORT_JWKS_REFRESH: '1h' });
  let provider: IdentityProvider;
  let agent: PodAgentProcess;
  let token: string;
  const specOf = (): object => ({
    selector: { matchLabels: { app: 'web' } },
    jwtRules: [{ issuer: provider.issuer, jwksUri: provider.jwksUri }],
  });
  const get = (bearer: string): Promise<number> => agent.get('/', bearer);
  /** A token with a key that does not exist. */
  const invented = (kid: string): string => {
    const [header, payload] = [
      { alg: 'ES256', kid },
      { iss: provider.issuer, aud: 'shop', exp: 4_102_444_800 },
    ];
    return `${segment(header)}.${segment(payload)}.${Buffer.alloc(64).toString('base64url')}`;
  };
  /** Milliseconds until the agent accepts a token. */
  const untilAccepted = async (bearer: string): Promise<number> => {
    const startedMs = Date.now();
    await at.see(async () => (await get(bearer)) === 200, 'the token to be accepted');
    return Date.now() - startedMs;
  };

  /** Runs `work` while four clients send requests. */
  const underLoad = async (send: () => Promise<void>, work: () => Promise<void>): Promise<void> => {
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) await send();
    };
    const clients = Array.from({ length: 4 }, client);
    try {
      await work();
    } finally {
      isOver = true;
      await Promise.all(clients);
    }
  };

  before(async () => {
    provider = await startIdentityProvider(ownAddress());
    await at.createPod('web');
    await at.cluster.policy(RA, 'jwt', SHOP, specOf());
    agent = await at.startAgent('web');
    token = await provider.token();
    await untilAccepted(token);
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
  });
  after(() => provider?.stop());

  it('come soon after the first use of a rotated key, for one fetch', async () => {
    const before = provider.fetches();
    provider.rotate('second', ['first']);
    const rotated = await provider.token();
    const tookMs = await untilAccepted(rotated);
    expect(tookMs).to.be.below(SOON_MS);
    expect([await get(token), provider.fetches() - before]).to.deep.equal([200, 1]);
  });

  it('cost one fetch in a cooldown when clients invent them, and a rotated key comes within it', async () => {
    // The cooldown of the fetch before may not be over, and a fetch may end after the response.
    const earlier = provider.fetches();
    await at.see(async () => {
      await get(invented('probe'));
      return provider.fetches() > earlier;
    }, 'the end of the cooldown');
    const [before, startedMs] = [provider.fetches(), Date.now()];
    for (let at = 0; at < 200; at += 1) expect(await get(invented(`invented-${at}`))).to.equal(401);
    provider.rotate('third', ['second', 'first']);
    const tookMs = await untilAccepted(await provider.token());
    const cooldowns = Math.ceil((Date.now() - startedMs) / SEEK_COOLDOWN_MS);
    expect(provider.fetches() - before).to.be.at.most(cooldowns);
    expect(tookMs).to.be.below(SEEK_COOLDOWN_MS + SOON_MS);
  });

  it('are fetched when the annotation of the policy changes, and a removed key is gone', async () => {
    expect(await get(token)).to.equal(200);
    provider.rotate('fourth');
    await at.cluster.apply({
      apiVersion: 'security.istio.io/v1',
      kind: RA,
      metadata: { name: 'jwt', namespace: SHOP, annotations: { 'sallyport.dev/refresh-keys': 'now' } },
      spec: specOf(),
    });
    await at.see(async () => (await get(token)) === 401, 'the removed key to be refused');
    expect(await get(await provider.token())).to.equal(200);
  });

  it('stay when another replica leads that has fetched them earlier only', async () => {
    const two = await at.startReplica('two');
    const fetches = async (): Promise<number> => (await two.metric('sallyport_jwks_fetch_total{result="success",namespace="shop"}')) ?? 0;
    await at.see(async () => (await fetches()) >= 1, 'the first fetch');
    const before = await fetches();
    provider.rotate('fifth');
    const rotated = await provider.token();
    await untilAccepted(rotated);
    const statuses = new Set<number>();
    await underLoad(
      async () => void statuses.add(await get(rotated)),
      async () => {
        await at.stopReplica('one');
        await at.untilLeading(two);
        await at.startReplica('one');
        // The other replica sends the agent to the leader if it is asked before it can relay.
        const streams = ['sallyport_feed_relayed_streams', 'sallyport_feed_streams'];
        await at.see(async () => (await Promise.all(streams.map((name) => two.metric(name)))).includes(1), 'the stream');
        await at.see(async () => (await fetches()) > before, 'the fetch');
        await at.see(async () => (await two.metric('workqueue_depth{name="workload"}')) === 0, 'the queue to empty');
      },
    );
    expect([...statuses]).to.deep.equal([200]);
  });

  it('come for one fetch of the leader when the agent holds its stream to another replica', async () => {
    const two = at.controller();
    await agent.stop();
    await at.see(async () => (await at.controllers.get('one')?.metric('sallyport_feed_relaying')) === 1, 'the connection to the leader');
    agent = await at.startAgent('web');
    await at.see(async () => (await two.metric('sallyport_feed_relayed_streams')) === 1, 'the stream, relayed by the other replica');
    await untilAccepted(await provider.token());
    // Each replica fetches the keys of new sources, and this one has started a moment ago.
    const fetches = 'sallyport_jwks_fetch_total{result="success",namespace="shop"}';
    await at.see(async () => ((await at.controllers.get('one')?.metric(fetches)) ?? 0) >= 1, 'the first fetch of the other replica');
    const before = provider.fetches();
    provider.rotate('sixth', ['fifth']);
    expect(await untilAccepted(await provider.token())).to.be.below(SOON_MS);
    expect(provider.fetches() - before).to.equal(1);
  });

  it('come and go under load: no valid token is refused after the stated delay, and none accepted after removal', async () => {
    for (const name of ['one', 'two']) await at.stopReplica(name);
    await at.untilLeading(await at.startReplica('one', { SALLYPORT_JWKS_REFRESH: '2s' }));
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
    interface Key {
      readonly token: string;
      firstUseMs?: number;
      removedMs?: number;
    }
    const keys = new Map<string, Key>();
    const [refused, accepted]: [number[], number[]] = [[], []];
    const sendAll = async (): Promise<void> => {
      for (const key of keys.values()) {
        const sentMs = Date.now();
        key.firstUseMs ??= sentMs;
        const isRemoved = key.removedMs !== undefined;
        const status = await get(key.token);
        if (!isRemoved && key.removedMs === undefined && status !== 200) refused.push(sentMs - key.firstUseMs);
        if (isRemoved && status !== 401) accepted.push(sentMs - (key.removedMs ?? 0));
      }
      await delay(1);
    };
    await underLoad(sendAll, async () => {
      for (let round = 1; round <= 5; round += 1) {
        const [kid, kept, gone] = [`load-${round}`, `load-${round - 1}`, keys.get(`load-${round - 2}`)];
        provider.rotate(kid, [kept]);
        if (gone !== undefined) gone.removedMs = Date.now();
        const key = { token: await provider.token() };
        keys.set(kid, key);
        await at.see(async () => (await get(key.token)) === 200, 'the new key');
        if (gone !== undefined) await at.see(async () => (await get(gone.token)) === 401, 'the removed key to be refused');
      }
    });
    expect(Math.max(0, ...refused), 'longest time in which a valid token was refused').to.be.below(SOON_MS);
    // The time between two fetches, and as above.
    expect(Math.max(0, ...accepted), 'longest time in which a token was accepted after the removal of its key').to.be.below(
      2_000 + SOON_MS,
    );
  });
});
