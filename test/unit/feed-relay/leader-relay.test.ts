/* The stream of a replica to the leader, whose end is played by the test. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { canonicalChunks } from '../../../src/bundle/canonical-json.ts';
import type { AgentReport } from '../../../src/feed/protocol.ts';
import { agentPayload, MAX_RELAY_UP_BYTES, parseAgentFrame, RELAY_DOWN, RELAY_UP } from '../../../src/feed/relay-frames.ts';
import type { FeedConnection } from '../../../src/feed-client/feed-stream.ts';
import { AWAY_MS, createLeaderRelay, type LeaderRelay } from '../../../src/feed-relay/leader-relay.ts';
import { PROBATION_MS } from '../../../src/feed-server/pod-streams.ts';
import { encodeRelayed, type RelayedBundle } from '../../../src/feed-server/relayed-bundle.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { type FrameEnd, framePipe } from '../../support/frame-pipe.ts';

const report = (over: Partial<AgentReport> = {}): AgentReport => ({ digest: `sha256:${'1'.repeat(64)}`, number: 7, received: 3, ...over });
const identity = (name: string) => ({ namespace: 'foo', name, uid: `uid-${name}`, serviceAccount: 'default', expiresMs: 1 });

describe('the relay to the leader', () => {
  let clock: FakeClock;
  let relay: LeaderRelay;
  let leader: string | undefined;
  let isLeading: boolean;
  let connections: { readonly host: string; readonly end: FrameEnd }[];
  let refusal: string | undefined;
  let bundles: RelayedBundle[];
  let events: string[];
  let stop: () => Promise<void>;

  beforeEach(() => {
    clock = createFakeClock();
    [leader, isLeading, connections, refusal, bundles, events] = ['10.0.0.1', false, [], undefined, [], []];
    relay = createLeaderRelay({
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      random: () => 0.5,
      isLeading: () => isLeading,
      leaderHost: () => leader,
      connect: async (host): Promise<FeedConnection> => {
        if (refusal !== undefined) return { kind: 'refused', reason: refusal };
        const { socket, end } = framePipe(MAX_RELAY_UP_BYTES);
        connections.push({ host, end });
        return { kind: 'open', socket, head: Buffer.alloc(0), accepts: [] };
      },
      silence: LIMITS.feedSilence,
      onBundle: (bundle) => void bundles.push(bundle),
      onWithdrawn: (workload) => void events.push(`withdrawn ${workload}`),
      onEnd: () => void events.push('end'),
    });
    const stopping = new AbortController();
    const running = relay.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      for (const { end } of connections) end.close();
      await running;
    };
  });
  afterEach(() => stop());

  const opened = async (count = 1): Promise<FrameEnd> => {
    await until(() => {
      if (connections.length < count) clock.advance(100);
      return connections.length >= count && relay.isOpen();
    }, 'the stream');
    return connections[count - 1]?.end as FrameEnd;
  };
  /** In steps in which everything that is on its way arrives. */
  const advance = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(left, 500));
      for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    }
  };
  const add = (name: string): { readonly agent: ReturnType<LeaderRelay['add']>; readonly ended: string[] } => {
    const ended: string[] = [];
    const agent = relay.add(identity(name), (reason) => {
      ended.push(reason);
      agent.remove();
    });
    return { agent, ended };
  };
  const said = ({ frames }: FrameEnd): readonly string[] =>
    frames
      .filter(({ type }) => type !== RELAY_UP.alive)
      .map((frame) => {
        const { type, id, payload } = parseAgentFrame(frame) ?? {};
        return `${type} ${id} ${payload?.toString()}`;
      });

  it('says who the agents are and what they said last, without what is between them and this replica', async () => {
    const { agent } = add('before');
    agent.report(report());
    add('silent');
    const end = await opened();
    const { agent: later } = add('later');
    later.report(report({ number: 8, missing: true, refused: 'SP_STALE' }));
    later.unknownKeys(new Map([['remote-0123456789abcdef', '0123456789abcdef']]));
    agent.report(report({ number: 9 }));
    agent.remove();
    await until(() => said(end).length === 7, 'the frames');
    const digest = `sha256:${'1'.repeat(64)}`;
    expect(said(end)).to.deep.equal([
      `1 1 ${JSON.stringify(identity('before'))}`,
      `2 1 ${JSON.stringify({ digest, number: 7, received: 0 })}`,
      `1 3 ${JSON.stringify(identity('later'))}`,
      `2 3 ${JSON.stringify({ digest, number: 8, received: 0, refused: 'SP_STALE' })}`,
      '3 3 {"remote-0123456789abcdef":"0123456789abcdef"}',
      `2 1 ${JSON.stringify({ digest, number: 9, received: 0 })}`,
      '4 1 ',
    ]);
  });

  it('keeps of each agent only what it said last for a leader that does not read, and then gives it up', async () => {
    const end = await opened();
    end.pause();
    const agents = Array.from({ length: 400 }, (_, at) => add(`pod-${at}`).agent);
    for (let number = 1; number <= 20; number += 1) for (const agent of agents) agent.report(report({ number }));
    expect(end.isClosed()).to.equal(false);
    clock.advance(10_000);
    await until(end.isClosed, 'the end of the stream');
    const next = await opened(2);
    await until(() => said(next).length === 800, 'the frames');
    expect(said(next).filter((line) => line.includes('"number":20'))).to.have.length(400);
  });

  it('passes on bundles with the chunks of their text, and what was withdrawn', async () => {
    const end = await opened();
    const chunks = canonicalChunks({ name: 'Zoë', rules: ['a'.repeat(3000)] });
    const text = Buffer.from(chunks.map((chunk) => chunk.text).join(''));
    const plain = { workload: 'foo/pod/web', number: 7, files: { '0/part': text, 'index/0/x': Buffer.from('i') }, chunks };
    const packed = { ...plain, number: 8, files: { '0/part': Buffer.from('packed') } };
    const whole = { workload: 'foo/pod/web', number: 9, files: { '0/part': Buffer.from('whole') } };
    for (const bundle of [plain, packed, whole]) end.send(RELAY_DOWN.bundle, encodeRelayed(bundle));
    end.send(RELAY_DOWN.withdrawn, Buffer.from('foo/pod/web'));
    end.send(99, Buffer.from('of a later version'));
    await until(() => events.length > 0, 'the frames');
    expect(events).to.deep.equal(['withdrawn foo/pod/web']);
    const shown = bundles.map(({ chunks: read, files, ...rest }) => ({
      ...rest,
      files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, Buffer.from(content ?? []).toString()])),
      text: read?.map((chunk) => chunk.text),
    }));
    const texts = chunks.map((chunk) => chunk.text);
    expect(shown).to.deep.equal([
      { workload: 'foo/pod/web', number: 7, files: { '0/part': text.toString(), 'index/0/x': 'i' }, text: texts },
      { workload: 'foo/pod/web', number: 8, files: { '0/part': 'packed' }, text: texts },
      { workload: 'foo/pod/web', number: 9, files: { '0/part': 'whole' }, text: undefined },
    ]);
  });

  for (const [name, payload] of Object.entries({
    'no head': Buffer.from('garbage'),
    'an unknown workload': Buffer.from('{"workload":"../x","number":1}\n[]\n'),
    'other sizes': Buffer.from('{"workload":"foo/pod/web","number":1,"chunks":[5]}\n[["0/part",1]]\nx'),
    'no files': Buffer.from('{"workload":"foo/pod/web","number":1}\n'),
  })) {
    it(`ends a stream on which a bundle has ${name}`, async () => {
      const end = await opened();
      end.send(RELAY_DOWN.bundle, payload);
      await until(end.isClosed, 'the end');
      expect(bundles).to.deep.equal([]);
    });
  }

  it('ends the stream of an agent that the leader does not count, and no other', async () => {
    const end = await opened();
    const [first, second] = [add('first'), add('second')];
    for (const { agent } of [first, second]) agent.report(report());
    end.send(RELAY_DOWN.ended, agentPayload(1));
    end.send(RELAY_DOWN.ended, agentPayload(77));
    await until(() => first.ended.length > 0, 'the end');
    expect([first.ended, second.ended]).to.deep.equal([['leader'], []]);
  });

  it('says everything again to the next leader, for whom nothing of the last one counts', async () => {
    const { agent, ended } = add('web');
    agent.report(report());
    await opened();
    leader = '10.0.0.2';
    clock.advance(500);
    const end = await opened(2);
    await until(() => said(end).length === 2, 'the frames');
    expect([connections.map(({ host }) => host), events, ended]).to.deep.equal([['10.0.0.1', '10.0.0.2'], ['end'], []]);
  });

  it('lets agents stay while there is no leader for a moment, and ends their streams when that lasts', async () => {
    const { ended } = add('web');
    const end = await opened();
    leader = undefined;
    end.close();
    await until(() => !relay.isOpen(), 'the end');
    clock.advance(AWAY_MS - 1);
    expect(ended).to.deep.equal([]);
    clock.advance(1);
    expect(ended).to.deep.equal(['stopping']);
  });

  it('lets agents stay for as long after a term of this replica, whenever that ends', async () => {
    const { ended } = add('web');
    [isLeading, leader] = [true, undefined];
    await advance(AWAY_MS - 1_000);
    isLeading = false;
    await advance(AWAY_MS - 1_000);
    expect(ended).to.deep.equal([]);
    await advance(2_000);
    expect(ended).to.deep.equal(['stopping']);
  });

  it('says nothing to the next leader about an agent that may hold another stream by now, until it says something', async () => {
    const { agent } = add('lost');
    agent.report(report());
    const end = await opened();
    await advance(PROBATION_MS);
    add('alive').agent.report(report());
    end.close();
    const next = await opened(2);
    await until(() => said(next).length === 2, 'what is said about the other one');
    agent.unknownKeys(new Map([['remote-0123456789abcdef', '0123456789abcdef']]));
    await until(() => said(next).length === 5, 'what is said about both');
    expect(said(next).map((line) => line.slice(0, 3))).to.deep.equal(['1 2', '2 2', '1 1', '2 1', '3 1']);
  });

  it('connects again less often when streams end as soon as they are open', async () => {
    for (let ms = 0; ms < 60_000; ms += 100) {
      for (const { end } of connections) end.close();
      await advance(100);
    }
    expect(connections.length).to.be.within(10, 60);
  });

  it('takes nothing from the leader before once this replica leads', async () => {
    const end = await opened();
    isLeading = true;
    end.send(RELAY_DOWN.bundle, encodeRelayed({ workload: 'foo/pod/web', number: 7, files: {} }) as Buffer);
    await until(end.isClosed, 'the end');
    expect(bundles).to.deep.equal([]);
  });

  it('keeps agents when this replica leads itself', async () => {
    const { ended } = add('web');
    const end = await opened();
    isLeading = true;
    clock.advance(500);
    await until(end.isClosed, 'the end');
    clock.advance(3 * AWAY_MS);
    expect([ended, relay.isOpen(), connections.length]).to.deep.equal([[], false, 1]);
  });

  it('tries again when the leader refuses', async () => {
    refusal = 'status 503';
    clock.advance(2_000);
    expect(relay.isOpen()).to.equal(false);
    refusal = undefined;
    await opened();
  });
});
