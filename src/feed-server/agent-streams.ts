/*
 * The streams of all agents, by pod: which agents serve which pods, what they say, and when their streams end.
 */
import type { Duplex } from 'node:stream';
import { type ObjectKey, objectKey, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { Clock } from '../clock.ts';
import { type AgentReport, MAX_UP_BYTES, type UnknownKeys } from '../feed/protocol.ts';
import type { AgentReports } from '../status/agent-reports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AgentStream } from './agent-stream.ts';
import { BundleSender, type CurrentBundle, partsOfAgent, type Receiver } from './bundle-sender.ts';
import { type Channel, type ChannelEvents, socketChannel } from './channel.ts';
import type { CloseReason } from './feed-refusal.ts';
import type { IdentityFeed } from './identity-feed.ts';
import { NodeStream } from './node-stream.ts';
import { PodStreams, type StreamOfPod } from './pod-streams.ts';
import type { PodIdentity } from './pod-tokens.ts';
import { ReplicaStream } from './replica-stream.ts';

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

/** Reports agents that hold their streams to this replica to the leader. */
export interface AgentRelay {
  /** An agent holds a stream. @param end ends it, because the leader does not count it, or cannot be reached */
  readonly add: (identity: PodIdentity, end: (reason: CloseReason) => void) => RelayedAgent;
}

/** One agent of an {@link AgentRelay}. */
export interface RelayedAgent {
  readonly report: (report: AgentReport) => void;
  readonly unknownKeys: (keys: UnknownKeys) => void;
  /** Its stream has ended. */
  readonly remove: () => void;
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
  /** Absent: agents hold their streams to the leader only. */
  readonly relay?: AgentRelay;
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
  /** Other replicas that serve agents. */
  readonly replicas: () => number;
  /** Agents that hold their streams to them. */
  readonly relayed: () => number;
  /** Pods with two agents. */
  readonly doubled: () => number;
  /**
   * Serves a pod. The agent may have lost its first stream without the controller noticing: a second one replaces the first unless that says
   * something within `PROBATION_MS`. Then two agents run in the pod, see `AgentState.second`.
   */
  readonly add: (pod: PodIdentity, socket: Duplex, traits: AgentTraits) => void;
  /** Serves the pods of a node to an agent that runs in a pod there, see {@link NodeStream}. */
  readonly addNode: (agent: PodIdentity, socket: Duplex, traits: AgentTraits) => void;
  /** Counts the agents of another replica, see {@link ReplicaStream}. */
  readonly addReplica: (replica: PodIdentity, socket: Duplex) => void;
  /** Ends all streams; to be called once. */
  readonly stop: () => void;
}

interface Served extends Receiver, StreamOfPod {
  readonly identity: PodIdentity;
  readonly stream: AgentStream;
  readonly cancelExpiry: () => void;
  /** The replica that it holds its stream to; undefined: this one. */
  readonly replica: ReplicaStream | undefined;
  /** Absent: this replica alone serves agents, or another one serves this agent. */
  readonly toLeader: RelayedAgent | undefined;
}

const MAX_BYTES = 64 * 1024 * 1024;
/** Most that the clock of another leader may be ahead of that of this one, in milliseconds: bundles are numbered by the clock. */
export const MAX_AHEAD_MS = 60_000;

/** No streams yet. */
export function createAgentStreams(options: AgentStreamsOptions): AgentStreams {
  const streams = new Streams(options);
  return {
    size: () => streams.size,
    relayed: () => [...streams.replicas.values()].reduce((sum, { size }) => sum + size, 0),
    doubled: () => streams.pods.doubled,
    add: (pod, socket, traits) => {
      streams.add(pod, (events) => socketChannel(socket, MAX_UP_BYTES, events), traits).sendAuthorities(traits.authorities);
    },
    addNode: (agent, socket, traits) => streams.addNode(agent, socket, traits),
    addReplica: (replica, socket) => streams.addReplica(replica, socket),
    replicas: () => streams.replicas.size,
    stop: () => streams.stop(),
  };
}

/** Why a pod of ours may not have a stream; undefined: it may. @param address of the client @param account `namespace/name` of its ServiceAccount */
export function faultOfOurPod(
  pod: SlimPod | undefined,
  identity: PodIdentity,
  { address, account }: { readonly address: string; readonly account: string },
): 'pod' | 'address' | undefined {
  if (pod === undefined || pod.uid !== identity.uid || pod.serviceAccount !== identity.serviceAccount) return 'pod';
  if (objectKey(identity.namespace, identity.serviceAccount) !== account || isFinished(pod)) return 'pod';
  return pod.podIP === address ? undefined : 'address';
}

/** Why a pod may not have a stream; undefined: it may. @param address of the client */
export function faultOfPod(pod: SlimPod | undefined, identity: PodIdentity, address: string): 'pod' | 'address' | undefined {
  if (pod === undefined || pod.uid !== identity.uid || pod.serviceAccount !== identity.serviceAccount) return 'pod';
  if (isFinished(pod) || !hasAgent(pod)) return 'pod';
  return pod.podIP === address ? undefined : 'address';
}

class Streams {
  readonly pods: PodStreams<Served>;
  size = 0;
  /** Other replicas, by their pods. */
  readonly replicas = new Map<ObjectKey, ReplicaStream>();
  readonly #options: AgentStreamsOptions;
  readonly #sender: BundleSender;
  readonly #byWorkload = new Map<WorkloadKey, Set<Served>>();
  /** Agents of nodes, by their own pods. */
  readonly #nodes = new Map<ObjectKey, Set<NodeStream>>();
  readonly #unsubscribes: readonly (() => void)[];

  constructor(options: AgentStreamsOptions) {
    const { source, reports, clock, logger, observer, maxBytes = MAX_BYTES } = options;
    this.#options = options;
    this.pods = new PodStreams(clock, reports);
    this.#sender = new BundleSender({ currentOf: source.currentOf, onSent: () => observer.onBundle('sent'), clock, logger, maxBytes });
    this.#unsubscribes = [
      source.onBundle((workload) => this.#onBundle(workload)),
      source.onPod((pod) => this.#onPod(pod)),
      reports.onTermEnd(() => this.#onTermEnd()),
    ];
  }

  /** @param replica that the agent holds its stream to; absent: this one */
  add(
    identity: PodIdentity,
    open: (events: ChannelEvents) => Channel,
    { takesParts, holds, replica }: Pick<AgentTraits, 'takesParts' | 'holds'> & { readonly replica?: ReplicaStream },
  ): AgentStream {
    const { clock, source, observer } = this.#options;
    const pod = objectKey(identity.namespace, identity.name);
    const known = source.podOf(pod);
    const workload = known === undefined ? '' : workloadKey(workloadOf(known));
    const stream = new AgentStream(open, {
      clock,
      isRelayed: replica !== undefined,
      onReport: (report) => this.#onReport(served, report),
      onUnknownKeys: (keys) => this.#onUnknownKeys(served, keys),
      onQuestion: (question) => this.#options.identities?.ask(stream, question),
      onClose: (reason) => {
        if (replica === undefined) observer.onClosed(reason);
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
      replica,
      toLeader: replica === undefined ? this.#options.relay?.add(identity, (reason) => stream.close(reason)) : undefined,
    };
    if (replica === undefined) {
      this.#sender.add(served);
      this.size += 1;
    }
    this.pods.add(served);
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

  addReplica(own: PodIdentity, socket: Duplex): void {
    const { clock, source, observer, logger, maxStreams } = this.#options;
    const pod = objectKey(own.namespace, own.name);
    // One stream of a replica, whose end may not have been noticed here.
    this.replicas.get(pod)?.close('replaced');
    const replica: ReplicaStream = new ReplicaStream(socket, {
      identity: own,
      clock,
      logger,
      currentOf: source.currentOf,
      maxAgents: maxStreams,
      addAgent: (identity, open) => {
        const known = source.podOf(objectKey(identity.namespace, identity.name));
        if (faultOfPod(known, identity, known?.podIP ?? '') !== undefined) return 'foreign';
        this.add(identity, open, { takesParts: false, holds: 0, replica });
        return 'added';
      },
      onClose: (reason) => {
        observer.onClosed(reason);
        if (this.replicas.get(pod) === replica) this.replicas.delete(pod);
      },
    });
    this.replicas.set(pod, replica);
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    this.#sender.stop();
    this.#closeAll();
  }

  /** Its agents stay with a replica that can report them to the next leader. */
  #onTermEnd(): void {
    for (const replica of this.replicas.values()) replica.close('stopping');
    if (this.#options.relay === undefined) this.#closeAll();
  }

  #onBundle(workload: WorkloadKey): void {
    for (const served of this.#byWorkload.get(workload) ?? []) this.#considerBundle(served);
    // A replica that was sent one keeps it, also when no agent there needs it any more.
    if (this.replicas.size === 0 || this.#options.source.currentOf(workload) !== undefined) return;
    for (const replica of this.replicas.values()) replica.consider(workload, 0);
  }

  #considerBundle(served: Served): void {
    if (served.replica === undefined) this.#sender.consider(served);
    else served.replica.consider(served.workload, served.stream.report?.number ?? 0);
  }

  #closeAll(): void {
    for (const replica of this.replicas.values()) replica.close('stopping');
    for (const streams of this.#nodes.values()) for (const stream of streams) stream.close('stopping');
    for (const { stream } of this.pods.all()) stream.close('stopping');
  }

  #remove(served: Served): void {
    if (served.replica === undefined) this.size -= 1;
    served.cancelExpiry();
    served.toLeader?.remove();
    this.#sender.remove(served);
    const others = this.#byWorkload.get(served.workload);
    others?.delete(served);
    if (others?.size === 0) this.#byWorkload.delete(served.workload);
    this.pods.remove(served);
  }

  #onPod(key: ObjectKey): void {
    const streams = this.pods.of(key);
    const agents = this.#nodes.get(key);
    const replica = this.replicas.get(key);
    if (streams.length === 0 && agents === undefined && replica === undefined) return;
    const pod = this.#options.source.podOf(key);
    // Its node and its account never change.
    if (pod === undefined || isFinished(pod)) for (const agent of agents ?? []) agent.close('pod');
    if (pod?.uid !== replica?.uid || (pod !== undefined && isFinished(pod))) replica?.close('pod');
    for (const served of streams) this.#checkPod(served, pod);
  }

  #checkPod(served: Served, pod: SlimPod | undefined): void {
    // The address cannot change while the connection lasts; one that is missing is about to be.
    const isSame = faultOfPod(pod, served.identity, pod?.podIP ?? '') === undefined;
    // An agent whose pod belongs to another workload now gets other bundles over its next stream.
    if (!isSame || (pod !== undefined && workloadKey(workloadOf(pod)) !== served.workload)) served.stream.close('pod');
  }

  #onUnknownKeys({ workload, toLeader }: Served, keys: UnknownKeys): void {
    const { source, observer, reports } = this.#options;
    // Key servers get one request from the cluster, not one from each replica.
    if (!reports.isLeading()) toLeader?.unknownKeys(keys);
    else for (const result of source.onUnknownKeys(workload, keys)) observer.onUnknownKey(result);
  }

  #onReport(served: Served, report: AgentReport): void {
    const { source, clock, reports } = this.#options;
    const { workload, stream } = served;
    if (report.missing === true && stream.isIdle && !this.#sender.sendWhole(served)) {
      stream.close('garbage');
      return;
    }
    served.toLeader?.report(report);
    const isAnswer = stream.isIdle && stream.sentNumber > 0;
    const current = source.currentOf(workload)?.number;
    const isAhead = current !== undefined && report.number > current;
    // A number of the far future is not one that was published, and bundles must not follow it there.
    if (isAhead && reports.isLeading() && report.number <= clock.wallMs() + MAX_AHEAD_MS) source.onAhead(workload, report.number);
    this.#record(served, report, { isAnswer, current });
    this.#considerBundle(served);
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
    this.pods.onSaid(served, { revision: digest, ...(isRefused ? { refused } : {}) });
    if (isAnswer && isRefused && before?.refused === undefined) observer.onBundle('refused');
    if (isAnswer && !isRefused && before?.revision !== digest) observer.onBundle('enforced');
  }
}
