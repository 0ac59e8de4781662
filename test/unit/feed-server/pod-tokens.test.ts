import { expect } from 'chai';
import { FEED_AUDIENCE } from '../../../src/api/kube/agent-contract.ts';
import type { KubeClient } from '../../../src/cluster/client.ts';
import { TransientError } from '../../../src/errors.ts';
import { FeedRefusal } from '../../../src/feed-server/feed-refusal.ts';
import { createPodTokens, type PodTokens } from '../../../src/feed-server/pod-tokens.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { makeKey, type SigningKey, sign, unsigned } from '../jwt/tokens.ts';

const CLUSTER_ISSUER = 'https://kubernetes.default.svc.cluster.local';
const POD = { name: 'web-1', uid: 'uid-1' };

describe('tokens of pods', () => {
  let first: SigningKey;
  let second: SigningKey;
  let served: readonly SigningKey[];
  let reads: number;
  let clock: FakeClock;
  let tokens: PodTokens;
  let isDown: boolean;

  before(async () => {
    first = await makeKey('RS256', { kid: 'one' });
    second = await makeKey('ES256', { kid: 'two' });
  });
  beforeEach(() => {
    served = [first];
    reads = 0;
    isDown = false;
    clock = createFakeClock();
    const request: KubeClient['request'] = async ({ path }) => {
      if (isDown) throw new TransientError('SP_KUBE_API', 'down');
      if (path === '/openid/v1/jwks') reads += 1;
      return {
        status: 200,
        json: path === '/openid/v1/jwks' ? { keys: served.map(({ publicKey }) => publicKey) } : { issuer: CLUSTER_ISSUER },
      };
    };
    tokens = createPodTokens({ client: { request } as KubeClient, clock });
  });

  const seconds = (): number => Math.floor(clock.wallMs() / 1000);
  const tokenOf = (over: Readonly<Record<string, unknown>> = {}, key = first): Promise<string> =>
    sign(
      key,
      {
        iss: CLUSTER_ISSUER,
        aud: [FEED_AUDIENCE],
        exp: seconds() + 3600,
        'kubernetes.io': { namespace: 'foo', pod: POD, serviceaccount: { name: 'default', uid: 's' } },
        ...over,
      },
      { kid: key.publicKey['kid'] },
    );
  const verify = async (token: string): Promise<unknown> => {
    try {
      return await tokens.verify(token, new AbortController().signal);
    } catch (error) {
      return error instanceof FeedRefusal ? error.reason : error;
    }
  };

  it('name the pod that they are bound to', async () => {
    expect(await verify(await tokenOf())).to.deep.equal({
      namespace: 'foo',
      ...POD,
      serviceAccount: 'default',
      expiresMs: (seconds() + 3600) * 1000,
    });
  });

  it('are refused with another audience, issuer or key, expired, unbound, unsigned or too long', async () => {
    const bad = [
      await tokenOf({ aud: ['https://kubernetes.default.svc'] }),
      await tokenOf({ aud: undefined }),
      await tokenOf({ iss: 'https://issuer.example' }),
      await tokenOf({ exp: seconds() - 1 }),
      await tokenOf({ exp: undefined }),
      await tokenOf({ nbf: seconds() + 60 }),
      await tokenOf({ 'kubernetes.io': { namespace: 'foo', serviceaccount: { name: 'default', uid: 's' } } }),
      await tokenOf({ sub: 'x'.repeat(9000) }),
      await tokenOf({}, second),
      unsigned({ iss: CLUSTER_ISSUER, aud: FEED_AUDIENCE }),
      unsigned({ iss: CLUSTER_ISSUER, aud: FEED_AUDIENCE }, { alg: 'none' }),
      'no token',
      '',
    ];
    for (const token of bad) expect(await verify(token), token.slice(0, 80)).to.equal('token');
  });

  it('are verified with keys that were added since, read once for all unknown keys in five seconds', async () => {
    await verify(await tokenOf());
    clock.advance(5_000);
    served = [second];
    const rotated = await tokenOf({}, second);
    const answers = await Promise.all(Array.from({ length: 20 }, () => verify(rotated)));
    expect(answers.every((answer) => typeof answer === 'object')).to.equal(true);
    expect(reads).to.equal(2);
    const stranger = await makeKey('ES256', { kid: 'three' });
    const strange = await tokenOf({}, stranger);
    for (let times = 0; times < 20; times += 1) expect(await verify(strange)).to.equal('token');
    expect(reads).to.equal(2);
  });

  it('are verified with the last keys while the API server is down, and not at all before the first read', async () => {
    isDown = true;
    expect(await verify(await tokenOf())).to.equal('unavailable');
    isDown = false;
    clock.advance(5_000);
    expect(await verify(await tokenOf())).to.be.an('object');
    isDown = true;
    clock.advance(20 * 60_000);
    expect(await verify(await tokenOf())).to.be.an('object');
  });
});
