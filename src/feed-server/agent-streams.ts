/*
 * The streams of all agents, by pod: sends each the newest bundle of its workload, and records what it says. One stream holds nothing
 * back for another: what is on its way is limited for each and for all of them together, in bytes and in time.
 */
import type { Duplex } from 'node:stream';
import { type ObjectKey, objectKey, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import { joinFiles } from '../bundle/joined-files.ts';
import type { Clock } from '../clock.ts';
import type { AgentReport, UnknownKeys } from '../feed/protocol.ts';
import type { AgentReports, AgentState } from '../status/agent-reports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AgentStream } from './agent-stream.ts';
import type { CloseReason } from './feed-refusal.ts';
import type { PodIdentity } from './pod-tokens.ts';

/** The newest bundle of a workload, as it is published. */
export interface CurrentBundle {
  readonly number: number;
  /** Its files. Undefined: they changed meanwhile. @throws TransientError, RefusedError */
  readonly files: (signal: AbortSignal) => Promise<BundleFiles | undefined>;
}

/** What the feed serves, from the caches of this replica. */
export interface FeedSource {
  readonly podOf: (key: ObjectKey) => SlimPod | undefined;
  /** Calls `listener` for each pod that changed. @returns ends the subscription */
  readonly onPod: (listener: (key: ObjectKey) => void) => () => void;
  /** Undefined: nothing is published. */
  readonly currentOf: (workload: WorkloadKey) => CurrentBundle | undefined;
  /** Calls `listener` for each workload whose bundle changed. @returns ends the subscription */
  readonly onBundle: (listener: (workload: WorkloadKey) => void) => () => void;
  /** An agent knows a newer bundle than the cluster, which may have been restored from a backup. */
  readonly onAhead: (workload: WorkloadKey) => void;
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
  /** Most bytes on their way to agents; absent: 64 MiB. */
  readonly maxBytes?: number;
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
  readonly add: (pod: PodIdentity, socket: Duplex, authorities: string) => void;
  /** Ends all streams; to be called once. */
  readonly stop: () => void;
}

interface Served {
  readonly pod: ObjectKey;
  readonly identity: PodIdentity;
  readonly workload: WorkloadKey;
  readonly stream: AgentStream;
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
/** After a bundle could not be read from the API server, in milliseconds. */
const RETRY_MS = 5_000;

/** No streams yet. */
export function createAgentStreams(options: AgentStreamsOptions): AgentStreams {
  const streams = new Streams(options);
  return {
    size: () => streams.size,
    doubled: () => [...streams.byPod.values()].filter(({ isOlderAlive }) => isOlderAlive).length,
    add: (pod, socket, authorities) => streams.add(pod, socket, authorities),
    stop: () => streams.stop(),
  };
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
  readonly #maxBytes: number;
  readonly #byWorkload = new Map<WorkloadKey, Set<Served>>();
  /** Streams that wait until others have read what is on its way. */
  readonly #waiting = new Map<Served, Loaded>();
  /** Bundles that are being read, for all streams of the workload that need them. */
  readonly #loading = new Map<WorkloadKey, { readonly number: number; readonly streams: Set<Served> }>();
  readonly #stopping = new AbortController();
  readonly #unsubscribes: readonly (() => void)[];
  #bytes = 0;

  constructor(options: AgentStreamsOptions) {
    const { source, reports } = options;
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#unsubscribes = [
      source.onBundle((workload) => {
        for (const served of this.#byWorkload.get(workload) ?? []) this.#consider(served);
      }),
      source.onPod((pod) => this.#onPod(pod)),
      reports.onTermEnd(() => this.#closeAll()),
    ];
  }

  add(identity: PodIdentity, socket: Duplex, authorities: string): void {
    const { clock, source, observer } = this.#options;
    const pod = objectKey(identity.namespace, identity.name);
    const known = source.podOf(pod);
    const stream = new AgentStream(socket, {
      clock,
      onReport: (report) => this.#onReport(served, report),
      onUnknownKeys: (keys) => {
        for (const result of source.onUnknownKeys(served.workload, keys)) observer.onUnknownKey(result);
      },
      onClose: (reason) => {
        observer.onClosed(reason);
        this.#remove(served);
      },
    });
    const served: Served = {
      pod,
      identity,
      workload: known === undefined ? '' : workloadKey(workloadOf(known)),
      stream,
      cancelExpiry: clock.after(Math.max(0, identity.expiresMs - clock.wallMs()), () => stream.close('expired')),
    };
    this.#addToPod(served);
    const others = this.#byWorkload.get(served.workload);
    if (others === undefined) this.#byWorkload.set(served.workload, new Set([served]));
    else others.add(served);
    stream.sendAuthorities(authorities);
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    this.#stopping.abort();
    this.#closeAll();
  }

  #closeAll(): void {
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
    this.#waiting.delete(served);
    const others = this.#byWorkload.get(served.workload);
    others?.delete(served);
    if (others?.size === 0) this.#byWorkload.delete(served.workload);
    this.#removeFromPod(served);
  }

  #onPod(key: ObjectKey): void {
    const streams = this.byPod.get(key);
    if (streams === undefined) return;
    const pod = this.#options.source.podOf(key);
    for (const served of [streams.older, streams.newest]) if (served !== undefined) this.#checkPod(served, pod);
  }

  #checkPod(served: Served, pod: SlimPod | undefined): void {
    // The address cannot change while the connection lasts; one that is missing is about to be.
    const isSame = faultOfPod(pod, served.identity, pod?.podIP ?? '') === undefined;
    // An agent whose pod belongs to another workload now gets other bundles over its next stream.
    if (!isSame || (pod !== undefined && workloadKey(workloadOf(pod)) !== served.workload)) served.stream.close('pod');
  }

  #onReport(served: Served, { digest, number, refused }: AgentReport): void {
    const { observer, source } = this.#options;
    const isAnswer = served.stream.isIdle && served.stream.sentNumber > 0;
    const before = served.said;
    const current = source.currentOf(served.workload)?.number;
    // A number of the future is not one that was published; no bundle could have a higher one.
    if (current !== undefined && number > current && number <= this.#options.clock.wallMs()) source.onAhead(served.workload);
    const isRefused = refused !== undefined && (current === undefined || number < current);
    served.said = { revision: digest, ...(isRefused ? { refused } : {}) };
    const streams = this.byPod.get(served.pod);
    if (streams?.older === served) streams.isOlderAlive = true;
    if (streams !== undefined) this.#say(streams);
    if (isAnswer && isRefused && before?.refused === undefined) observer.onBundle('refused');
    if (isAnswer && !isRefused && before?.revision !== digest) observer.onBundle('enforced');
    this.#consider(served);
  }

  #isServed(served: Served): boolean {
    const streams = this.byPod.get(served.pod);
    return streams?.newest === served || streams?.older === served;
  }

  /** Sends the newest bundle unless the agent has it, got it, or is still busy with another one. */
  #consider(served: Served): void {
    const { source } = this.#options;
    const { stream, workload } = served;
    const current = source.currentOf(workload);
    const { report } = stream;
    if (current === undefined || report === undefined || !stream.isIdle || !this.#isServed(served)) return;
    if (report.number >= current.number || stream.sentNumber >= current.number) return;
    const loading = this.#loading.get(workload);
    if (loading?.number === current.number) loading.streams.add(served);
    else void this.#load(workload, current, served);
  }

  /** Reads a bundle once for all streams that need it at the same time. Never rejects. */
  async #load(workload: WorkloadKey, { number, files }: CurrentBundle, first: Served): Promise<void> {
    const { logger, clock } = this.#options;
    const loading = { number, streams: new Set([first]) };
    this.#loading.set(workload, loading);
    let payload: Buffer | undefined;
    try {
      const found = await files(this.#stopping.signal);
      payload = found === undefined ? undefined : joinFiles(found);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      logger.warn({ err: error, workload }, 'bundle not read for the feed; retrying');
      clock.after(RETRY_MS, () => {
        for (const served of loading.streams) this.#consider(served);
      });
    }
    if (this.#loading.get(workload) === loading) this.#loading.delete(workload);
    if (payload === undefined) return;
    for (const served of loading.streams) this.#send(served, { number, payload });
  }

  #send(served: Served, loaded: Loaded): void {
    const { source, observer } = this.#options;
    const { stream, workload } = served;
    const { number, payload } = loaded;
    // Meanwhile the stream may have ended or got it, and a newer bundle may have been published, which is on its way here.
    if (!this.#isServed(served) || !stream.isIdle || stream.sentNumber >= number) return;
    if (source.currentOf(workload)?.number !== number) return;
    if (this.#bytes > 0 && this.#bytes + payload.length > this.#maxBytes) {
      this.#waiting.set(served, loaded);
      return;
    }
    this.#bytes += payload.length;
    observer.onBundle('sent');
    stream.sendBundle(number, payload, () => {
      this.#bytes -= payload.length;
      this.#resume();
    });
  }

  #resume(): void {
    for (const [served, loaded] of this.#waiting) {
      if (this.#bytes >= this.#maxBytes) return;
      this.#waiting.delete(served);
      this.#send(served, loaded);
      // It did not fit.
      if (this.#waiting.has(served)) return;
    }
  }
}

/** A bundle as a frame's payload. */
interface Loaded {
  readonly number: number;
  readonly payload: Buffer;
}
