/*
 * The server of the feed on real TLS sockets, with agents that do everything wrong. Tokens are names of pods here.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { expect } from 'chai';
import { objectKey, type WorkloadKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { splitFiles } from '../../../src/bundle/joined-files.ts';
import { IDENTITY_FRAME, parseUpdate } from '../../../src/feed/identities.ts';
import { parsePodFrame, podFrameHead } from '../../../src/feed/pod-frames.ts';
import { DOWN, encodeReport, PARTS, PODS, SILENCE_MS, TAKES_HEADER, UP } from '../../../src/feed/protocol.ts';
import { ACKNOWLEDGE_MS, BURST, READ_MS } from '../../../src/feed-server/agent-stream.ts';
import { MAX_AHEAD_MS } from '../../../src/feed-server/agent-streams.ts';
import { FeedRefusal } from '../../../src/feed-server/feed-refusal.ts';
import { IdentityFeed } from '../../../src/feed-server/identity-feed.ts';
import type { BundleContent } from '../../../src/feed-server/loaded-bundle.ts';
import { PROBATION_MS } from '../../../src/feed-server/pod-streams.ts';
import { type FeedServerOptions, type RunningFeed, startFeed } from '../../../src/feed-server/start-feed.ts';
import { type AgentReports, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../src/webhook/certs/issue.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { type FeedClient, type FeedClientOptions, openFeed, openStream, untilClosed } from '../../support/feed-client.ts';
import { pod } from '../controller/pods-and-policies.ts';

const SERVER_NAME = 'sallyport.system.svc';
const WORKLOAD = 'foo/pod/web';
const digest = (number: number): string => `sha256:${String(number).padStart(64, '0')}`;

describe('the server of the feed', () => {
  let authority: KeyPair;
  let serving: KeyPair;
  let clock: FakeClock;
  let reports: AgentReports;
  let pods: Map<string, SlimPod>;
  let bundles: Map<WorkloadKey, { readonly number: number; readonly content: Buffer }>;
  let leader: string | undefined;
  let failures: number;
  const listeners = { pod: new Set<(key: string) => void>(), bundle: new Set<(key: WorkloadKey) => void>() };
  let counts: Record<string, number>;
  let feed: RunningFeed;
  let clients: FeedClient[];
  let unknown: unknown[];
  let ahead: WorkloadKey[];

  before(async () => {
    authority = await issueAuthority(Date.now(), 86_400_000);
    serving = await issueServing(authority, [SERVER_NAME], { nowMs: Date.now(), validMs: 86_400_000 });
  });
  const start = async (over: Partial<FeedServerOptions> = {}): Promise<void> => {
    const add = (name: string) => (label: string) => void (counts[`${name} ${label}`] = (counts[`${name} ${label}`] ?? 0) + 1);
    feed = await startFeed({
      host: '127.0.0.1',
      port: 0,
      tlsMinVersion: 'TLSv1.2',
      maxStreams: 10,
      tokens: {
        verify: async (token) => {
          if (token === 'bad') throw new FeedRefusal('token', 'bad');
          const [name = '', seconds = '3600'] = token.split('.');
          const expiresMs = clock.wallMs() + Number(seconds) * 1000;
          return { namespace: 'foo', name, uid: `uid-${name}`, serviceAccount: 'default', expiresMs };
        },
      },
      source: {
        podOf: (key) => pods.get(key),
        onPod: (listener) => {
          listeners.pod.add(listener);
          return () => listeners.pod.delete(listener);
        },
        currentOf: (workload) => {
          const found = bundles.get(workload);
          if (found === undefined) return undefined;
          const read = async (): Promise<BundleContent> => {
            failures -= 1;
            if (failures >= 0) throw new Error('not read');
            return { files: { '0/part': found.content } };
          };
          return { number: found.number, read };
        },
        onBundle: (listener) => {
          listeners.bundle.add(listener);
          return () => listeners.bundle.delete(listener);
        },
        onAhead: (workload) => void ahead.push(workload),
        onUnknownKeys: (workload, keys) => {
          unknown.push([workload, ...keys.entries()]);
          return [...keys.keys()].map(() => 'fetch');
        },
      },
      reports,
      isReady: () => true,
      leaderHost: () => leader,
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      observer: { onRefused: add('refused'), onClosed: add('closed'), onBundle: add('bundle'), onUnknownKey: add('key') },
      ...over,
    });
    feed.serve(serving, authority.certPem);
  };
  beforeEach(async () => {
    clock = createFakeClock();
    reports = createAgentReports(clock);
    reports.beginTerm();
    [pods, bundles, leader, failures, counts, clients, unknown, ahead] = [new Map(), new Map(), undefined, 0, {}, [], [], []];
    for (const set of Object.values(listeners)) set.clear();
    addPod('web');
    await start();
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await feed.stop();
  });

  const addPod = (name: string, over: Partial<SlimPod> = {}): void => {
    const found: SlimPod = { ...pod({ name, uid: `uid-${name}`, ip: '127.0.0.1' }), serviceAccount: 'default', ...over };
    pods.set(objectKey('foo', name), found);
    for (const listener of listeners.pod) listener(objectKey('foo', name));
  };
  const publish = (number: number, content: Buffer = Buffer.from(`bundle ${number}`), workload = WORKLOAD): void => {
    bundles.set(workload, { number, content });
    for (const listener of listeners.bundle) listener(workload);
  };
  const target = (token: string, over: Partial<FeedClientOptions> = {}): FeedClientOptions => ({
    port: feed.port,
    authorities: authority.certPem,
    serverName: SERVER_NAME,
    token,
    ...over,
  });
  const open = async (token = 'web', over: Partial<FeedClientOptions> = {}): Promise<FeedClient> => {
    const client = await openStream(target(token, over));
    clients.push(client);
    return client;
  };
  const refusal = async (token: string, over: Partial<FeedClientOptions> = {}): Promise<string> => {
    const opened = await openFeed(target(token, over));
    return 'status' in opened ? `${opened.status} ${String(opened.headers['sallyport-reason'])}` : 'open';
  };
  const report = (client: FeedClient, number: number, received: number, more: object = {}): void =>
    client.send(UP.report, { digest: number === 0 ? '' : digest(number), number, received, ...more });
  const bundlesOf = (client: FeedClient): readonly string[] =>
    client.frames
      .filter(({ type }) => type === DOWN.bundle)
      .map(({ payload }) => Buffer.from(splitFiles(payload)?.['0/part'] ?? []).toString());
  const revisionOf = (name: string): string | undefined => reports.get(objectKey('foo', name))?.revision;

  it('sends the newest bundle to an agent that lacks it, once, and records what the agent says', async () => {
    publish(5);
    const client = await open();
    report(client, 0, 0);
    await until(() => bundlesOf(client).length === 1, 'the bundle');
    expect(client.frames.find(({ type }) => type === DOWN.authorities)?.payload.toString()).to.equal(authority.certPem);
    expect(revisionOf('web')).to.equal('');
    publish(6);
    report(client, 5, 1);
    await until(() => bundlesOf(client).length === 2, 'the next bundle');
    report(client, 6, 2);
    await until(() => revisionOf('web') === digest(6), 'the report');
    report(client, 6, 2);
    publish(6);
    await until(() => counts['bundle enforced'] === 2, 'the counter');
    expect(bundlesOf(client)).to.deep.equal(['bundle 5', 'bundle 6']);
  });

  it('sends nothing to an agent that has the newest bundle already', async () => {
    publish(5);
    const client = await open();
    report(client, 5, 0);
    await until(() => revisionOf('web') === digest(5), 'the report');
    publish(6);
    await until(() => bundlesOf(client).length === 1, 'the next bundle');
    expect(bundlesOf(client)).to.deep.equal(['bundle 6']);
  });

  it('does not send a refused bundle again, and reports the code', async () => {
    publish(5);
    const client = await open();
    report(client, 0, 0);
    await until(() => bundlesOf(client).length === 1, 'the bundle');
    report(client, 0, 1, { refused: 'SP_BUNDLE_SIGNATURE' });
    await until(() => reports.get('foo/web')?.refused === 'SP_BUNDLE_SIGNATURE', 'the report');
    publish(5);
    publish(6);
    await until(() => bundlesOf(client).length === 2, 'the next bundle');
    expect(bundlesOf(client)).to.deep.equal(['bundle 5', 'bundle 6']);
  });

  it('reads a bundle again after a failure', async () => {
    failures = 1;
    publish(5);
    const client = await open();
    report(client, 0, 0);
    await until(() => failures === 0, 'the failure');
    await until(() => clock.pending().includes(5_000), 'the retry');
    clock.advance(5_000);
    await until(() => bundlesOf(client).length === 1, 'the bundle');
  });

  it('refuses every client that is not the agent of a pod at its address', async () => {
    addPod('ended', { phase: 'Succeeded' });
    addPod('other', { uid: 'another' });
    addPod('account', { serviceAccount: 'admin' });
    const { agent: _agent, ...bare } = pods.get('foo/web') as SlimPod;
    pods.set('foo/bare', { ...bare, name: 'bare', uid: 'uid-bare' });
    expect(await refusal('bad')).to.equal('401 token');
    expect(await refusal('')).to.equal('401 token');
    expect(await refusal('missing')).to.equal('403 pod');
    for (const name of ['ended', 'other', 'account', 'bare']) expect(await refusal(name), name).to.equal('403 pod');
    expect(await refusal('web', { from: '127.0.0.5' })).to.equal('403 address');
    expect(await refusal('web', { headers: { upgrade: 'sallyport-feed/9' } })).to.equal('426 protocol');
    expect(await refusal('web', { headers: { upgrade: 'websocket' } })).to.equal('426 protocol');
    expect(feed.streams()).to.equal(0);
    expect(counts['refused pod']).to.equal(5);
  });

  it('names the leader, and serves no agent, while another replica leads', async () => {
    const client = await open();
    leader = '10.1.2.3';
    reports.endTerm();
    await untilClosed(client);
    const opened = await openFeed(target('web'));
    expect('status' in opened && [opened.status, opened.headers.location]).to.deep.equal([307, 'https://10.1.2.3:0/feed']);
    leader = undefined;
    expect(await refusal('web')).to.equal('503 not-leading');
    expect(counts).to.include({ 'closed stopping': 1, 'refused not-leading': 2 });
  });

  it('serves no more streams than it may, and no more connections of one address', async () => {
    await feed.stop();
    await start({ maxStreams: 2 });
    for (const name of ['a', 'b', 'c']) addPod(name);
    await open('a');
    await open('b');
    expect(await refusal('c')).to.equal('503 full');
    const sockets = Array.from({ length: 8 }, () => connectTcp(feed.port, '127.0.0.1'));
    let reset = 0;
    for (const socket of sockets) socket.on('error', () => (reset += 1));
    await until(() => reset === 6, 'the connections beyond four to be reset');
    expect(feed.streams()).to.equal(2);
    for (const socket of sockets) socket.destroy();
  });

  /** Two streams of one pod; the second one enforces another bundle. */
  const openTwice = async (): Promise<readonly [FeedClient, FeedClient]> => {
    const first = await open();
    report(first, 1, 0);
    await until(() => revisionOf('web') === digest(1), 'the report of the first');
    const second = await open();
    report(second, 2, 0);
    await until(() => revisionOf('web') === digest(2), 'the report of the second');
    return [first, second];
  };
  const second = (): string | undefined => reports.get('foo/web')?.second;

  it('ends the first stream of a pod that opens a second one, unless it says something', async () => {
    const [first] = await openTwice();
    expect([second(), feed.doubled(), feed.streams()]).to.deep.equal(['silent', 0, 2]);
    clock.advance(PROBATION_MS);
    await untilClosed(first);
    expect([revisionOf('web'), second(), feed.streams(), counts['closed replaced']]).to.deep.equal([digest(2), undefined, 1, 1]);
  });

  it('reports that two agents run in a pod, and whether they say the same', async () => {
    const [first, newest] = await openTwice();
    report(first, 1, 0);
    await until(() => second() === 'differs', 'the second stream to be noticed');
    expect(feed.doubled()).to.equal(1);
    clock.advance(PROBATION_MS);
    expect(feed.streams()).to.equal(2);
    report(first, 2, 0);
    await until(() => second() === 'agrees', 'the same report');
    report(newest, 2, 0, { refused: 'SP_BUNDLE_SIGNATURE' });
    await until(() => second() === 'differs', 'another report');
    newest.close();
    await until(() => second() === undefined, 'the end of a stream');
    expect([revisionOf('web'), reports.get('foo/web')?.refused, feed.doubled()]).to.deep.equal([digest(2), undefined, 0]);
  });

  it('sends bundles to both agents of a pod, and holds no third stream', async () => {
    const [first, next] = await openTwice();
    report(first, 1, 0);
    publish(5);
    await until(() => bundlesOf(first).length === 1 && bundlesOf(next).length === 1, 'the bundles');
    const third = await open();
    await untilClosed(first);
    expect([next.isClosed(), third.isClosed(), feed.streams()]).to.deep.equal([false, false, 2]);
  });

  it('counts for the pod what the first stream says when the second one has ended', async () => {
    const [first, next] = await openTwice();
    next.close();
    await until(() => !reports.isConnected('foo/web'), 'the end of the second stream');
    report(first, 3, 0);
    await until(() => revisionOf('web') === digest(3), 'the report of the first');
    expect([feed.streams(), reports.isConnected('foo/web'), clock.pending().includes(PROBATION_MS)]).to.deep.equal([1, true, false]);
  });

  for (const [what, payload] of [
    ['garbage', Buffer.from('garbage')],
    ['a report with a field too many', { digest: '', number: 0, received: 0, pod: 'foo/other' }],
    ['an acknowledgement of what was never sent', { digest: '', number: 0, received: 1 }],
    ['a frame above the limit', Buffer.alloc(2000)],
  ] as const) {
    it(`ends a stream with ${what}, and no other`, async () => {
      addPod('good');
      const [bad, good] = [await open(), await open('good')];
      bad.send(UP.report, payload);
      await untilClosed(bad);
      expect([counts['closed garbage'], feed.streams(), good.isClosed()]).to.deep.equal([1, 1, false]);
    });
  }

  it('notices an agent that knows a newer bundle than the cluster, and not one that invents a number', async () => {
    publish(5);
    const client = await open();
    report(client, 5, 0);
    report(client, clock.wallMs() + MAX_AHEAD_MS + 1, 0);
    report(client, 6, 0);
    await until(() => revisionOf('web') === digest(6), 'the last report');
    expect([ahead, bundlesOf(client)]).to.deep.equal([[WORKLOAD], []]);
  });

  it('lets the agent of a node serve its pods, when its ServiceAccount is the configured one and it runs on a node', async () => {
    addPod('node', { agent: undefined, nodeName: 'one', serviceAccount: 'default' } as unknown as Partial<SlimPod>);
    const headers = { [TAKES_HEADER]: `${PARTS}, ${PODS}` };
    expect(await refusal('node', { headers })).to.equal('403 pod');
    await feed.stop();
    await start({ nodeAgent: 'foo/default' });
    expect(await refusal('node')).to.equal('403 pod');
    expect(await refusal('web', { headers })).to.equal('403 pod');
    expect(await refusal('node', { headers, from: '127.0.0.2' })).to.equal('403 address');
    addPod('web', { nodeName: 'one' });
    publish(5);
    const client = await open('node', { headers });
    const said = encodeReport({ digest: '', number: 0, received: 0 });
    client.send(UP.ofPod, Buffer.concat([podFrameHead(UP.report, 'foo/web'), said]));
    await until(() => client.frames.some(({ type }) => type === DOWN.ofPod), 'the bundle');
    const [frame] = client.frames.filter(({ type }) => type === DOWN.ofPod).map(({ payload }) => parsePodFrame(payload));
    expect([frame?.type, frame?.pod, feed.streams()]).to.deep.equal([DOWN.parts, 'foo/web', 1]);
    await feed.stop();
    await start({ nodeAgent: 'bar/default' });
    expect(await refusal('node', { headers })).to.equal('403 pod');
  });

  it('takes the keys that an agent lacks, for the workload of its pod only', async () => {
    const client = await open();
    report(client, 0, 0);
    client.send(UP.unknownKeys, { 'remote-0123456789abcdef': '0123456789abcdef' });
    await until(() => unknown.length === 1, 'the keys');
    expect([unknown, counts['key fetch']]).to.deep.equal([[[WORKLOAD, ['remote-0123456789abcdef', '0123456789abcdef']]], 1]);
  });

  for (const [what, isReported, payload] of [
    ['before its first report', false, { 'remote-0123456789abcdef': '0123456789abcdef' }],
    ['of another form', true, { 'remote-0123456789abcdef': 'kid' }],
  ] as const) {
    it(`ends the stream of an agent that names unknown keys ${what}`, async () => {
      const client = await open();
      if (isReported) report(client, 0, 0);
      client.send(UP.unknownKeys, payload);
      await untilClosed(client);
      expect([unknown, counts['closed garbage']]).to.deep.equal([[], 1]);
    });
  }

  describe('with identities of pods', () => {
    let identities: IdentityFeed;
    beforeEach(async () => {
      await feed.stop();
      const source = { values: () => pods.values(), subscribe: () => () => undefined };
      const settings = { isEnabled: () => true, isCurrent: () => true, trustDomain: () => 'cluster.local' };
      identities = new IdentityFeed({ clock, pods: source, ...settings });
      await start({ identities });
    });
    afterEach(() => identities.stop());

    it('answers those who ask, and forgets them when they leave', async () => {
      const [asking, silent] = [await open(), await open('other', { from: '127.0.0.2' }).catch(() => undefined)];
      report(asking, 0, 0);
      asking.send(IDENTITY_FRAME, { version: 0, askedMs: 7 });
      const kinds = (client: FeedClient): readonly unknown[] =>
        client.frames.filter(({ type }) => type === IDENTITY_FRAME).map(({ payload }) => parseUpdate(payload)?.kind);
      await until(() => kinds(asking).length === 2, 'the answer');
      expect([kinds(asking), silent, identities.subscribers]).to.deep.equal([['table', 'current'], undefined, 1]);
      asking.close();
      await until(() => identities.subscribers === 0, 'the end');
    });

    for (const [what, isReported, question] of [
      ['before its first report', false, { version: 0, askedMs: 1 }],
      ['in another form', true, { version: 0, askedMs: 1, more: 1 }],
      ['with an invalid version', true, { version: 'x', askedMs: 1 }],
    ] as const) {
      it(`ends the stream of an agent that asks ${what}`, async () => {
        const client = await open();
        if (isReported) report(client, 0, 0);
        client.send(IDENTITY_FRAME, question);
        await untilClosed(client);
        expect([counts['closed garbage'], identities.subscribers]).to.deep.equal([1, 0]);
      });
    }
  });

  it('lets an agent report each bundle, however many there are', async () => {
    const client = await open();
    report(client, 0, 0);
    for (let number = 1; number <= 2 * BURST; number += 1) {
      publish(number);
      await until(() => bundlesOf(client).length === number, 'the bundle');
      report(client, number - 1, number - 1);
      report(client, number, number);
      await until(() => revisionOf('web') === digest(number), 'the report');
    }
    expect(client.isClosed()).to.equal(false);
  });

  it('ends a stream that brings too many frames, and one of an unknown type', async () => {
    const client = await open();
    for (let times = 0; times <= BURST; times += 1) report(client, 0, 0);
    await untilClosed(client);
    expect(counts['closed flood']).to.equal(1);
    const other = await open();
    other.send(7, {});
    await untilClosed(other);
    expect(counts['closed garbage']).to.equal(1);
  });

  it('ends the stream of an agent that says nothing, also after it was good', async () => {
    const client = await open();
    report(client, 0, 0);
    await until(() => revisionOf('web') === '', 'the report');
    clock.advance(SILENCE_MS);
    await untilClosed(client);
    expect(counts['closed silent']).to.equal(1);
    clock.advance(GRACE_MS);
    expect(reports.get('foo/web')).to.equal(undefined);
  });

  it('ends the stream of an agent that never acknowledges, and sends it nothing meanwhile', async () => {
    const client = await open();
    publish(5);
    report(client, 0, 0);
    await until(() => bundlesOf(client).length === 1, 'the bundle');
    publish(6);
    await until(() => clock.pending().includes(ACKNOWLEDGE_MS), 'the deadline');
    for (let ms = 0; ms < ACKNOWLEDGE_MS; ms += ACKNOWLEDGE_MS / 3) {
      report(client, 0, 0);
      await until(() => clock.pending().includes(SILENCE_MS), 'the report');
      clock.advance(ACKNOWLEDGE_MS / 3);
    }
    await untilClosed(client);
    expect(bundlesOf(client)).to.deep.equal(['bundle 5']);
    expect(counts['closed unacknowledged']).to.equal(1);
  });

  /** Streams of two pods that have reported. @param maxBytes most bytes on their way to all agents */
  const openTwo = async (maxBytes: number): Promise<readonly [Awaited<ReturnType<typeof open>>, Awaited<ReturnType<typeof open>>]> => {
    await feed.stop();
    await start({ maxBytes });
    addPod('good');
    const [web, good] = [await open(), await open('good')];
    for (const client of [web, good]) report(client, 0, 0);
    await until(() => revisionOf('web') === '' && revisionOf('good') === '', 'the reports');
    return [web, good];
  };

  it('ends the stream of an agent that never reads, and serves the others meanwhile', async () => {
    const [stuck, good] = await openTwo(40 * 1024 * 1024);
    stuck.socket.pause();
    // More than the buffers of both kernels hold.
    publish(5, Buffer.alloc(32 * 1024 * 1024));
    publish(5, Buffer.from('small'), 'foo/pod/good');
    await until(() => bundlesOf(good).length === 1, 'the bundle of the other agent');
    await until(() => clock.pending().includes(READ_MS), 'the deadline');
    clock.advance(READ_MS);
    await until(() => counts['closed slow'] === 1, 'the end of the stream');
    expect(feed.streams()).to.equal(1);
  });

  it('limits what is on its way to all agents together, and goes on when a stuck one is gone', async () => {
    const [stuck, good] = await openTwo(1024 * 1024);
    stuck.socket.pause();
    publish(5, Buffer.alloc(32 * 1024 * 1024));
    await until(() => clock.pending().includes(READ_MS), 'the deadline');
    publish(5, Buffer.from('small'), 'foo/pod/good');
    expect(bundlesOf(good)).to.deep.equal([]);
    clock.advance(READ_MS);
    await until(() => bundlesOf(good).length === 1, 'the bundle of the other agent');
  });

  it('lets connections wait for their turn, up to a number and a time, however many pods have a stream', async () => {
    await feed.stop();
    await start({ connections: { perAddress: 4, unidentified: 1, waiting: 2, waitMs: 6_000 } });
    for (const name of ['one', 'two']) {
      addPod(name);
      await open(name);
    }
    const ended: string[] = [];
    const idle = (name: string, from: string): Socket =>
      connectTcp({ port: feed.port, host: '127.0.0.1', localAddress: from })
        .on('error', () => undefined)
        .on('close', () => ended.push(name));
    const first = idle('first', '127.0.0.2');
    await until(() => first.readyState === 'open', 'the first connection');
    const agent = open('web', {});
    await until(() => clock.pending().includes(6_000), 'the wait of the agent');
    clock.advance(1_000);
    idle('second', '127.0.0.3');
    await until(() => clock.pending().includes(6_000), 'the wait of the second connection');
    idle('third', '127.0.0.4');
    await until(() => ended.includes('third'), 'the end of the connection that is too many');
    first.destroy();
    report(await agent, 0, 0);
    await until(() => revisionOf('web') === '', 'the report of the agent that waited');
    // Now the second one is being identified, and the next one waits in vain.
    idle('late', '127.0.0.5');
    await until(() => clock.pending().includes(6_000), 'the wait of the last connection');
    clock.advance(6_000);
    await until(() => ended.includes('late'), 'the end of a wait that is too long');
    expect(ended).to.deep.equal(['third', 'first', 'late']);
  });

  it('ends a stream when its token expires, and when its pod goes or is replaced', async () => {
    const expiring = await open('web.30');
    clock.advance(30_000);
    await untilClosed(expiring);
    const deleted = await open();
    pods.delete('foo/web');
    for (const listener of listeners.pod) listener('foo/web');
    await untilClosed(deleted);
    addPod('web');
    const replaced = await open();
    addPod('web', { uid: 'another' });
    await untilClosed(replaced);
    expect(counts).to.include({ 'closed expired': 1, 'closed pod': 2 });
  });
});
