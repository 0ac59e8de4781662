/*
 * Two replicas of the controller in one process, with one set of ConfigMaps and an API server that fails, delays and loses what the test asks
 * for. Replicas learn of changes when the test delivers them.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { policyKey } from '../../src/api/kube/keys.ts';
import { BUNDLE_TOUCH_ANNOTATION } from '../../src/api/kube/names.ts';
import type { SlimPod } from '../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { KubeClient, KubeRequest, KubeResponse } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { createBundleWrites } from '../../src/controller/bundle-writes.ts';
import { createFeedSource } from '../../src/controller/feed-source.ts';
import { HeldParts } from '../../src/controller/held-parts.ts';
import { LeaderBundles } from '../../src/controller/leader-bundles.ts';
import { createPipeline } from '../../src/controller/pipeline.ts';
import { createTouches } from '../../src/controller/touches.ts';
import { type ConfigMapDelivery, createConfigMapDelivery } from '../../src/delivery/config-map-delivery.ts';
import type { Copy, PublishedCopies } from '../../src/delivery/published-copies.ts';
import { createRelayedFiles } from '../../src/delivery/relayed-files.ts';
import { RefusedError, TransientError } from '../../src/errors.ts';
import { createAddressGuards } from '../../src/jwks/address-guard.ts';
import { createJwksCache, type JwksCache } from '../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../../src/state/cluster-state.ts';
import { conditionsOf } from '../../src/status/conditions.ts';
import { createStatusLoop } from '../../src/status/status-loop.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../src/status/workload-ledger.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from './fake-config-maps.ts';
import { SIGNER } from './signing.ts';

/** What happens to a write. `lost`: it is stored, and the response does not arrive. `held`: it arrives when the test releases it. */
export type Fault = 'conflict' | 'busy' | 'failed' | 'forbidden' | 'lost' | 'held';

/** A policy as the API server holds it. */
export interface StoredPolicy {
  readonly kind: 'AuthorizationPolicy';
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string; readonly generation: number };
  readonly spec: object;
}

interface Replica {
  readonly clusterState: ClusterState;
  readonly ledger: WorkloadLedger<PublishedCopies>;
  readonly delivery: ConfigMapDelivery;
  /** What it has not learnt yet, in order. */
  readonly backlog: (() => void)[];
}

interface Term {
  readonly replica: number;
  readonly queues: () => readonly { readonly depth: () => number; readonly running: () => readonly number[] }[];
  readonly stop: () => Promise<void>;
}

const logger = createLogger({ level: 'silent', component: 'world' });
const REPLICAS = [0, 1];
/** Turns of the event loop without a change, after which nothing runs any more that does not wait. */
const QUIET_TURNS = 8;

/** What the test does to the cluster, and what it compares in the end. */
export class ControllerWorld {
  readonly clock: FakeClock = createFakeClock();
  readonly configMaps: FakeConfigMaps = createFakeConfigMaps();
  /** Of the next writes. */
  readonly faults: Fault[] = [];
  /** Conditions of each policy as written last, by key. */
  readonly statuses: Map<string, string> = new Map();
  /** What pods are annotated with, by name. */
  readonly annotations: Map<string, string> = new Map();
  /** What an agent of each workload enforces that holds a stream to whichever replica leads. */
  readonly enforced: Map<string, { readonly number: number; readonly digest: string }> = new Map();
  /** Agents get bundles before they are written. */
  readonly #hasFeed: boolean;
  #followFeed = (): void => undefined;
  readonly #policies = new Map<string, StoredPolicy>();
  readonly #pods = new Map<string, SlimPod>();
  readonly #held: (() => void)[] = [];
  #replicas: Replica[];
  #term: Term | undefined;
  #uids = 0;

  constructor(hasFeed = false) {
    this.#hasFeed = hasFeed;
    this.#replicas = REPLICAS.map(() => this.#newReplica());
    this.configMaps.onEvent = (name, object) => {
      for (const { backlog, delivery } of this.#replicas) backlog.push(() => report(delivery, name, object));
    };
  }

  putPolicy(policy: StoredPolicy): void {
    const key = policyKey(policy.kind, policy.metadata.namespace, policy.metadata.name);
    this.#policies.set(key, policy);
    for (const { clusterState, backlog } of this.#replicas) backlog.push(() => clusterState.upsertPolicy(policy));
  }

  /** A UID that no object had before. */
  newUid(): string {
    this.#uids += 1;
    return `uid-${this.#uids}`;
  }

  policy(key: string): StoredPolicy | undefined {
    return this.#policies.get(key);
  }

  removePolicy(key: string): void {
    this.#policies.delete(key);
    this.statuses.delete(key);
    for (const { clusterState, backlog } of this.#replicas) backlog.push(() => clusterState.removePolicy(key));
  }

  putPod(pod: SlimPod): void {
    this.#pods.set(`${pod.namespace}/${pod.name}`, pod);
    for (const { clusterState, backlog } of this.#replicas) backlog.push(() => clusterState.pods.upsert(pod));
  }

  pod(key: string): SlimPod | undefined {
    return this.#pods.get(key);
  }

  removePod(key: string): void {
    this.#pods.delete(key);
    this.annotations.delete(key);
    for (const { clusterState, backlog } of this.#replicas) backlog.push(() => clusterState.pods.remove(key));
  }

  /** A replica learns of its next changes. */
  deliver(replica: number, count: number): void {
    for (const learn of this.#replicas[replica]?.backlog.splice(0, count) ?? []) learn();
  }

  /** The watches of a replica break, and it lists everything. */
  relist(replica: number): void {
    const one = this.#replicas[replica];
    if (one === undefined) return;
    one.backlog.length = 0;
    this.#fill(one);
  }

  /** The process of a replica ends, and another one takes its place. */
  async restart(replica: number): Promise<void> {
    const isLeader = this.#term?.replica === replica;
    if (isLeader) await this.#endTerm();
    const fresh = this.#newReplica();
    this.#replicas = this.#replicas.map((one, at) => (at === replica ? fresh : one));
    this.#fill(fresh);
    if (isLeader) this.lead(replica);
  }

  /** Another replica leads; writes of the former leader may still be on their way. */
  async changeLeader(): Promise<void> {
    const next = this.#term?.replica === 0 ? 1 : 0;
    await this.#endTerm();
    this.lead(next);
  }

  /** Lets delayed writes arrive. */
  release(): void {
    for (const arrive of this.#held.splice(0)) arrive();
  }

  /** Lets everything run that is due now. */
  async run(): Promise<void> {
    let before = '';
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      await turn();
      const now = this.#progress();
      quiet = now === before && this.#isWaiting() ? quiet + 1 : 0;
      before = now;
    }
  }

  /** Ends all faults and waits until nothing changes any more. */
  async converge(): Promise<void> {
    this.faults.length = 0;
    // Reports of tampering stay for ten minutes, and a refusal is retried after three.
    for (let minute = 0; minute < 15; minute += 1) {
      for (let step = 0; step < 6; step += 1) {
        this.release();
        for (const replica of REPLICAS) this.deliver(replica, Number.MAX_SAFE_INTEGER);
        await this.run();
        this.clock.advance(10_000);
        this.#followFeed();
        await this.run();
      }
    }
  }

  async stop(): Promise<void> {
    this.faults.length = 0;
    await this.#endTerm();
  }

  /** The digests of all bundles by workload, as a replica reads them that knows nothing else. */
  published(): ReadonlyMap<string, string> {
    const { ledger } = this.#fill(this.#newReplica());
    return new Map([...ledger.records()].map(({ key, published }) => [key, published?.revision ?? 'damaged'] as const).sort());
  }

  /** Takes over the policies and pods of another one, and nothing else. */
  copyObjects(other: ControllerWorld): void {
    for (const policy of other.#policies.values()) this.putPolicy(policy);
    for (const pod of other.#pods.values()) this.putPod(pod);
  }

  /** Begins a term of a replica. */
  lead(replica: number): void {
    const one = this.#replicas[replica];
    if (one === undefined) throw new Error(`no replica ${replica}`);
    const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 };
    const { clock } = this;
    const common = { ...one, clock, logger, mesh: () => DEFAULT_MESH_CONFIG };
    const jwksCache = createJwksCache({ limits, clock, random: () => 1, logger });
    const touches = createTouches({
      ...common,
      kubeletResync: {
        isNeeded: ({ agent, annotations }, revision) =>
          agent !== undefined && annotations[BUNDLE_TOUCH_ANNOTATION]?.startsWith(revision) !== true,
        patch: async ({ namespace, name }, revision) => {
          await this.#meet(() => {
            const pod = this.#pods.get(`${namespace}/${name}`);
            if (pod === undefined) return;
            this.annotations.set(`${namespace}/${name}`, revision);
            this.putPod({ ...pod, annotations: { ...pod.annotations, [BUNDLE_TOUCH_ANNOTATION]: revision } });
          });
        },
      },
    });
    const writes = this.#hasFeed ? createBundleWrites({ clock, logger }) : undefined;
    const ahead = writes === undefined ? {} : { ahead: { announce: one.delivery.announce, writes } };
    const pipeline = createPipeline({ ...common, ...ahead, jwksCache, touches, random: () => 0 });
    const stopFeed = this.#hasFeed ? this.#serveFeed(one, jwksCache) : (): void => undefined;
    const statuses = createStatusLoop({
      ...common,
      jwksCache,
      write: async (entry, facts) => {
        const before = this.statuses.get(entry.key);
        await this.#meet(() => {
          // The API server refuses a status that was made from an earlier version of the object.
          if (this.statuses.get(entry.key) !== before) throw new TransientError('SP_KUBE_CONFLICT', 'changed');
          const { uid, generation } = this.#policies.get(entry.key)?.metadata ?? {};
          if (uid === entry.uid && generation === entry.generation) this.statuses.set(entry.key, describe(conditionsOf(entry, facts)));
        });
        return 'updated';
      },
    });
    const stopping = new AbortController();
    const running = [pipeline.run(stopping.signal), statuses.run(stopping.signal)];
    this.#term = {
      replica,
      queues: () => [pipeline.queue, statuses.queue, touches.queue, ...(writes === undefined ? [] : [writes.queue])],
      stop: async () => {
        stopping.abort();
        stopFeed();
        // Their work ends when the writes on the way have failed for them; these may arrive nevertheless.
        this.#isEnding = true;
        this.#abandon();
        await Promise.all(running);
        this.#isEnding = false;
        one.delivery.endTerm();
        one.ledger.endTerm();
      },
    };
  }

  /** Agents take what is newer than what they have, and the leader learns of numbers that it does not know. @returns ends their streams */
  #serveFeed({ clusterState, ledger, delivery }: Replica, jwksCache: JwksCache): () => void {
    const { clock } = this;
    const held = new HeldParts();
    const source = createFeedSource(
      { clusterState, ledger, jwksCache, delivery, clock },
      { relayed: createRelayedFiles(this.configMaps.client), held, fromLeader: new LeaderBundles(() => 0, held) },
    );
    const follow = (key: string): void => {
      const current = delivery.announced.get(key) ?? ledger.get(key)?.published?.current;
      const known = this.enforced.get(key);
      if (current === undefined) return;
      if (current.number > (known?.number ?? 0)) this.enforced.set(key, { number: current.number, digest: current.digest });
      if (known !== undefined && known.number > current.number) source.onAhead(key, known.number);
    };
    this.#followFeed = () => {
      for (const key of this.enforced.keys()) if (!clusterState.selection.workloads().has(key)) this.enforced.delete(key);
      for (const { key } of ledger.records()) follow(key);
    };
    const unsubscribe = source.onBundle(follow);
    return () => {
      unsubscribe();
      this.#followFeed = () => undefined;
    };
  }

  async #endTerm(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    await term?.stop();
  }

  /** Whatever runs waits for a held write. Keys may be queued behind workers that all wait. */
  #isWaiting(): boolean {
    return (this.#term?.queues() ?? []).every((queue) => queue.running().length <= this.#held.length);
  }

  #progress(): string {
    const queues = (this.#term?.queues() ?? []).map((queue) => `${queue.depth()}/${queue.running().length}`);
    return `${queues.join()} ${this.#held.length}`;
  }

  readonly #waiting = new Set<(error: Error) => void>();
  /** A process that ends sends nothing more. */
  #isEnding = false;

  #abandon(): void {
    for (const fail of this.#waiting) fail(processEnds());
    this.#waiting.clear();
  }

  /** A write on its way to the API server. */
  async #meet<T>(store: () => T | Promise<T>): Promise<T> {
    if (this.#isEnding) throw processEnds();
    const fault = this.faults.shift();
    if (fault === 'conflict') throw new TransientError('SP_KUBE_CONFLICT', 'changed');
    if (fault === 'busy') throw new TransientError('SP_KUBE_API', 'too many requests', { retryAfterMs: 1_000 });
    if (fault === 'failed') throw new TransientError('SP_KUBE_API', 'unavailable');
    if (fault === 'forbidden') throw new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota');
    if (fault === 'lost') {
      await store();
      throw new TransientError('SP_KUBE_API', 'connection reset');
    }
    if (fault !== 'held') return await store();
    return await new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      this.#held.push(() => {
        this.#waiting.delete(reject);
        Promise.resolve().then(store).then(resolve, reject);
      });
    });
  }

  #newReplica(): Replica {
    const client: KubeClient = {
      ...this.configMaps.client,
      request: (request: KubeRequest): Promise<KubeResponse> =>
        request.method === 'GET' ? this.configMaps.client.request(request) : this.#meet(() => this.configMaps.client.request(request)),
    };
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    const ledger = createWorkloadLedger<PublishedCopies>();
    const delivery = createConfigMapDelivery({ client, ledger, signer: () => SIGNER, clock: this.clock, logger });
    return { clusterState, ledger, delivery, backlog: [] };
  }

  #fill(replica: Replica): Replica {
    const { clusterState, delivery } = replica;
    clusterState.replacePolicies('AuthorizationPolicy', this.#policies.values());
    clusterState.pods.replace(this.#pods.values());
    const copies = new Map<string, Copy>();
    for (const [name, object] of this.configMaps.objects) {
      const copy = delivery.project(object);
      if (copy !== undefined) copies.set(name, copy);
    }
    delivery.sink.replace(copies, this.configMaps.resourceVersion());
    return replica;
  }
}

function processEnds(): TransientError {
  return new TransientError('SP_KUBE_API', 'the process ends');
}

function report({ project, sink }: ConfigMapDelivery, name: string, object: RawObject | undefined): void {
  const copy = object === undefined ? undefined : project(object);
  if (copy === undefined) sink.remove(name);
  else sink.upsert(name, copy);
}

function describe(conditions: ReturnType<typeof conditionsOf>): string {
  return conditions.map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`).join('\n');
}
