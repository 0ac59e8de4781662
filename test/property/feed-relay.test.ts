/*
 * Two replicas in any order of edits, writes, lost streams of agents and replicas, and changes of the leader: every agent ends with the newest
 * bundle of its workload, never goes back and gets none that was withdrawn, and the leader knows what each of them enforces, wherever it holds its stream.
 */
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ObjectKey, WorkloadKey } from '../../src/api/kube/keys.ts';
import { HeldParts } from '../../src/controller/held-parts.ts';
import { LeaderBundles } from '../../src/controller/leader-bundles.ts';
import type { FeedConnection } from '../../src/feed-client/feed-stream.ts';
import { createLeaderRelay, type LeaderRelay } from '../../src/feed-relay/leader-relay.ts';
import { type AgentStreams, createAgentStreams, type FeedSource } from '../../src/feed-server/agent-streams.ts';
import type { PodIdentity } from '../../src/feed-server/pod-tokens.ts';
import { LIMITS } from '../../src/limits/agent-limits.ts';
import { type AgentReports, createAgentReports } from '../../src/status/agent-reports.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { NumberedAgent, numberedChunks, numberedDigest, numberedFiles } from '../support/numbered-agent.ts';
import { pod } from '../unit/controller/pods-and-policies.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const PODS: ReadonlyMap<ObjectKey, WorkloadKey> = new Map([
  ['foo/a-0', 'foo/statefulset/a'],
  ['foo/a-1', 'foo/statefulset/a'],
  ['foo/b-0', 'foo/statefulset/b'],
]);
const WORKLOADS = [...new Set(PODS.values())];
const NAMES = ['one', 'two'] as const;
/** Later than all tests end. */
const FOREVER_MS = Date.UTC(2100, 0, 1);
type Name = (typeof NAMES)[number];

type Event =
  /** The leader compiles another bundle; agents may have it before it is written. */
  | { readonly kind: 'edit'; readonly workload: WorkloadKey; readonly isRefused: boolean }
  /** What the leader has announced is written. */
  | { readonly kind: 'write'; readonly workload: WorkloadKey }
  /** The leader deletes the bundle, published or not. */
  | { readonly kind: 'withdraw'; readonly workload: WorkloadKey }
  /** The pod is created again. */
  | { readonly kind: 'restart'; readonly pod: ObjectKey; readonly next: Name }
  | { readonly kind: 'lost'; readonly pod: ObjectKey; readonly next: Name }
  | { readonly kind: 'link' }
  | { readonly kind: 'lead'; readonly next: Name | undefined }
  | { readonly kind: 'time'; readonly ms: number };

const workload = fc.constantFrom(...WORKLOADS);
const events = fc.array(
  fc.oneof<fc.WeightedArbitrary<Event>[]>(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('edit'), workload, isRefused: fc.nat(3).map((n) => n === 0) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('write'), workload }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('lost'), pod: fc.constantFrom(...PODS.keys()), next: fc.constantFrom(...NAMES) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('withdraw'), workload }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('restart'), pod: fc.constantFrom(...PODS.keys()), next: fc.constantFrom(...NAMES) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'link' }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('lead'), next: fc.constantFrom(...NAMES, undefined) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('time'), ms: fc.constantFrom(0, 100, 1_000, 20_000) }) },
  ),
  { minLength: 1, maxLength: 25 },
);

interface Replica {
  readonly held: HeldParts;
  readonly fromLeader: LeaderBundles;
  readonly reports: AgentReports;
  readonly streams: AgentStreams;
  readonly relay: LeaderRelay;
  /** What it has announced in this term. */
  readonly announced: Map<WorkloadKey, number>;
  readonly listeners: Set<(workload: WorkloadKey) => void>;
}

describe('the feed of two replicas in any order', () => {
  it('ends with the newest bundles at all agents, and with a leader that knows what they enforce', async () => {
    let throughRelay = 0;
    await fc.assert(
      fc.asyncProperty(events, async (list) => {
        const world = new World();
        try {
          await world.turns(100);
          for (const event of list) await world.apply(event);
          await world.settle();
          const leader = world.replicas[world.leader ?? 'one'];
          const said = [...PODS.keys()].map((name) => leader.reports.get(name)?.revision);
          expect(said, 'what the leader knows').to.deep.equal(
            [...PODS.keys()].map((name) => numberedDigest(world.agents.get(name)?.number ?? -1)),
          );
          for (const [name, key] of PODS) {
            const newest = world.published.get(key);
            if (newest === undefined) continue;
            const { number, offered } = world.agents.get(name) ?? { number: -1, offered: -1 };
            expect(world.refused.has(newest) ? offered : number, `the bundle of ${name}`).to.equal(newest);
          }
          expect(world.faults).to.deep.equal([]);
          expect(leader.streams.size() + leader.streams.relayed()).to.equal(PODS.size);
          throughRelay += leader.streams.relayed();
          expect(await world.restartIdle(), 'what was withdrawn').to.deep.equal([]);
        } finally {
          await world.stop();
        }
      }),
      { numRuns: 200 },
    );
    expect(throughRelay).to.be.above(0);
  });
});

class World {
  readonly published = new Map<WorkloadKey, number>();
  readonly refused = new Set<number>();
  /** What agents have, over their streams: the number that they accepted last, and the last that they read. */
  readonly agents = new Map<ObjectKey, NumberedAgent>();
  readonly faults: string[] = [];
  readonly replicas: Readonly<Record<Name, Replica>>;
  leader: Name | undefined = 'one';
  readonly #clock = createFakeClock();
  readonly #sockets = new Map<ObjectKey, { readonly socket: Duplex; at: Name }>();
  readonly #links = new Set<Duplex>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>[] = [];
  #lastNumber = 0;

  constructor() {
    const [one, two] = NAMES.map((name) => this.#replica(name));
    this.replicas = { one, two } as Readonly<Record<Name, Replica>>;
    this.replicas.one.reports.beginTerm();
    for (const { relay } of Object.values(this.replicas)) this.#running.push(relay.run(this.#stopping.signal));
    for (const [at, name] of [...PODS.keys()].entries()) {
      this.#agent(name);
      this.#connect(name, NAMES[at % 2] ?? 'one');
    }
  }

  async apply(event: Event): Promise<void> {
    if (event.kind === 'time') await this.turns(event.ms);
    else if (event.kind === 'link') for (const link of this.#links) link.destroy();
    else if (event.kind === 'lead') this.#lead(event.next);
    else if (event.kind === 'lost') this.#move(event.pod, event.next);
    else if (event.kind === 'restart') {
      this.#agent(event.pod);
      this.#move(event.pod, event.next);
    } else if (event.kind === 'withdraw') this.#withdraw(event.workload);
    else if (event.kind === 'edit') this.#edit(event.workload, event.isRefused);
    else this.#write(event.workload);
  }

  /** Lets time pass, in steps in which everything that is on its way arrives. */
  async turns(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 250) {
      for (let at = 0; at < 12; at += 1) await nextTurn();
      if (ms > 0) this.#clock.advance(Math.min(250, ms));
    }
  }

  /** There is a leader that writes what it has announced, until nothing changes any more. */
  async settle(): Promise<void> {
    if (this.leader === undefined) this.#lead('two');
    await this.turns(25_000);
    for (const key of WORKLOADS) this.#write(key);
    await this.turns(45_000);
    for (const key of WORKLOADS) this.#write(key);
    await this.turns(5_000);
  }

  /** Starts all agents of workloads without a bundle again. @returns those that got one */
  async restartIdle(): Promise<readonly string[]> {
    const got: string[] = [];
    for (const next of NAMES) {
      const idle = [...PODS].filter(([, key]) => !this.published.has(key));
      for (const [name] of idle) {
        this.#agent(name);
        this.#move(name, next);
      }
      await this.turns(3_000);
      for (const [name] of idle) if (this.agents.get(name)?.offered !== 0) got.push(`${name} at ${next}`);
    }
    return got;
  }

  /** A new agent of a pod. */
  #agent(name: ObjectKey): NumberedAgent {
    const isRefused = (number: number): boolean => this.refused.has(number);
    const agent = new NumberedAgent(PODS.get(name) ?? '', isRefused, (fault) => void this.faults.push(`${name} got ${fault}`));
    this.agents.set(name, agent);
    return agent;
  }

  #withdraw(key: WorkloadKey): void {
    if (this.leader === undefined) return;
    this.replicas[this.leader].announced.delete(key);
    this.replicas[this.leader].held.delete(key);
    this.published.delete(key);
    for (const { listeners } of Object.values(this.replicas)) for (const listener of listeners) listener(key);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { streams } of Object.values(this.replicas)) streams.stop();
    for (const link of this.#links) link.destroy();
    await Promise.all(this.#running);
  }

  #replica(name: Name): Replica {
    const reports = createAgentReports(this.#clock);
    const announced = new Map<WorkloadKey, number>();
    const listeners = new Set<(workload: WorkloadKey) => void>();
    const held = new HeldParts();
    const fromLeader = new LeaderBundles((key) => this.published.get(key) ?? 0, held);
    const relay = createLeaderRelay({
      clock: this.#clock,
      logger,
      random: () => 0.5,
      isLeading: reports.isLeading,
      leaderHost: () => this.leader,
      connect: async (host) => this.#connectReplica(name, host),
      silence: LIMITS.feedSilence,
      onBundle: ({ workload: key, ...bundle }) => fromLeader.set(key, bundle),
      onWithdrawn: (key) => fromLeader.delete(key),
      onEnd: () => fromLeader.clear(),
    });
    const source = this.#sourceOf(name, { announced, listeners, held, fromLeader });
    const observer = { onClosed: () => undefined, onBundle: () => undefined, onUnknownKey: () => undefined };
    const streams = createAgentStreams({ source, reports, clock: this.#clock, logger, observer, relay, maxStreams: 10 });
    return { reports, streams, relay, announced, listeners, held, fromLeader };
  }

  #sourceOf(
    name: Name,
    { announced, listeners, held, fromLeader }: Pick<Replica, 'announced' | 'listeners' | 'held' | 'fromLeader'>,
  ): FeedSource {
    return {
      podOf: (key) => {
        const [namespace = '', podName = ''] = key.split('/');
        const owner = { kind: 'StatefulSet', name: podName.slice(0, 1) };
        return { ...pod({ namespace, name: podName, uid: podName, owner, ip: '10.0.0.1' }), serviceAccount: 'default' };
      },
      onPod: () => () => undefined,
      currentOf: (key) => {
        const newest = Math.max(announced.get(key) ?? 0, this.published.get(key) ?? 0);
        const sent = fromLeader.get(key);
        if (sent !== undefined && sent.number > newest)
          return { number: sent.number, held: held.get(key, sent.number), read: async () => sent };
        return newest === 0 ? undefined : { number: newest, held: held.get(key, newest), read: async () => numberedFiles(key, newest) };
      },
      onBundle: (listener) => {
        listeners.add(listener);
        fromLeader.subscribe(listener);
        return () => undefined;
      },
      onAhead: (key, number) => {
        if (this.leader !== name) this.faults.push(`${name} does not lead and took number ${number}`);
        else if (number > (announced.get(key) ?? 0)) this.#edit(key, false);
      },
      onUnknownKeys: () => [],
    };
  }

  async #connectReplica(name: Name, host: string): Promise<FeedConnection> {
    const leader = this.replicas[host as Name];
    if (host === name || !leader.reports.isLeading()) return { kind: 'refused', reason: 'another replica leads' };
    const [ours, theirs] = duplexPair();
    for (const side of [ours, theirs]) side.on('error', () => undefined);
    ours.on('close', () => {
      this.#links.delete(ours);
      theirs.destroy();
    });
    theirs.on('close', () => ours.destroy());
    this.#links.add(ours);
    leader.streams.addReplica({ namespace: 'system', name, uid: name, serviceAccount: 'sallyport', expiresMs: FOREVER_MS }, ours);
    return { kind: 'open', socket: theirs, head: Buffer.alloc(0), accepts: [] };
  }

  #lead(next: Name | undefined): void {
    if (next === this.leader) return;
    const before = this.leader === undefined ? undefined : this.replicas[this.leader];
    this.leader = next;
    before?.reports.endTerm();
    before?.held.clear();
    before?.announced.clear();
    if (next === undefined) return;
    this.replicas[next].held.clear();
    this.replicas[next].fromLeader.clear();
    this.replicas[next].reports.beginTerm();
    // What was announced and never written is compiled again.
    for (const key of WORKLOADS) if (!this.published.has(key)) this.#edit(key, false);
  }

  #edit(key: WorkloadKey, isRefused: boolean): void {
    if (this.leader === undefined) return;
    this.#lastNumber += 1;
    if (isRefused) this.refused.add(this.#lastNumber);
    const { announced, listeners, held } = this.replicas[this.leader];
    announced.set(key, this.#lastNumber);
    if (this.#lastNumber % 2 === 0) held.put(key, this.#lastNumber, numberedChunks(key, this.#lastNumber));
    for (const listener of listeners) listener(key);
  }

  #write(key: WorkloadKey): void {
    const number = this.leader === undefined ? undefined : this.replicas[this.leader].announced.get(key);
    if (number === undefined || number <= (this.published.get(key) ?? 0)) return;
    this.published.set(key, number);
    for (const { listeners } of Object.values(this.replicas)) for (const listener of listeners) listener(key);
  }

  #move(name: ObjectKey, next: Name): void {
    const held = this.#sockets.get(name);
    if (held === undefined) return;
    held.at = next;
    held.socket.destroy();
  }

  #connect(name: ObjectKey, at: Name): void {
    const { reports, streams, relay } = this.replicas[at];
    const again = (next: Name): void => {
      this.#clock.after(500, () => {
        if (!this.#stopping.signal.aborted) this.#connect(name, next);
      });
    };
    if (!reports.isLeading() && !relay.isOpen()) {
      again(this.leader ?? at);
      return;
    }
    const [ours, theirs] = duplexPair();
    const held = { socket: ours, at };
    this.#sockets.set(name, held);
    const agent = this.agents.get(name) ?? this.#agent(name);
    const report = agent.follow(theirs);
    for (const side of [ours, theirs]) side.on('error', () => undefined);
    ours.on('close', () => {
      theirs.destroy();
      again(held.at);
    });
    const beat = (): void => {
      if (theirs.destroyed) return;
      report();
      this.#clock.after(15_000, beat);
    };
    const [namespace = '', podName = ''] = name.split('/');
    const identity: PodIdentity = { namespace, name: podName, uid: podName, serviceAccount: 'default', expiresMs: FOREVER_MS };
    streams.add(identity, ours, { authorities: '', takesParts: true, holds: agent.holds });
    beat();
  }
}
