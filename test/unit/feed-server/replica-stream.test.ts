/* Streams of other replicas at the leader, and what becomes of agents when this replica does not lead. */
import { expect } from 'chai';
import { objectKey, type WorkloadKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DOWN, encodeReport, encodeUnknownKeys, MAX_DOWN_BYTES, UP } from '../../../src/feed/protocol.ts';
import { agentPayload, MAX_RELAY_DOWN_BYTES, RELAY_DOWN, RELAY_UP } from '../../../src/feed/relay-frames.ts';
import { READ_MS } from '../../../src/feed-server/agent-stream.ts';
import { type AgentStreams, type AgentStreamsOptions, createAgentStreams } from '../../../src/feed-server/agent-streams.ts';
import { parseRelayed } from '../../../src/feed-server/relayed-bundle.ts';
import { type AgentReports, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { type FrameEnd, framePipe } from '../../support/frame-pipe.ts';
import { pod } from '../controller/pods-and-policies.ts';

const digest = (number: number): string => `sha256:${String(number).padStart(64, '0')}`;
const KEYS = new Map([['remote-0123456789abcdef', '0123456789abcdef']]);
const REPLICA = { namespace: 'system', name: 'two', uid: 'two', serviceAccount: 'sallyport', expiresMs: Date.UTC(2100, 0, 1) };

describe('streams of other replicas', () => {
  let clock: FakeClock;
  let reports: AgentReports;
  let pods: Map<string, SlimPod>;
  let bundles: Map<WorkloadKey, { readonly number: number; readonly content: Buffer }>;
  let events: string[];
  let failures: number;
  let streams: AgentStreams;
  const onBundle = new Set<(key: WorkloadKey) => void>();
  const onPod = new Set<(key: string) => void>();

  const start = (over: Partial<AgentStreamsOptions> = {}): void => {
    streams = createAgentStreams({
      source: {
        podOf: (key) => pods.get(key),
        onPod: (listener) => {
          onPod.add(listener);
          return () => onPod.delete(listener);
        },
        currentOf: (workload) => {
          const found = bundles.get(workload);
          if (found === undefined) return undefined;
          const read = async () => {
            if (workload === 'foo/pod/slow') await new Promise(() => undefined);
            failures -= 1;
            if (failures >= 0) throw new Error('not read');
            return { files: { '0/part': found.content } };
          };
          return { number: found.number, read };
        },
        onBundle: (listener) => {
          onBundle.add(listener);
          return () => onBundle.delete(listener);
        },
        onAhead: (workload, number) => void events.push(`ahead ${workload} ${number}`),
        onUnknownKeys: (workload, keys) => {
          events.push(`keys ${workload} ${keys.size}`);
          return ['fetch'];
        },
      },
      reports,
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      observer: {
        onClosed: (reason) => void events.push(`closed ${reason}`),
        onBundle: (result) => void events.push(result),
        onUnknownKey: (result) => void events.push(result),
      },
      maxStreams: 4,
      ...over,
    });
  };
  beforeEach(() => {
    clock = createFakeClock();
    reports = createAgentReports(clock);
    reports.beginTerm();
    [pods, bundles, events, failures] = [new Map(), new Map(), [], 0];
    onBundle.clear();
    onPod.clear();
    for (const name of ['web', 'api'])
      pods.set(objectKey('foo', name), { ...pod({ name, uid: `uid-${name}`, ip: '10.0.0.1' }), serviceAccount: 'default' });
    start();
  });
  afterEach(() => streams.stop());

  const publish = (number: number, content = Buffer.from(`bundle ${number}`), workload = 'foo/pod/web'): void => {
    bundles.set(workload, { number, content });
    for (const listener of onBundle) listener(workload);
  };
  const open = (replica = REPLICA): FrameEnd => {
    const { socket, end } = framePipe(MAX_RELAY_DOWN_BYTES);
    streams.addReplica(replica, socket);
    return end;
  };
  const identityOf = (name: string, uid = `uid-${name}`) => ({
    namespace: 'foo',
    name,
    uid,
    serviceAccount: 'default',
    expiresMs: clock.wallMs() + 3_600_000,
  });
  const claim = (end: FrameEnd, id: number, name: string, uid?: string): void =>
    end.send(RELAY_UP.claim, agentPayload(id, Buffer.from(JSON.stringify({ ...identityOf(name, uid), more: 1 }))));
  const say = (end: FrameEnd, id: number, number: number): void =>
    end.send(RELAY_UP.report, agentPayload(id, encodeReport({ digest: digest(number), number, received: 0 })));
  const got = ({ frames }: FrameEnd): readonly string[] =>
    frames.flatMap(({ type, payload }) => {
      if (type === RELAY_DOWN.alive) return [];
      if (type !== RELAY_DOWN.bundle) return [`${type} ${payload.toString(type === RELAY_DOWN.ended ? 'hex' : 'utf8')}`];
      const read = parseRelayed(payload);
      return [`${read?.workload} ${read?.number} ${Buffer.from(read?.files['0/part'] ?? []).toString()}`];
    });

  it('count their agents like those of this replica, until they leave', async () => {
    const end = open();
    claim(end, 5, 'web');
    say(end, 5, 3);
    await until(() => reports.isConnected('foo/web'), 'the report');
    expect([reports.get('foo/web'), streams.size(), streams.relayed()]).to.deep.equal([{ uid: 'uid-web', revision: digest(3) }, 0, 1]);
    end.send(RELAY_UP.leave, agentPayload(5));
    await until(() => !reports.isConnected('foo/web'), 'the end');
    clock.advance(GRACE_MS);
    expect([reports.get('foo/web'), streams.relayed(), events]).to.deep.equal([undefined, 0, []]);
  });

  it('bring the newest bundles of workloads that have agents there, each once', async () => {
    publish(7);
    publish(7, Buffer.from('other'), 'foo/pod/api');
    const end = open();
    for (const id of [1, 2]) {
      claim(end, id, 'web');
      say(end, id, 6);
    }
    await until(() => got(end).length === 1, 'the bundle');
    publish(8);
    say(end, 1, 7);
    await until(() => got(end).length === 2, 'the next bundle');
    // One that the agent has already is not sent.
    publish(9, Buffer.from('other 9'), 'foo/pod/api');
    claim(end, 3, 'api');
    say(end, 3, 9);
    bundles.delete('foo/pod/web');
    for (const listener of onBundle) listener('foo/pod/web');
    await until(() => got(end).length === 3, 'the withdrawal');
    expect(got(end)).to.deep.equal(['foo/pod/web 7 bundle 7', 'foo/pod/web 8 bundle 8', '2 foo/pod/web']);
  });

  it('name a bundle that was withdrawn after its last agent has left', async () => {
    publish(7);
    const end = open();
    claim(end, 1, 'web');
    say(end, 1, 6);
    await until(() => got(end).length === 1, 'the bundle');
    end.send(RELAY_UP.leave, agentPayload(1));
    await until(() => streams.relayed() === 0, 'the end');
    bundles.delete('foo/pod/web');
    for (const listener of onBundle) listener('foo/pod/web');
    await until(() => got(end).length === 2, 'the withdrawal');
    // The replica has it no more, and its number says nothing about the next one.
    publish(5);
    claim(end, 2, 'web');
    say(end, 2, 0);
    await until(() => got(end).length === 3, 'the next one');
    expect(got(end)).to.deep.equal(['foo/pod/web 7 bundle 7', '2 foo/pod/web', 'foo/pod/web 5 bundle 5']);
  });

  it('bring a bundle, once, while others are not read', async () => {
    for (const name of ['slow', 'web']) {
      pods.set(objectKey('foo', name), { ...pod({ name, uid: `uid-${name}`, ip: '10.0.0.1' }), serviceAccount: 'default' });
      publish(7, Buffer.from('bundle 7'), `foo/pod/${name}`);
    }
    const end = open();
    for (const [id, name] of ['slow', 'web', 'web', 'web'].entries()) {
      claim(end, id, name);
      say(end, id, 0);
    }
    publish(8);
    await until(() => got(end).some((line) => line.includes('bundle 8')), 'the bundle');
    await new Promise((resolve) => setImmediate(resolve));
    expect(got(end).filter((line) => line.includes('bundle 8'))).to.have.length(1);
  });

  it('bring a bundle that could not be read later', async () => {
    failures = 1;
    publish(7);
    const end = open();
    claim(end, 1, 'web');
    say(end, 1, 0);
    await until(() => failures < 1 && clock.pending().includes(5_000), 'the failure');
    clock.advance(5_000);
    await until(() => got(end).length === 1, 'the bundle');
  });

  it('end agents of pods that are not known here or are others by now, and those that say what no agent says', async () => {
    const end = open();
    claim(end, 1, 'unknown');
    claim(end, 2, 'web', 'uid-of-an-earlier-one');
    claim(end, 3, 'api');
    end.send(RELAY_UP.report, agentPayload(3, Buffer.from('garbage')));
    end.send(RELAY_UP.report, agentPayload(3, Buffer.from('still on its way')));
    claim(end, 4, 'web');
    say(end, 4, 1);
    await until(() => reports.isConnected('foo/web'), 'the good one');
    expect([got(end), end.isClosed()]).to.deep.equal([['3 00000001', '3 00000002', '3 00000003'], false]);
  });

  it('let agents say as much as the replica lets them', async () => {
    const end = open();
    claim(end, 1, 'web');
    for (let number = 1; number <= 500; number += 1) say(end, 1, number);
    await until(() => reports.get('foo/web')?.revision === digest(500), 'the last report');
  });

  for (const [name, send] of Object.entries<(end: FrameEnd) => void>({
    'a frame without the number of a stream': (end) => end.send(RELAY_UP.report, Buffer.from('a')),
    'an identity that is none': (end) => end.send(RELAY_UP.claim, agentPayload(1, Buffer.from('{}'))),
    'a number that is in use': (end) => {
      claim(end, 1, 'web');
      claim(end, 1, 'api');
    },
  })) {
    it(`end with ${name}, and so do their agents`, async () => {
      const end = open();
      claim(end, 9, 'api');
      say(end, 9, 1);
      await until(() => reports.isConnected('foo/api'), 'the agent');
      send(end);
      await until(end.isClosed, 'the end');
      expect([events, reports.isConnected('foo/api'), streams.replicas()]).to.deep.equal([['closed garbage'], false, 0]);
    });
  }

  it('end agents beyond the limit of this replica, and no others', async () => {
    const end = open();
    for (let id = 1; id <= 6; id += 1) {
      const name = `web-${id}`;
      pods.set(objectKey('foo', name), { ...pod({ name, uid: `uid-${name}`, ip: '10.0.0.1' }), serviceAccount: 'default' });
      claim(end, id, name);
    }
    await until(() => got(end).length === 2, 'the end of the others');
    expect([got(end), streams.relayed(), end.isClosed()]).to.deep.equal([['3 00000005', '3 00000006'], 4, false]);
  });

  it('end when the replica does not read, with few bytes on their way', async () => {
    const end = open();
    end.pause();
    claim(end, 1, 'web');
    say(end, 1, 0);
    await until(() => reports.isConnected('foo/web'), 'the agent');
    for (let number = 1; number <= 20; number += 1) {
      publish(number, Buffer.alloc(MAX_DOWN_BYTES / 2));
      await until(() => clock.pending().includes(READ_MS), 'the deadline');
    }
    clock.advance(READ_MS);
    await until(end.isClosed, 'the end');
    expect(events).to.deep.equal(['closed slow']);
  });

  it('end with the token of the replica', async () => {
    const end = open({ ...REPLICA, expiresMs: clock.wallMs() + 20_000 });
    clock.advance(19_999);
    expect(end.isClosed()).to.equal(false);
    clock.advance(1);
    await until(end.isClosed, 'the end');
    expect(events).to.deep.equal(['closed expired']);
  });

  for (const [what, found] of Object.entries<SlimPod | undefined>({
    'is deleted': undefined,
    'has ended': { ...pod({ name: 'two', uid: 'two', ip: '10.0.0.1' }), phase: 'Failed' },
    'is another one': pod({ name: 'two', uid: 'another', ip: '10.0.0.1' }),
  })) {
    it(`end when the pod of the replica ${what}`, async () => {
      pods.set('system/two', pod({ name: 'two', uid: 'two', ip: '10.0.0.1' }));
      const end = open();
      for (const listener of onPod) listener('system/two');
      expect(streams.replicas()).to.equal(1);
      if (found === undefined) pods.delete('system/two');
      else pods.set('system/two', found);
      for (const listener of onPod) listener('system/two');
      await until(end.isClosed, 'the end');
      expect(events).to.deep.equal(['closed pod']);
    });
  }

  it('are replaced by the next one of the same replica', async () => {
    const [first, other] = [open(), open({ ...REPLICA, name: 'three' })];
    const second = open();
    await until(first.isClosed, 'the end');
    expect([second.isClosed(), other.isClosed(), streams.replicas(), events]).to.deep.equal([false, false, 2, ['closed replaced']]);
  });

  it('ask for keys and name newer bundles as agents of this replica do', async () => {
    publish(7);
    const end = open();
    claim(end, 1, 'web');
    say(end, 1, 8);
    end.send(RELAY_UP.unknownKeys, agentPayload(1, encodeUnknownKeys(KEYS)));
    await until(() => events.includes('fetch'), 'the keys');
    expect(events).to.deep.equal(['ahead foo/pod/web 8', 'keys foo/pod/web 1', 'fetch']);
  });

  describe('and agents of a replica that does not lead any more', () => {
    const agent = (): FrameEnd => {
      const { socket, end } = framePipe(MAX_DOWN_BYTES);
      streams.add(identityOf('web'), socket, { authorities: '', takesParts: false, holds: 0 });
      end.send(UP.report, encodeReport({ digest: digest(8), number: 8, received: 0 }));
      return end;
    };

    it('stay, and are reported to the leader, which asks for their keys', async () => {
      start({
        relay: {
          add: ({ name }, end) => {
            events.push(`relay ${name}`);
            return {
              report: ({ number }) => void events.push(`report ${number}`),
              unknownKeys: ({ size }) => void events.push(`to the leader: ${size}`),
              remove: () => {
                events.push('remove');
                end('leader');
              },
            };
          },
        },
      });
      publish(7);
      const [end, replica] = [agent(), open()];
      await until(() => events.includes('report 8'), 'the report');
      reports.endTerm();
      await until(replica.isClosed, 'the end of the replica');
      end.send(UP.report, encodeReport({ digest: digest(9), number: 9, received: 0 }));
      end.send(UP.unknownKeys, encodeUnknownKeys(KEYS));
      await until(() => events.includes('to the leader: 1'), 'the keys');
      expect(end.isClosed()).to.equal(false);
      end.close();
      await until(() => streams.size() === 0, 'the end');
      expect(events).to.deep.equal([
        'relay web',
        'report 8',
        'ahead foo/pod/web 8',
        'closed stopping',
        'report 9',
        'to the leader: 1',
        'closed agent',
        'remove',
      ]);
    });

    it('get what is published when they refused what the last leader announced', async () => {
      start({ relay: { add: () => ({ report: () => undefined, unknownKeys: () => undefined, remove: () => undefined }) } });
      const { socket, end } = framePipe(MAX_DOWN_BYTES);
      streams.add(identityOf('web'), socket, { authorities: '', takesParts: false, holds: 0 });
      end.send(UP.report, encodeReport({ digest: '', number: 0, received: 0 }));
      const bundlesIn = (): number => end.frames.filter(({ type }) => type === DOWN.bundle).length;
      publish(8);
      await until(() => bundlesIn() === 1, 'what is announced');
      reports.endTerm();
      publish(7);
      end.send(UP.report, encodeReport({ digest: '', number: 0, received: 1, refused: 'SP_STALE' }));
      await until(() => bundlesIn() === 2, 'what is published');
    });

    it('end without a relay', async () => {
      const end = agent();
      await until(() => reports.isConnected('foo/web'), 'the report');
      reports.endTerm();
      await until(end.isClosed, 'the end');
    });
  });
});
