/*
 * The agent's table of pod identities: what counts, for how long, and for which connections.
 */
import { expect } from 'chai';
import { PodIdentities } from '../../../../src/agent/bundles/pod-identities.ts';
import {
  encodeUpdate,
  IDENTITY_MAX_AGE_MS,
  type IdentityEntry,
  type IdentityUpdate,
  parseQuestion,
} from '../../../../src/feed/identities.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { ConnectionFacts } from '../../../../src/policy/facts.ts';

const A: IdentityEntry = ['10.0.0.1', 'shop', 'a', 'owner-a'];
const B: IdentityEntry = ['10.0.0.1', 'shop', 'b', 'owner-b'];
const connection = (): ConnectionFacts => ({ sourceIp: '10.0.0.1', destinationIp: '', destinationPort: 80, sni: '', tls: false });

describe('pod identities of an agent', () => {
  let [nowMs, wallMs] = [1_000.5, 5_000_000];
  let identities: PodIdentities;
  const apply = (update: IdentityUpdate): void => identities.apply(encodeUpdate(update));
  const table = (put: readonly IdentityEntry[], version = 1): void =>
    apply({ kind: 'table', version, isFirst: true, isLast: true, trustDomain: 'cluster.local', put });
  const ask = (): number => parseQuestion(identities.question())?.askedMs ?? -1;
  const confirm = (version: number, askedMs = ask()): void => apply({ kind: 'current', version, askedMs });
  const known = (at: ConnectionFacts = connection()): string | undefined => identities.identityOf(at)?.uris[0];
  const pass = (ms: number): void => {
    nowMs += ms;
    wallMs += ms;
  };
  beforeEach(() => {
    [nowMs, wallMs] = [1_000.5, 5_000_000];
    identities = new PodIdentities(LIMITS, { nowMs: () => nowMs, wallMs: () => wallMs });
  });

  it('count once a question is answered, from when it was asked', () => {
    const askedMs = ask();
    table([A]);
    expect(known()).to.equal(undefined);
    pass(10_000);
    confirm(1, askedMs);
    expect([known(), identities.size]).to.deep.equal(['spiffe://cluster.local/ns/shop/sa/a', 1]);
    pass(IDENTITY_MAX_AGE_MS - 10_000);
    expect(known()).not.to.equal(undefined);
    pass(1);
    expect([known(), identities.size]).to.deep.equal([undefined, 0]);
  });

  it('are unknown after a suspension that only one clock has seen', () => {
    table([A]);
    confirm(1);
    wallMs += IDENTITY_MAX_AGE_MS + 1;
    expect(known()).to.equal(undefined);
    wallMs -= 10 * IDENTITY_MAX_AGE_MS;
    expect(known()).not.to.equal(undefined);
    nowMs += IDENTITY_MAX_AGE_MS + 1;
    expect(known()).to.equal(undefined);
  });

  it('do not count after an answer to no question, or for another version', () => {
    table([A]);
    confirm(1, 999_999);
    expect(known()).to.equal(undefined);
    table([A]);
    confirm(2);
    expect(known()).to.equal(undefined);
  });

  for (const [what, update] of [
    ['a gap', { kind: 'change', from: 7, version: 8, put: [], drop: [] }],
    ['a part without a first one', { kind: 'table', version: 9, isFirst: false, isLast: true, trustDomain: '', put: [] }],
  ] as const) {
    it(`are dropped after ${what}, and asked for as a whole`, () => {
      table([A]);
      confirm(1);
      apply(update);
      expect(known()).to.equal(undefined);
      expect(parseQuestion(identities.question())?.version).to.equal(0);
    });
  }

  it('are dropped after an update that cannot be read', () => {
    table([A]);
    confirm(1);
    identities.apply(Buffer.from('{'));
    expect(known()).to.equal(undefined);
  });

  it('follow changes, and stay on a new stream until they are too old or replaced', () => {
    table([A]);
    confirm(1);
    apply({ kind: 'change', from: 1, version: 2, put: [B], drop: [] });
    expect(known()).to.equal('spiffe://cluster.local/ns/shop/sa/b');
    identities.reconnect();
    expect([known(), parseQuestion(identities.question())?.version]).to.deep.equal(['spiffe://cluster.local/ns/shop/sa/b', 0]);
    apply({ kind: 'table', version: 50, isFirst: true, isLast: false, trustDomain: 'other.example', put: [] });
    expect(known()).to.equal('spiffe://cluster.local/ns/shop/sa/b');
    apply({ kind: 'table', version: 50, isFirst: false, isLast: true, trustDomain: 'other.example', put: [A] });
    confirm(50);
    expect(known()).to.equal('spiffe://other.example/ns/shop/sa/a');
    apply({ kind: 'change', from: 50, version: 51, put: [], drop: ['10.0.0.1'] });
    expect(known()).to.equal(undefined);
  });

  it('stay until the next table is confirmed, but never for longer than they count', () => {
    table([A]);
    confirm(1);
    identities.reconnect();
    pass(IDENTITY_MAX_AGE_MS - 5_000);
    const askedMs = ask();
    table([B], 50);
    apply({ kind: 'change', from: 50, version: 51, put: [['10.0.0.2', 'shop', 'c', 'owner-c']], drop: [] });
    expect([known(), identities.size, identities.ageMs]).to.deep.equal([
      'spiffe://cluster.local/ns/shop/sa/a',
      1,
      IDENTITY_MAX_AGE_MS - 5_000,
    ]);
    pass(5_001);
    expect([known(), identities.isCurrent]).to.deep.equal([undefined, false]);
    confirm(51, askedMs);
    expect([known(), identities.size, identities.ageMs]).to.deep.equal(['spiffe://cluster.local/ns/shop/sa/b', 2, 5_001]);
  });

  it('are not confirmed on a new stream before its table has come', () => {
    table([A]);
    confirm(1);
    identities.reconnect();
    pass(IDENTITY_MAX_AGE_MS);
    confirm(0);
    expect(known()).to.equal(undefined);
  });

  it('never pass from one pod to another on one connection', () => {
    table([A]);
    confirm(1);
    const open = connection();
    expect(known(open)).to.equal('spiffe://cluster.local/ns/shop/sa/a');
    apply({ kind: 'change', from: 1, version: 2, put: [B], drop: [] });
    expect([known(open), known()]).to.deep.equal([undefined, 'spiffe://cluster.local/ns/shop/sa/b']);
    apply({ kind: 'change', from: 2, version: 3, put: [A], drop: [] });
    expect(known(open)).to.equal('spiffe://cluster.local/ns/shop/sa/a');
  });
});
