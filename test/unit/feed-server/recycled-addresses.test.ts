/*
 * 10,000 pods that lose their addresses to others, in the orders that kubelet, CNI and API server can produce, with the controller's table,
 * the frames of the feed and the agent's table. Who an agent takes the sender of a request for is compared with who it is. An agent may be
 * wrong for a while after an address has changed hands: until the API server knows, and while its table is still young.
 */
import { expect } from 'chai';
import { PodIdentities } from '../../../src/agent/bundles/pod-identities.ts';
import { IDENTITY_MAX_AGE_MS, parseQuestion } from '../../../src/feed/identities.ts';
import { IdentityFeed, type IdentitySink } from '../../../src/feed-server/identity-feed.ts';
import { COLLECT_MS } from '../../../src/feed-server/identity-table.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { createRandom } from '../../fuzz/random.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { ENDINGS, RecycledPods } from '../../support/recycled-pods.ts';
import { SEED } from '../../support/seed.ts';

const RECYCLES = 10_000;
const ADDRESSES = 200;
const LIFE_MS = 90_000;
const KUBELET_MS = 10_000;
const WATCH_MS = 1_000;
const DELIVERY_MS = 500;
const ASK_MS = LIMITS.identityQuestion.value;

interface Outcome {
  readonly counts: { right: number; unknown: number; wrong: number };
  /** Longest time after a change of hands at which the identity was wrong. */
  longestMs: number;
  readonly cluster: RecycledPods;
}

/** Runs the cluster with one agent. @param outageMs longest outage of the stream, and of the watch; 0: none */
function simulate(outageMs: number): Outcome {
  const clock = createFakeClock();
  const random = createRandom(SEED);
  const cluster = new RecycledPods(clock, random, { kubeletMs: KUBELET_MS, watchMs: WATCH_MS });
  const outcome: Outcome = { counts: { right: 0, unknown: 0, wrong: 0 }, longestMs: 0, cluster };
  const feed = new IdentityFeed({
    clock,
    pods: cluster.pods,
    isEnabled: () => true,
    isCurrent: () => cluster.isWatching,
    trustDomain: () => 'cluster.local',
  });
  const identities = new PodIdentities(LIMITS, clock);
  const isOver = (): boolean => cluster.recycles >= RECYCLES;

  let stream: IdentitySink | undefined;
  const connect = (): void => {
    identities.reconnect();
    let arrivesMs = 0;
    const own: IdentitySink = {
      backlog: 0,
      sendIdentities: (payload, onWritten) => {
        onWritten();
        // In order, as on a connection.
        arrivesMs = Math.max(arrivesMs, clock.nowMs() + random.below(DELIVERY_MS));
        cluster.after(arrivesMs - clock.nowMs(), () => {
          if (stream === own) identities.apply(payload);
        });
      },
    };
    stream = own;
    const ask = (): void => {
      if (stream !== own || isOver()) return;
      const question = parseQuestion(identities.question());
      if (question === undefined) throw new Error('no question');
      cluster.after(random.below(DELIVERY_MS), () => {
        if (stream === own) feed.ask(own, question);
      });
      cluster.after(ASK_MS, ask);
    };
    ask();
  };
  const disconnect = (): void => {
    if (stream !== undefined) feed.forget(stream);
    stream = undefined;
  };
  const breakDown = (): void => {
    if (isOver()) return;
    const ms = random.below(outageMs + 1);
    if (random.below(2) === 0) {
      disconnect();
      cluster.after(ms, connect);
    } else {
      cluster.isWatching = false;
      cluster.after(ms, () => cluster.resumeWatch());
    }
    cluster.after(ms + random.below(60_000), breakDown);
  };

  const probe = (address: string): void => {
    const owner = cluster.truth.get(address);
    if (owner !== undefined) {
      const connection = { sourceIp: address, destinationIp: '10.0.0.1', destinationPort: 80, sni: '', tls: false };
      const found = identities.identityOf(connection)?.uris[0];
      if (found === undefined) outcome.counts.unknown += 1;
      else if (found === `spiffe://cluster.local/ns/shop/sa/${owner.pod.account}`) outcome.counts.right += 1;
      else {
        outcome.counts.wrong += 1;
        outcome.longestMs = Math.max(outcome.longestMs, clock.nowMs() - owner.sinceMs);
      }
    }
    if (!isOver()) cluster.after(500 + random.below(5_000), () => probe(address));
  };

  connect();
  if (outageMs > 0) cluster.after(30_000, breakDown);
  for (let at = 0; at < ADDRESSES; at += 1) {
    const address = `10.0.${at >> 8}.${at & 255}`;
    cluster.after(random.below(LIFE_MS), () => cluster.populate(address, LIFE_MS));
    cluster.after(random.below(LIFE_MS), () => probe(address));
  }
  cluster.run(isOver);
  feed.stop();
  return outcome;
}

describe('addresses of pods that others get', function () {
  this.timeout(300_000);

  for (const [outageMs, windowMs] of [
    [0, KUBELET_MS + WATCH_MS + COLLECT_MS + DELIVERY_MS],
    [60_000, KUBELET_MS + WATCH_MS + COLLECT_MS + IDENTITY_MAX_AGE_MS],
  ] as const) {
    it(`are never of the wrong pod beyond ${windowMs} ms, with outages of up to ${outageMs} ms`, () => {
      const { counts, longestMs, cluster } = simulate(outageMs);
      const seen = `${JSON.stringify(counts)}, longest ${longestMs} ms`;
      expect(longestMs, seen).to.be.at.most(windowMs);
      expect(cluster.recycles).to.equal(RECYCLES);
      expect([...cluster.endings.keys()].sort()).to.deep.equal([...ENDINGS].sort());
      // The window is there, and most requests are identified.
      expect(counts.wrong, seen).to.be.above(0);
      expect(counts.right, seen).to.be.above(counts.unknown / 4);
      if (process.env['SALLYPORT_FIGURES'] !== undefined) process.stdout.write(`${seen}\n`);
    });
  }
});
