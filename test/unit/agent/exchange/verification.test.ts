/*
 * Requests whose tokens have to be verified, and others at the same time: what runs immediately, what waits for a turn, and what a client that
 * leaves costs. Turns of the event loop run when the test says so.
 */
import { expect } from 'chai';
import { EvaluationQueue } from '../../../../src/agent/exchange/evaluation-queue.ts';
import { systemClock } from '../../../../src/clock.ts';
import { createFilterChain, type FilterChain } from '../../../../src/filters/filter-chain.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { policy, programOf } from '../../filters/chains.ts';
import { ISSUER, makeKey, type SigningKey, sign } from '../../jwt/tokens.ts';
import { type MemoryStage, memoryStage } from '../memory-stage.ts';

describe('exchange: verification of tokens', () => {
  let key: SigningKey;
  let good: string;
  let nowMs = 0;
  let verifications = 0;
  let turns: (() => void)[] = [];
  let queue: EvaluationQueue;
  let filterChain: FilterChain;

  before(async () => {
    key = await makeKey('ES256');
    good = await sign(key);
  });

  beforeEach(() => {
    nowMs = 0;
    verifications = 0;
    turns = [];
    queue = new EvaluationQueue({ ...systemClock, nowMs: () => nowMs }, (run) => turns.push(run));
    filterChain = createFilterChain(
      programOf([policy('RequestAuthentication', 'ra', { jwtRules: [{ issuer: ISSUER, forwardOriginalToken: true }] })]),
      { keys: { source: 'test', keys: [key.publicKey] } },
      {
        deferVerification: true,
        // Every verification takes a whole turn.
        onVerification() {
          verifications += 1;
          nowMs += LIMITS.evaluationTurn.value;
        },
      },
    );
  });

  const connection = (): MemoryStage => memoryStage({ filterChain, evaluations: queue });
  const bearer = (token: string): { readonly headers: readonly string[] } => ({
    headers: ['host', 'a', 'authorization', `Bearer ${token}`],
  });
  const turn = (): void => turns.shift()?.();
  const drain = (): void => {
    while (turns.length > 0) turn();
  };
  const garbage = (at: number): string => `${good.slice(0, -8)}${String(at).padStart(8, 'A')}`;

  it('refuses a token that has expired when its turn comes', async () => {
    let wallMs = Date.now();
    const expiring = await sign(key, { exp: Math.floor(wallMs / 1000) + 1 });
    const { client, upstream } = memoryStage({ filterChain, evaluations: queue, clock: { ...systemClock, wallMs: () => wallMs } });
    client.request(bearer(expiring));
    wallMs += LIMITS.clockSkew.value + 2000;
    drain();
    expect(client.response).to.include({ status: 401, body: 'Jwt is expired' });
    expect(upstream.exchanges).to.deep.equal([]);
  });

  it('verifies a new token in a later turn, and never again', () => {
    const { client, upstream, records } = connection();
    client.request(bearer(good));
    expect(upstream.exchanges).to.have.length(0);
    expect(verifications).to.equal(0);
    turn();
    upstream.last.respond(200).finish();
    client.request(bearer(good));
    upstream.last.respond(200).finish();

    expect(upstream.exchanges).to.have.length(2);
    expect(verifications).to.equal(1);
    expect(records.map(({ status, verdict }) => [status, verdict?.principal])).to.deep.equal(Array(2).fill([200, `${ISSUER}/me`]));
  });

  it('answers requests with cached tokens, and those without, before the verifications of a flood', () => {
    const known = connection();
    known.client.request(bearer(good));
    drain();
    known.upstream.last.respond(200).finish();
    const flood = Array.from({ length: 16 }, connection);
    for (const [at, { client }] of flood.entries()) client.request(bearer(garbage(at)));
    known.client.request(bearer(good));
    const anonymous = connection();
    anonymous.client.request();

    expect(known.upstream.exchanges).to.have.length(2);
    expect(anonymous.upstream.exchanges).to.have.length(1);
    expect(verifications).to.equal(1);
    turn();
    expect(verifications).to.equal(2);
    expect(queue.length).to.equal(15);
    drain();
    expect(flood.map(({ client }) => [client.response.status, client.response.body])).to.deep.equal(
      Array(16).fill([401, 'Jwt verification fails']),
    );
  });

  it('refuses a token that was refused before without verifying it again', () => {
    const { client } = connection();
    client.request(bearer(garbage(1)));
    drain();
    client.request(bearer(garbage(1)));

    expect(client.responses.map(({ status }) => status)).to.deep.equal([401, 401]);
    expect(verifications).to.equal(1);
  });

  it('spends nothing on a client that leaves while its token waits', () => {
    const { client, upstream, records } = connection();
    client.request(bearer(good));
    client.disconnect();
    drain();

    expect(verifications).to.equal(0);
    expect(upstream.exchanges).to.have.length(0);
    expect(queue.length).to.equal(0);
    expect(records.map(({ details, verdict }) => [details, verdict?.outcome])).to.deep.equal([['downstream_remote_disconnect', 'none']]);
  });

  it('replies 503 to a request that waited for too long', () => {
    const { client, upstream, records } = connection();
    client.request(bearer(good));
    nowMs += LIMITS.evaluationWait.value + 1;
    drain();

    expect(client.response).to.include({ status: 503, body: 'too many requests wait for verification' });
    expect(upstream.exchanges).to.have.length(0);
    expect(records[0]).to.include({ details: 'verification_overload' });
    expect(records[0]?.verdict?.outcome).to.equal('reject');
  });

  it('evaluates a few requests of one read, and the others in later turns', () => {
    const most = LIMITS.requestsPerRead.value;
    const { client } = memoryStage({ evaluations: queue });
    for (let at = 0; at < most; at += 1) client.request({ target: '/no', more: true });
    expect(client.response.ended).to.equal('reply');
    client.request({ target: '/no' });

    expect(client.response.ended).to.equal(undefined);
    drain();
    expect(client.responses.map(({ status }) => status)).to.deep.equal(Array(most + 1).fill(403));
    client.request({ target: '/no' });
    expect(client.response.ended).to.equal('reply');
  });

  it('still evaluates after its chain was replaced, without a cache', () => {
    const { client, upstream } = connection();
    client.request(bearer(good));
    filterChain.release();
    drain();
    upstream.last.respond(200).finish();
    client.request(bearer(good));
    drain();

    expect(upstream.exchanges).to.have.length(2);
    expect(verifications).to.equal(2);
  });
});
