/*
 * The streams of all agents, by pod: which agents serve which pods, what they say, and when their streams end.
 */
import type { Duplex } from 'node:stream';
import { type ObjectKey, objectKey, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { Clock } from '../clock.ts';
import { type AgentReport, MAX_UP_BYTES, type UnknownKeys } from '../feed/protocol.ts';
import type { AgentReports, AgentState } from '../status/agent-reports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AgentStream } from './agent-stream.ts';
import { BundleSender, type CurrentBundle, partsOfAgent, type Receiver } from './bundle-sender.ts';
import { type Channel, type ChannelEvents, socketChannel } from './channel.ts';
import type { CloseReason } from './feed-refusal.ts';
import type { IdentityFeed } from './identity-feed.ts';
import { NodeStream } from './node-stream.ts';
import type { PodIdentity } from './pod-tokens.ts';

/** What the feed serves, from the caches of this replica. */
export interface FeedSource {
  readonly podOf: (key: ObjectKey) => SlimPod | undefined;
  /** Calls `listener` for each pod that changed. @returns ends the subscription */
  readonly onPod: (listener: (key: ObjectKey) => void) => () => void;
  /** Undefined: it has no bundle. */
  readonly currentOf: (workload: WorkloadKey) => CurrentBundle | undefined;
  /** Calls `listener` for each workload whose bundle changed. @returns ends the subscription */
  readonly onBundle: (listener: (workload: WorkloadKey) => void) => () => void;
  /**
   * An agent knows a newer bundle than the cluster, which may have been restored from a backup, or the leader before ended before it had written
   * the bundle. @param number that the agent knows
   */
  readonly onAhead: (workload: WorkloadKey, number: number) => void;
  /** Fetches keys that agents of a workload lack. @returns what came of each */
  readonly onUnknownKeys: (workload: WorkloadKey, keys: UnknownKeys) => readonly UnknownKeyResult[];
}

/**
 * What came of a key that an agent lacks. `fetch`: its source is fetched now; `held`: later, because it was fetched a moment ago; `known`: it
 * is fetched already, and on its way to the agent; `foreign`: no policy of the workload names this source.
 */
export type UnknownKeyResult = 'fetch' | 'held' | 'known' | 'foreign';

/** Counts what streams do. */
export interface FeedObserver {
  readonly onClosed: (reason: CloseReason) => void;
  /** A bundle was sent, or an agent said what became of it. */
  readonly onBundle: (result: 'sent' | 'enforced' | 'refused') => void;
  /** An agent lacks a key. */
  readonly onUnknownKey: (result: UnknownKeyResult) => void;
}

/** Parts of the streams. */
export interface AgentStreamsOptions {
  readonly source: FeedSource;
  readonly reports: AgentReports;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: FeedObserver;
  /** Identities of pods by their addresses; absent: none are sent. */
  readonly identities?: IdentityFeed;
  /** Most bytes on their way to agents; absent: 64 MiB. */
  readonly maxBytes?: number;
  /** Most streams, each pod of a node counted; beyond it agents use their volumes. */
  readonly maxStreams: number;
}

/** What the request of an agent says about it. */
export interface AgentTraits {
  /** Certificates that the agent's next connections have to trust, in PEM. */
  readonly authorities: string;
  /** It reads bundles in parts. */
  readonly takesParts: boolean;
  /** Number of the bundle whose parts it has; 0: it has none. */
  readonly holds: number;
}

/** The streams. */
export interface AgentStreams {
  readonly size: () => number;
  /** Pods with two agents. */
  readonly doubled: () => number;
  /**
   * Serves a pod. The agent may have lost its first stream without the controller noticing: a second one replaces the first unless that says
   * something within {@link PROBATION_MS}. Then two agents run in the pod, see `AgentState.second`.
   */
  readonly add: (pod: PodIdentity, socket: Duplex, traits: AgentTraits) => void;
  /** Serves the pods of a node to an agent that runs in a pod there, see {@link NodeStream}. */
  readonly addNode: (agent: PodIdentity, socket: Duplex, traits: AgentTraits) => void;
  /** Ends all streams; to be called once. */
  readonly stop: () => void;
}

interface Served extends Receiver {
  readonly pod: ObjectKey;
  readonly identity: PodIdentity;
  readonly cancelExpiry: () => void;
  /** What the agent said last; undefined: nothing yet. */
  said?: Said;
}

type Said = Pick<AgentState, 'revision' | 'refused'>;

/** The streams of one pod. */
interface PodStreams {
  newest: Served;
  /** The one before; undefined: it has ended. */
  older?: Served | undefined;
  /** The older one has said something since the newest one began. */
  isOlderAlive: boolean;
  /** Stops the timer that ends the older one. */
  cancelProbation?: () => void;
}

/** More than the time between two reports of an agent. */
export const PROBATION_MS = 20_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** Most that the clock of another leader may be ahead of that of this one, in milliseconds: bundles are numbered by the clock. */
export const MAX_AHEAD_MS = 60_000;

/** No streams yet. */
export function createAgentStreams(options: AgentStreamsOptions): AgentStreams {
  const streams = new Streams(options);
  return {
    size: () => streams.size,
    doubled: () => [...streams.byPod.values()].filter(({ isOlderAlive }) => isOlderAlive).length,
    add: (pod, socket, traits) => {
      streams.add(pod, (events) => socketChannel(socket, MAX_UP_BYTES, events), traits).sendAuthorities(traits.authorities);
    },
    addNode: (agent, socket, traits) => streams.addNode(agent, socket, traits),
    stop: () => streams.stop(),
  };
}

/** Why the agent of a node may not have a stream; undefined: it may. @param address of the client @param account `namespace/name` of its ServiceAccount */
export function faultOfNodeAgent(
  pod: SlimPod | undefined,
  identity: PodIdentity,
  { address, account }: { readonly address: string; readonly account: string },
): 'pod' | 'address' | undefined {
  if (pod === undefined || pod.uid !== identity.uid || pod.serviceAccount !== identity.serviceAccount) return 'pod';
  if (objectKey(identity.namespace, identity.serviceAccount) !== account || isFinished(pod) || pod.nodeName === undefined) return 'pod';
  return pod.podIP === address ? undefined : 'address';
}

/** Why a pod may not have a stream; undefined: it may. @param address of the client */
export function faultOfPod(pod: SlimPod | undefined, identity: PodIdentity, address: string): 'pod' | 'address' | undefined {
  if (pod === undefined || pod.uid !== identity.uid || pod.serviceAccount !== identity.serviceAccount) return 'pod';
  if (isFinished(pod) || !hasAgent(pod)) return 'pod';
  return pod.podIP === address ? undefined : 'address';
}

class Streams {
  readonly byPod = new Map<ObjectKey, PodStreams>();
  size = 0;
  readonly #options: AgentStreamsOptions;
  readonly #sender: BundleSender;
  readonly #byWorkload = new Map<WorkloadKey, Set<Served>>();
  /** Agents of nodes, by their own pods. */
  readonly #nodes = new Map<ObjectKey, Set<NodeStream>>();
  readonly #unsubscribes: readonly (() => void)[];

  constructor(options: AgentStreamsOptions) {
    const { source, reports, clock, logger, observer, maxBytes = MAX_BYTES } = options;
    this.#options = options;
    this.#sender = new BundleSender({ currentOf: source.currentOf, onSent: () => observer.onBundle('sent'), clock, logger, maxBytes });
    this.#unsubscribes = [
      source.onBundle((workload) => {
        for (const served of this.#byWorkload.get(workload) ?? []) this.#sender.consider(served);
      }),
      source.onPod((pod) => this.#onPod(pod)),
      reports.onTermEnd(() => this.#closeAll()),
    ];
  }

  add(identity: PodIdentity, open: (events: ChannelEvents) => Channel, { takesParts, holds }: AgentTraits): AgentStream {
    const { clock, source, observer } = this.#options;
    const pod = objectKey(identity.namespace, identity.name);
    const known = source.podOf(pod);
    const workload = known === undefined ? '' : workloadKey(workloadOf(known));
    const stream = new AgentStream(open, {
      clock,
      onReport: (report) => this.#onReport(served, report),
      onUnknownKeys: (keys) => {
        for (const result of source.onUnknownKeys(served.workload, keys)) observer.onUnknownKey(result);
      },
      onQuestion: (question) => this.#options.identities?.ask(stream, question),
      onClose: (reason) => {
        observer.onClosed(reason);
        this.#options.identities?.forget(stream);
        this.#remove(served);
      },
    });
    const served: Served = {
      pod,
      identity,
      workload,
      stream,
      has: partsOfAgent(takesParts, holds, source.currentOf(workload)),
      isPartial: false,
      cancelExpiry: clock.after(Math.max(0, identity.expiresMs - clock.wallMs()), () => stream.close('expired')),
    };
    this.#sender.add(served);
    this.#addToPod(served);
    const others = this.#byWorkload.get(workload);
    if (others === undefined) this.#byWorkload.set(workload, new Set([served]));
    else others.add(served);
    return stream;
  }

  addNode(identity: PodIdentity, socket: Duplex, traits: AgentTraits): void {
    const { clock, source, observer } = this.#options;
    const agent = objectKey(identity.namespace, identity.name);
    const node = source.podOf(agent)?.nodeName;
    const cancelExpiry = clock.after(Math.max(0, identity.expiresMs - clock.wallMs()), () => stream.close('expired'));
    const stream = new NodeStream(socket, {
      clock,
      addPod: (key, open) => {
        const pod = source.podOf(key);
        if (pod?.uid === undefined || node === undefined || pod.nodeName !== node || isFinished(pod) || !hasAgent(pod)) return 'foreign';
        if (this.size >= this.#options.maxStreams) return 'full';
        const { namespace, name, uid, serviceAccount = '' } = pod;
        this.add({ namespace, name, uid, serviceAccount, expiresMs: identity.expiresMs }, open, { ...traits, holds: 0 });
        return 'added';
      },
      onClose: (reason) => {
        observer.onClosed(reason);
        cancelExpiry();
        streams.delete(stream);
        if (streams.size === 0) this.#nodes.delete(agent);
      },
    });
    const streams = this.#nodes.get(agent) ?? new Set();
    this.#nodes.set(agent, streams.add(stream));
    stream.sendAuthorities(traits.authorities);
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    this.#sender.stop();
    this.#closeAll();
  }

  #closeAll(): void {
    for (const streams of this.#nodes.values()) for (const stream of streams) stream.close('stopping');
    for (const { newest, older } of this.byPod.values()) for (const served of [older, newest]) served?.stream.close('stopping');
  }

  #addToPod(served: Served): void {
    const { pod } = served;
    this.size += 1;
    const before = this.byPod.get(pod);
    if (before === undefined) {
      this.byPod.set(pod, { newest: served, isOlderAlive: false });
      return;
    }
    const { newest: older } = before;
    before.older?.stream.close('replaced');
    before.cancelProbation?.();
    const streams: PodStreams = { newest: served, older, isOlderAlive: false };
    this.byPod.set(pod, streams);
    streams.cancelProbation = this.#options.clock.after(PROBATION_MS, () => {
      if (!streams.isOlderAlive) streams.older?.stream.close('replaced');
    });
  }

  #removeFromPod(served: Served): void {
    const { pod } = served;
    const streams = this.byPod.get(pod);
    if (streams !== undefined && (streams.older === served || streams.newest === served)) streams.cancelProbation?.();
    if (streams?.older === served) {
      Object.assign(streams, { older: undefined, isOlderAlive: false });
      this.#say(streams);
    } else if (streams?.newest === served) {
      const { older, isOlderAlive } = streams;
      if (older === undefined) this.byPod.delete(pod);
      else this.byPod.set(pod, { newest: older, isOlderAlive: false });
      if (older !== undefined && isOlderAlive) this.#say({ newest: older, isOlderAlive: false });
      else this.#options.reports.remove(pod);
    }
  }

  /** Records what the agents of a pod say. */
  #say({ newest, older, isOlderAlive }: PodStreams): void {
    const { pod, identity, said } = newest;
    const other = older?.said;
    if (said === undefined) return;
    const isSame = other === undefined || (said.revision === other.revision && said.refused === other.refused);
    const second: AgentState['second'][] = isOlderAlive ? ['agrees', 'differs'] : [undefined, 'silent'];
    const found = second[isSame ? 0 : 1];
    this.#options.reports.set(pod, { uid: identity.uid, ...said, ...(found === undefined ? {} : { second: found }) });
  }

  #remove(served: Served): void {
    this.size -= 1;
    served.cancelExpiry();
    this.#sender.remove(served);
    const others = this.#byWorkload.get(served.workload);
    others?.delete(served);
    if (others?.size === 0) this.#byWorkload.delete(served.workload);
    this.#removeFromPod(served);
  }

  #onPod(key: ObjectKey): void {
    const streams = this.byPod.get(key);
    const agents = this.#nodes.get(key);
    if (streams === undefined && agents === undefined) return;
    const pod = this.#options.source.podOf(key);
    // Its node and its account never change.
    if (pod === undefined || isFinished(pod)) for (const agent of agents ?? []) agent.close('pod');
    if (streams === undefined) return;
    for (const served of [streams.older, streams.newest]) if (served !== undefined) this.#checkPod(served, pod);
  }

  #checkPod(served: Served, pod: SlimPod | undefined): void {
    // The address cannot change while the connection lasts; one that is missing is about to be.
    const isSame = faultOfPod(pod, served.identity, pod?.podIP ?? '') === undefined;
    // An agent whose pod belongs to another workload now gets other bundles over its next stream.
    if (!isSame || (pod !== undefined && workloadKey(workloadOf(pod)) !== served.workload)) served.stream.close('pod');
  }

  #onReport(served: Served, report: AgentReport): void {
    const { source, clock } = this.#options;
    const { workload, stream } = served;
    if (report.missing === true && stream.isIdle && !this.#sender.sendWhole(served)) {
      stream.close('garbage');
      return;
    }
    const isAnswer = stream.isIdle && stream.sentNumber > 0;
    const current = source.currentOf(workload)?.number;
    // A number of the far future is not one that was published, and bundles must not follow it there.
    if (current !== undefined && report.number > current && report.number <= clock.wallMs() + MAX_AHEAD_MS)
      source.onAhead(workload, report.number);
    this.#record(served, report, { isAnswer, current });
    this.#sender.consider(served);
  }

  /** @param current number of the newest bundle; undefined: the workload has no bundle @param isAnswer the report says what became of a bundle */
  #record(
    served: Served,
    { digest, number, refused }: AgentReport,
    { isAnswer, current }: { readonly isAnswer: boolean; readonly current: number | undefined },
  ): void {
    const { observer } = this.#options;
    const before = served.said;
    const isRefused = refused !== undefined && (current === undefined || number < current);
    served.said = { revision: digest, ...(isRefused ? { refused } : {}) };
    const streams = this.byPod.get(served.pod);
    if (streams?.older === served) streams.isOlderAlive = true;
    if (streams !== undefined) this.#say(streams);
    if (isAnswer && isRefused && before?.refused === undefined) observer.onBundle('refused');
    if (isAnswer && !isRefused && before?.revision !== digest) observer.onBundle('enforced');
  }
}
