/*
 * Bundles in parts, and agents that serve the pods of a node, on streams in memory.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { objectKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { Chunk } from '../../../src/bundle/canonical-json.ts';
import { splitFiles } from '../../../src/bundle/joined-files.ts';
import type { Frame } from '../../../src/feed/frames.ts';
import { PartStore } from '../../../src/feed/parts.ts';
import { parsePodFrame, podFrameHead } from '../../../src/feed/pod-frames.ts';
import { DOWN, HEARTBEAT_MS, MAX_DOWN_BYTES, SILENCE_MS, UP } from '../../../src/feed/protocol.ts';
import { type AgentRelay, type AgentStreams, createAgentStreams, type FeedSource } from '../../../src/feed-server/agent-streams.ts';
import { heldOfJson } from '../../../src/feed-server/loaded-bundle.ts';
import { MAX_PODS } from '../../../src/feed-server/node-stream.ts';
import { createAgentReports } from '../../../src/status/agent-reports.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { type FrameEnd, framePipe } from '../../support/frame-pipe.ts';
import { numberedDigest } from '../../support/numbered-agent.ts';
import { pod } from '../controller/pods-and-policies.ts';

const SHARED = `"${'s'.repeat(2000)}"`;
const NODE_HEAD = 2000;

describe('the streams of agents', () => {
  let clock: FakeClock;
  let pods: Map<string, SlimPod>;
  let current: { readonly number: number; readonly chunks: readonly Chunk[] } | undefined;
  let streams: AgentStreams;
  let closed: string[];
  let ends: ((reason: 'leader' | 'stopping') => void)[];
  let podListeners: ((key: string) => void)[];
  let bundleListeners: ((workload: string) => void)[];

  beforeEach(() => {
    clock = createFakeClock();
    [pods, current, closed, ends, podListeners, bundleListeners] = [new Map(), undefined, [], [], [], []];
    const reports = createAgentReports(clock);
    reports.beginTerm();
    const source: FeedSource = {
      podOf: (key) => pods.get(key),
      onPod: (listener) => {
        podListeners.push(listener);
        return () => undefined;
      },
      currentOf: () => {
        if (current === undefined) return undefined;
        const { number, chunks } = current;
        const files = { '0/part': Buffer.from(chunks.map(({ text }) => text).join('')), '0/statement.jws': Buffer.from(`s${number}`) };
        return { number, held: heldOfJson(chunks), read: () => Promise.resolve({ files, chunks }) };
      },
      onBundle: (listener) => {
        bundleListeners.push(listener);
        return () => undefined;
      },
      onAhead: () => undefined,
      onUnknownKeys: () => [],
    };
    const observer = { onClosed: (reason: string) => void closed.push(reason), onBundle: () => undefined, onUnknownKey: () => undefined };
    const logger = createLogger({ level: 'silent', component: 'test' });
    const relay: AgentRelay = {
      add: (_, end) => {
        ends.push(end);
        return { report: () => undefined, unknownKeys: () => undefined, remove: () => undefined };
      },
    };
    streams = createAgentStreams({ source, reports, clock, logger, observer, relay, maxStreams: 3 });
    addPod('web');
  });
  afterEach(() => streams.stop());

  const addPod = (name: string, over: Partial<SlimPod> = {}): void => {
    pods.set(objectKey('foo', name), { ...pod({ name, uid: `uid-${name}` }), serviceAccount: 'default', nodeName: 'one', ...over });
    for (const listener of podListeners) listener(objectKey('foo', name));
  };
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 10; turns += 1) await turn();
  };
  const publish = async (number: number, ...texts: readonly string[]): Promise<void> => {
    current = { number, chunks: texts.map((text) => new Chunk(text)) };
    for (const name of pods.keys()) for (const listener of bundleListeners) listener(`foo/pod/${name.slice('foo/'.length)}`);
    await settle();
  };
  const connect = (kind: 'add' | 'addNode', name: string, traits: { takesParts?: boolean; holds?: number } = {}): FrameEnd => {
    const { socket, end } = framePipe(MAX_DOWN_BYTES + NODE_HEAD);
    const identity = { namespace: 'foo', name, uid: `uid-${name}`, serviceAccount: 'default', expiresMs: clock.wallMs() + 3_600_000 };
    streams[kind](identity, socket, { authorities: 'pem', takesParts: true, holds: 0, ...traits });
    return end;
  };
  const report = async (peer: FrameEnd, number: number, received: number, more: object = {}): Promise<void> => {
    peer.send(UP.report, { digest: numberedDigest(number), number, received, ...more });
    await settle();
  };
  const bundles = ({ frames }: FrameEnd): readonly Frame[] => frames.filter(({ type }) => type === DOWN.bundle || type === DOWN.parts);
  const last = (peer: FrameEnd): Frame => bundles(peer).at(-1) ?? { type: -1, payload: Buffer.alloc(0) };

  it('send an agent that takes parts only those that it lacks, and any other the whole', async () => {
    await publish(5, '[1,', SHARED, ']');
    const [parts, whole] = [connect('add', 'web'), connect('add', 'web', { takesParts: false })];
    const store = new PartStore();
    for (const peer of [parts, whole]) await report(peer, 0, 0);
    expect([last(parts).type, last(whole).type]).to.deep.equal([DOWN.parts, DOWN.bundle]);
    store.assemble(last(parts).payload, MAX_DOWN_BYTES);
    for (const peer of [parts, whole]) await report(peer, 5, 1);
    await publish(6, '[2,', SHARED, ']');
    expect(splitFiles(last(whole).payload)?.['0/part']?.toString()).to.equal(`[2,${SHARED}]`);
    expect(last(parts).payload.length).to.be.below(300);
    const assembled = store.assemble(last(parts).payload, MAX_DOWN_BYTES);
    const files = assembled.kind === 'files' ? assembled.files : {};
    expect([files['0/part']?.toString(), files['0/statement.jws']?.toString()]).to.deep.equal([`[2,${SHARED}]`, 's6']);
  });

  it('know what an agent has that connects again, when it names the published bundle', async () => {
    await publish(5, '[1,', SHARED, ']');
    const [same, earlier] = [connect('add', 'web', { holds: 5 }), connect('add', 'web', { holds: 4 })];
    await report(same, 5, 0);
    await report(earlier, 4, 0);
    expect([bundles(same).length, last(earlier).payload.includes(SHARED)]).to.deep.equal([0, true]);
    await publish(6, '[2,', SHARED, ']');
    expect(last(same).payload.includes(SHARED)).to.equal(false);
  });

  it('send the whole to an agent that lacks a part, once, and end the stream of one that always does', async () => {
    await publish(5, '[1,', SHARED, ']');
    const peer = connect('add', 'web', { holds: 5 });
    await report(peer, 5, 0);
    await publish(6, '[2,', SHARED, ']');
    await report(peer, 5, 1, { missing: true });
    expect(last(peer).payload.includes(SHARED)).to.equal(true);
    expect(bundles(peer).length).to.equal(2);
    // Its next sign of life is from before it read that.
    await report(peer, 5, 1, { missing: true });
    expect([bundles(peer).length, peer.isClosed()]).to.deep.equal([2, false]);
    await report(peer, 5, 2, { missing: true });
    expect([peer.isClosed(), closed]).to.deep.equal([true, ['garbage']]);
  });

  const ofPod = (peer: FrameEnd, type: number, name: string, payload: object | Buffer = Buffer.alloc(0)): void => {
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
    peer.send(UP.ofPod, Buffer.concat([podFrameHead(type, name), bytes]));
  };
  const said = (number: number, received: number): object => ({ digest: numberedDigest(number), number, received });
  const podFrames = ({ frames }: FrameEnd): readonly string[] =>
    frames.flatMap(({ type, payload }) => {
      const frame = type === DOWN.ofPod ? parsePodFrame(payload) : undefined;
      return frame === undefined ? [] : [`${frame.type} ${frame.pod}`];
    });

  it('serve the pods of its node to the agent of a node, until it leaves them or they are gone', async () => {
    for (const name of ['node', 'a', 'b']) addPod(name);
    await publish(5, '[1]');
    const peer = connect('addNode', 'node');
    for (const name of ['foo/a', 'foo/b']) ofPod(peer, UP.report, name, said(0, 0));
    await settle();
    expect(podFrames(peer)).to.deep.equal([`${DOWN.parts} foo/a`, `${DOWN.parts} foo/b`]);
    for (const name of ['foo/a', 'foo/b']) ofPod(peer, UP.report, name, said(5, 1));
    await settle();
    await publish(6, '[2]');
    expect(podFrames(peer).length).to.equal(4);
    ofPod(peer, UP.leave, 'foo/a');
    await settle();
    expect([streams.size(), closed]).to.deep.equal([1, ['agent']]);
    pods.delete('foo/b');
    for (const listener of podListeners) listener('foo/b');
    await settle();
    expect([podFrames(peer).at(-1), streams.size(), peer.isClosed()]).to.deep.equal([`${DOWN.ended} foo/b`, 0, false]);
    ofPod(peer, UP.report, 'foo/a', said(6, 0));
    await settle();
    expect(streams.size()).to.equal(1);
    pods.delete('foo/node');
    for (const listener of podListeners) listener('foo/node');
    expect([peer.isClosed(), streams.size()]).to.deep.equal([true, 0]);
  });

  for (const [what, reason, run] of [
    ['names a pod of another node', 'foreign', (peer: FrameEnd) => ofPod(peer, UP.report, 'foo/elsewhere', said(0, 0))],
    ['names a pod that does not exist', 'foreign', (peer: FrameEnd) => ofPod(peer, UP.report, 'foo/none', said(0, 0))],
    ['names a pod without an agent', 'foreign', (peer: FrameEnd) => ofPod(peer, UP.report, 'foo/node', said(0, 0))],
    ['names no pod', 'garbage', (peer: FrameEnd) => peer.send(UP.report, said(0, 0))],
    ['begins with something else than a report', 'garbage', (peer: FrameEnd) => ofPod(peer, UP.unknownKeys, 'foo/web', {})],
    ['misreports', 'garbage', (peer: FrameEnd) => ofPod(peer, UP.report, 'foo/web', said(0, 1))],
    ['sends half a name', 'garbage', (peer: FrameEnd) => peer.send(UP.ofPod, Buffer.from([UP.report, 0, 50, 102]))],
    ['sends a name that is not one', 'garbage', (peer: FrameEnd) => ofPod(peer, UP.report, 'foo/../web', said(0, 0))],
    [
      'takes and leaves a pod without end',
      'flood',
      (peer: FrameEnd) => {
        for (let times = 0; times <= 2 * MAX_PODS; times += 1)
          for (const type of [UP.report, UP.leave]) ofPod(peer, type, 'foo/web', type === UP.report ? said(0, 0) : Buffer.alloc(0));
      },
    ],
  ] as const) {
    it(`end the stream of the agent of a node that ${what}, and no other`, async () => {
      addPod('node', { agent: undefined } as unknown as Partial<SlimPod>);
      addPod('elsewhere', { nodeName: 'two' });
      addPod('other');
      const [bad, good] = [connect('addNode', 'node'), connect('add', 'other')];
      await report(good, 0, 0);
      run(bad);
      for (let turns = 0; turns < 50 && !bad.isClosed(); turns += 1) await settle();
      expect([bad.isClosed(), good.isClosed(), streams.size(), closed.includes(reason)]).to.deep.equal([true, false, 1, true]);
    });
  }

  it('serve no more pods than streams are allowed', async () => {
    for (const name of ['node', 'a', 'b', 'c', 'd']) addPod(name);
    const peer = connect('addNode', 'node');
    for (const name of ['foo/a', 'foo/b', 'foo/c', 'foo/d']) ofPod(peer, UP.report, name, said(0, 0));
    await settle();
    expect([podFrames(peer), streams.size(), peer.isClosed()]).to.deep.equal([[`${DOWN.ended} foo/d`], 3, false]);
  });

  it('end the share of a pod that the leader does not count, and the stream of the agent of a node when there is no leader', async () => {
    for (const name of ['node', 'a', 'b']) addPod(name);
    const peer = connect('addNode', 'node');
    for (const name of ['foo/a', 'foo/b']) ofPod(peer, UP.report, name, said(0, 0));
    await settle();
    ends[0]?.('leader');
    await settle();
    expect([podFrames(peer), streams.size(), peer.isClosed()]).to.deep.equal([[`${DOWN.ended} foo/a`], 1, false]);
    // Its next report would bring the pod back to a replica that cannot serve it.
    ends[1]?.('stopping');
    expect([streams.size(), peer.isClosed()]).to.deep.equal([0, true]);
  });

  it('end the stream of the agent of a node that says nothing, and only the share of a pod that it forgets', async () => {
    for (const name of ['node', 'a', 'b']) addPod(name);
    const peer = connect('addNode', 'node');
    for (const name of ['foo/a', 'foo/b']) ofPod(peer, UP.report, name, said(0, 0));
    await settle();
    for (let passed = 0; passed <= SILENCE_MS; passed += HEARTBEAT_MS) {
      clock.advance(HEARTBEAT_MS);
      ofPod(peer, UP.report, 'foo/a', said(0, 0));
      await settle();
    }
    expect([podFrames(peer), peer.isClosed()]).to.deep.equal([[`${DOWN.ended} foo/b`], false]);
    clock.advance(SILENCE_MS);
    expect([peer.isClosed(), streams.size()]).to.deep.equal([true, 0]);
  });
});
