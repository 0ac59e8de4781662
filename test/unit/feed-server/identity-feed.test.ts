/*
 * Who gets the table of pod identities: agents that ask, as a whole once and then what changes, unless they do not read.
 */
import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { parseUpdate } from '../../../src/feed/identities.ts';
import { IdentityFeed, type IdentitySink } from '../../../src/feed-server/identity-feed.ts';
import { COLLECT_MS, HOLD_MS } from '../../../src/feed-server/identity-table.ts';
import { createStore, type Store } from '../../../src/state/store.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

interface Agent extends IdentitySink {
  backlog: number;
  readonly got: string[];
  /** Writes that the socket has not taken. */
  readonly unwritten: (() => void)[];
  isReading: boolean;
}

function agent(): Agent {
  const one: Agent = {
    backlog: 0,
    got: [],
    unwritten: [],
    isReading: true,
    sendIdentities: (payload, onWritten) => {
      const update = parseUpdate(payload);
      one.got.push(update === undefined ? 'invalid' : `${update.kind} ${update.version}${'put' in update ? ` +${update.put.length}` : ''}`);
      if (one.isReading) onWritten();
      else one.unwritten.push(onWritten);
    },
  };
  return one;
}

describe('the feed of pod identities', () => {
  let clock: FakeClock;
  let pods: Store<SlimPod>;
  let feed: IdentityFeed;
  let [isEnabled, isCurrent, trustDomain] = [true, true, 'cluster.local'];
  const put = (at: number): void =>
    pods.upsert({
      namespace: 'shop',
      name: `p${at}`,
      uid: `u${at}`,
      labels: {},
      annotations: {},
      phase: 'Running',
      podIP: `10.0.${at >> 8}.${at & 255}`,
      serviceAccount: 'web',
    });
  const settle = (): void => clock.advance(HOLD_MS + COLLECT_MS);

  beforeEach(() => {
    [isEnabled, isCurrent, trustDomain] = [true, true, 'cluster.local'];
    clock = createFakeClock();
    pods = createStore<SlimPod, never>({ keyOf: ({ namespace, name }) => `${namespace}/${name}` as never, indexes: {}, same: () => false });
    feed = new IdentityFeed({ clock, pods, isEnabled: () => isEnabled, isCurrent: () => isCurrent, trustDomain: () => trustDomain });
  });
  afterEach(() => feed.stop());

  it('sends the whole table in parts, then changes, then confirmations only', () => {
    for (let at = 0; at < 1_500; at += 1) put(at);
    settle();
    const one = agent();
    feed.ask(one, { version: 0, askedMs: 1 });
    expect(one.got.splice(0)).to.deep.equal(['table 2 +1000', 'table 2 +500', 'current 2']);
    put(1_500);
    settle();
    feed.ask(one, { version: 3, askedMs: 2 });
    expect(one.got).to.deep.equal(['change 3 +1', 'current 3']);
    expect([feed.size, feed.subscribers]).to.deep.equal([1_501, 1]);
  });

  it('sends nothing to agents that have not asked, and while the pods may be out of date', () => {
    const [one, other] = [agent(), agent()];
    put(1);
    settle();
    isCurrent = false;
    feed.ask(one, { version: 0, askedMs: 1 });
    expect([one.got, other.got]).to.deep.equal([[], []]);
  });

  it('answers with an empty table while it is off, and with the whole table once it is on', () => {
    const one = agent();
    put(1);
    settle();
    [isEnabled, isCurrent] = [false, false];
    feed.ask(one, { version: 0, askedMs: 1 });
    put(2);
    settle();
    expect([one.got.splice(0), feed.subscribers, feed.size]).to.deep.equal([['table 1 +0', 'current 1'], 0, 0]);
    one.backlog = 1024 * 1024;
    feed.ask(one, { version: 1, askedMs: 2 });
    expect(one.got).to.deep.equal([]);
    one.backlog = 0;
    [isEnabled, isCurrent] = [true, true];
    feed.ask(one, { version: 1, askedMs: 3 });
    expect(one.got).to.deep.equal(['table 3 +2', 'current 3']);
  });

  it('answers an agent that has fallen behind with the whole table, once it reads again', () => {
    const one = agent();
    feed.ask(one, { version: 0, askedMs: 1 });
    one.got.length = 0;
    one.backlog = 1024 * 1024;
    put(1);
    settle();
    feed.ask(one, { version: 1, askedMs: 2 });
    expect(one.got).to.deep.equal([]);
    one.backlog = 0;
    feed.ask(one, { version: 1, askedMs: 3 });
    expect(one.got).to.deep.equal(['table 2 +1', 'current 2']);
  });

  it('sends the whole table again when the trust domain changes', () => {
    const one = agent();
    feed.ask(one, { version: 0, askedMs: 1 });
    trustDomain = 'other.example';
    one.got.length = 0;
    feed.ask(one, { version: 1, askedMs: 2 });
    expect(one.got).to.deep.equal(['table 1 +0', 'current 1']);
  });

  it('has 16 whole tables on their way, and lets others wait for them, also when agents leave', () => {
    put(1);
    settle();
    const agents = Array.from({ length: 20 }, agent);
    for (const one of agents) {
      one.isReading = false;
      feed.ask(one, { version: 0, askedMs: 1 });
    }
    const served = (): number => agents.filter(({ got }) => got.length > 0).length;
    expect(served()).to.equal(16);
    agents[0]?.unwritten[0]?.();
    expect(served()).to.equal(17);
    const [, second] = agents;
    if (second !== undefined) feed.forget(second);
    expect(served()).to.equal(18);
  });

  it('sends changes to many agents in turns, in order and once, and to one that asks before its turn', async () => {
    const agents = Array.from({ length: 1_000 }, agent);
    for (const one of agents) {
      feed.ask(one, { version: 0, askedMs: 1 });
      one.got.length = 0;
    }
    const served = (): number => agents.filter(({ got }) => got.includes('change 2 +1')).length;
    put(1);
    settle();
    expect(served()).to.equal(200);
    // The next change comes while this one is being sent.
    put(2);
    settle();
    const last = agents.at(-1);
    if (last !== undefined) feed.ask(last, { version: 1, askedMs: 2 });
    expect(last?.got).to.deep.equal(['change 2 +1', 'change 3 +1', 'current 3']);
    expect(served()).to.equal(201);
    last?.got.pop();

    await until(() => agents.every(({ got }) => got.length === 2), 'all changes');
    expect(agents.every(({ got }) => got.join() === 'change 2 +1,change 3 +1')).to.equal(true);
    put(3);
    settle();
    await until(() => agents.every(({ got }) => got.length === 3), 'the last change');
  });

  it('collects changes for longer the more agents there are', () => {
    put(1);
    clock.advance(HOLD_MS);
    expect(clock.pending()).to.deep.equal([COLLECT_MS]);
    for (const [agents, collectMs] of [
      [10_000, 1_000],
      [30_000, 2_000],
    ] as const) {
      clock.advance(2_000);
      while (feed.subscribers < agents) feed.ask({ backlog: 0, sendIdentities: (_, onWritten) => onWritten() }, { version: 0, askedMs: 1 });
      put(agents);
      clock.advance(HOLD_MS);
      expect(clock.pending()).to.deep.equal([collectMs]);
    }
  });

  it('makes no version for each agent that needs the whole table while pods change', () => {
    put(1);
    settle();
    const [one, other] = [agent(), agent()];
    feed.ask(one, { version: 0, askedMs: 1 });
    put(2);
    clock.advance(HOLD_MS);
    feed.ask(other, { version: 0, askedMs: 1 });
    expect(other.got).to.deep.equal(one.got);
    clock.advance(COLLECT_MS);
    expect([one.got.at(-1), other.got.at(-1)]).to.deep.equal(['change 3 +1', 'change 3 +1']);
  });
});
