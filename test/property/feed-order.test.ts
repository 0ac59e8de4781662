/*
 * The feed in any order of new bundles, reads of bundles, lost streams and steps of agents: every agent ends with the newest bundle of its
 * workload, never goes back to an older one, and has at most one on its way, and the reports are what the agents said last.
 */
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ObjectKey, WorkloadKey } from '../../src/api/kube/keys.ts';
import { splitFiles } from '../../src/bundle/joined-files.ts';
import { TransientError } from '../../src/errors.ts';
import { FrameReader, frameHead } from '../../src/feed/frames.ts';
import { type AgentReport, DOWN, encodeReport, MAX_DOWN_BYTES, UP } from '../../src/feed/protocol.ts';
import { type AgentStreams, type AgentTraits, createAgentStreams } from '../../src/feed-server/agent-streams.ts';
import type { BundleContent } from '../../src/feed-server/loaded-bundle.ts';
import { PROBATION_MS } from '../../src/feed-server/pod-streams.ts';
import { type AgentReports, createAgentReports } from '../../src/status/agent-reports.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { untilIdle } from '../support/idle-scheduler.ts';
import { numberedDigest } from '../support/numbered-agent.ts';
import { pod } from '../unit/controller/pods-and-policies.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const WORKLOADS = ['foo/statefulset/a', 'foo/statefulset/b'] as const satisfies readonly WorkloadKey[];
/** Two agents get the same bundles. */
const PODS: ReadonlyMap<ObjectKey, WorkloadKey> = new Map([
  ['foo/a-0', 'foo/statefulset/a'],
  ['foo/a-1', 'foo/statefulset/a'],
  ['foo/b-0', 'foo/statefulset/b'],
]);
const PAYLOAD = Buffer.alloc(1000);
/** Two of the three agents may have a bundle on its way at the same time. */
const MAX_BYTES = 2500;
const UNREAD = 2;
const TRAITS: AgentTraits = { authorities: '', takesParts: false, holds: 0 };
const RETRY_MS = 5_000;

/** What happens to the feed from outside. */
type Event =
  | { readonly kind: 'publish'; readonly workload: WorkloadKey; readonly isRefused: boolean }
  | { readonly kind: 'failure' }
  | { readonly kind: 'lost'; readonly pod: ObjectKey }
  | { readonly kind: 'replaced'; readonly pod: ObjectKey };

const events = fc.array(
  fc.oneof<fc.WeightedArbitrary<Event>[]>(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('publish'),
        workload: fc.constantFrom(...WORKLOADS),
        isRefused: fc.nat(3).map((n) => n === 0),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'failure' }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lost'), pod: fc.constantFrom(...PODS.keys()) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('replaced'), pod: fc.constantFrom(...PODS.keys()) }) },
  ),
  { minLength: 1, maxLength: 12 },
);

/** Steps of agents and of the controller; what a step writes is at the other side before the next one. */
const steps = fc.scheduler({
  act: async (step) => {
    await step();
    await nextTurn();
  },
});

describe('the feed in any order', () => {
  it('ends with the newest bundle at every agent, sent forwards, one at a time and within the limit of bytes', async () => {
    let mostUnread = 0;
    await fc.assert(
      fc.asyncProperty(steps, events, async (scheduler, list) => {
        const world = new World(scheduler);
        scheduler.scheduleSequence(
          list.map((event, at) => ({
            label: `${at} ${JSON.stringify(event)}`,
            builder: () => {
              world.apply(event);
              return Promise.resolve();
            },
          })),
        );
        await world.settle();

        for (const [name, workload] of PODS) {
          const agent = world.agents.get(name);
          const newest = world.published.get(workload) ?? 0;
          const isRefused = world.refused.has(newest);
          expect(agent?.lastReceived, `the bundle of ${name}`).to.equal(newest);
          expect(world.reports.get(name)?.revision, `the report of ${name}`).to.equal(numberedDigest(agent?.state.number ?? -1));
          expect(world.reports.get(name)?.refused, `what ${name} refuses`).to.equal(isRefused ? 'SP_BUNDLE_SIGNATURE' : undefined);
          if (!isRefused) expect(agent?.state.number).to.equal(newest);
        }
        expect(world.faults).to.deep.equal([]);
        expect(world.mostUnread).to.be.at.most(UNREAD);
        mostUnread = Math.max(mostUnread, world.mostUnread);
        expect(world.streams.size()).to.equal(PODS.size);
        world.streams.stop();
      }),
      { numRuns: 150 },
    );
    expect(mostUnread).to.equal(UNREAD);
  });
});

/** An agent as it survives its streams. */
interface Agent {
  state: { number: number; refused?: string };
  /** Number of the last bundle that it read, accepted or not; kept over its streams. */
  lastReceived: number;
  /** Bundles that the present stream was sent and that the agent has not reported on. */
  unread: number;
}

class World {
  readonly published = new Map<WorkloadKey, number>();
  readonly refused = new Set<number>();
  readonly agents = new Map<ObjectKey, Agent>();
  readonly faults: string[] = [];
  /** Largest number of streams whose agents had not read a bundle at the same time. */
  mostUnread = 0;
  readonly streams: AgentStreams;
  readonly reports: AgentReports;
  readonly #scheduler: fc.Scheduler;
  readonly #clock = createFakeClock();
  readonly #listeners = new Set<(workload: WorkloadKey) => void>();
  readonly #sockets = new Map<ObjectKey, Duplex>();
  #failures = 0;
  #lastNumber = 0;

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
    this.reports = createAgentReports(this.#clock);
    this.reports.beginTerm();
    this.streams = createAgentStreams({
      source: {
        podOf: (key) => {
          const [namespace = '', name = ''] = key.split('/');
          const owner = { kind: 'StatefulSet', name: name.slice(0, 1) };
          return PODS.has(key) ? { ...pod({ namespace, name, uid: name, owner }), serviceAccount: 'default' } : undefined;
        },
        onPod: () => () => undefined,
        currentOf: (workload) => {
          const number = this.published.get(workload);
          return number === undefined ? undefined : { number, read: () => this.#read(workload, number) };
        },
        onBundle: (listener) => {
          this.#listeners.add(listener);
          return () => this.#listeners.delete(listener);
        },
        onAhead: () => undefined,
        onUnknownKeys: () => [],
      },
      reports: this.reports,
      clock: this.#clock,
      logger,
      observer: { onClosed: () => undefined, onBundle: () => undefined, onUnknownKey: () => undefined },
      maxBytes: MAX_BYTES,
      maxStreams: 10,
    });
    for (const name of PODS.keys()) {
      this.agents.set(name, { state: { number: 0 }, lastReceived: 0, unread: 0 });
      this.#connect(name);
    }
  }

  apply(event: Event): void {
    if (event.kind === 'failure') this.#failures += 1;
    else if (event.kind === 'lost') this.#sockets.get(event.pod)?.destroy();
    else if (event.kind === 'replaced') this.#connect(event.pod);
    else this.#publish(event.workload, event.isRefused);
  }

  /** Runs every step; then the retries of bundles that were not read, and the end of streams that an agent has left. */
  async settle(): Promise<void> {
    await untilIdle(this.#scheduler);
    let passedMs = 0;
    for (let retries = 0; passedMs <= PROBATION_MS || (this.#clock.pending().includes(RETRY_MS) && retries < 20); retries += 1) {
      this.#clock.advance(RETRY_MS);
      passedMs += RETRY_MS;
      await untilIdle(this.#scheduler);
    }
  }

  #publish(workload: WorkloadKey, isRefused: boolean): void {
    this.#lastNumber += 1;
    if (isRefused) this.refused.add(this.#lastNumber);
    this.published.set(workload, this.#lastNumber);
    for (const listener of this.#listeners) listener(workload);
  }

  async #read(workload: WorkloadKey, number: number): Promise<BundleContent | undefined> {
    await this.#scheduler.schedule(Promise.resolve(), `read ${workload} ${number}`);
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new TransientError('SP_KUBE_API', 'fails once');
    }
    // What was replaced meanwhile may have been read before that.
    return this.published.get(workload) === number || number % 2 === 0
      ? { files: { number: Buffer.from(String(number)), payload: PAYLOAD } }
      : undefined;
  }

  /** Opens a stream of the agent, which opens another one when it is lost. */
  #connect(name: ObjectKey): void {
    // Nothing is read ahead of the agent.
    const [ours, theirs] = duplexPair({ highWaterMark: 1 });
    const agent = this.agents.get(name);
    if (agent === undefined) return;
    this.#sockets.set(name, ours);
    agent.unread = 0;
    let received = 0;
    let isEnded = false;
    const reader = new FrameReader(MAX_DOWN_BYTES);
    const isCurrent = (): boolean => this.#sockets.get(name) === ours && !isEnded;
    const report = (): void => {
      const { number, refused } = agent.state;
      const said: AgentReport = { digest: numberedDigest(number), number, received, ...(refused === undefined ? {} : { refused }) };
      const payload = encodeReport(said);
      theirs.write(Buffer.concat([frameHead(UP.report, payload.length), payload]));
    };
    const take = (payload: Buffer): void => {
      agent.unread += 1;
      if (agent.unread > 1) this.faults.push(`${name} was sent a bundle before it said what became of the last one`);
      const number = Number(splitFiles(payload)?.['number']);
      void this.#step(`activate ${number} at ${name}`, () => {
        if (!isCurrent()) return;
        if (number <= agent.state.number) this.faults.push(`${name} got ${number} after ${agent.state.number}`);
        agent.lastReceived = number;
        agent.unread -= 1;
        received += 1;
        agent.state = this.refused.has(number) ? { ...agent.state, refused: 'SP_BUNDLE_SIGNATURE' } : { number };
        report();
      });
    };
    const read = (): void => {
      void this.#step(`${name} reads`, () => {
        // The agent has left this stream, which the controller has not noticed.
        if (!isCurrent()) return;
        for (let chunk: unknown = theirs.read(); chunk !== null; chunk = theirs.read())
          for (const { type, payload } of reader.push(chunk as Buffer) ?? []) if (type === DOWN.bundle) take(payload);
      });
    };
    theirs.on('readable', read);
    for (const side of [ours, theirs]) side.on('error', () => undefined);
    ours.on('close', () => {
      isEnded = true;
      theirs.destroy();
      if (this.#sockets.get(name) === ours) void this.#step(`${name} reconnects`, () => this.#reconnect(name, ours));
    });
    const [namespace = '', podName = ''] = name.split('/');
    this.streams.add({ namespace, name: podName, uid: podName, serviceAccount: 'default', expiresMs: Infinity }, ours, TRAITS);
    void this.#step(`${name} says what it enforces`, () => {
      if (isCurrent()) report();
    });
  }

  #reconnect(name: ObjectKey, lost: Duplex): void {
    if (this.#sockets.get(name) === lost) this.#connect(name);
  }

  /** Runs `run` when the scheduler chooses it, and looks at what is on its way after that. */
  #step(label: string, run: () => void): Promise<void> {
    return this.#scheduler.schedule(Promise.resolve(), label).then(() => {
      run();
      const unread = [...this.#sockets.values()].filter((socket) => !socket.destroyed && socket.writableLength >= PAYLOAD.length).length;
      this.mostUnread = Math.max(this.mostUnread, unread);
    });
  }
}
