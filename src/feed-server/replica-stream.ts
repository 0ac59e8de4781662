/*
 * The leader's end of a stream of another replica: what the agents there say counts as if they held their streams here, and the replica gets
 * the bundles of their workloads.
 */
import type { Duplex } from 'node:stream';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import { HEARTBEAT_MS, SILENCE_MS, UP } from '../feed/protocol.ts';
import { type AgentFrame, agentPayload, MAX_RELAY_UP_BYTES, parseAgentFrame, RELAY_DOWN, RELAY_UP } from '../feed/relay-frames.ts';
import type { Logger } from '../telemetry/logger.ts';
import { READ_MS } from './agent-stream.ts';
import type { CurrentBundle } from './bundle-sender.ts';
import { type Channel, type ChannelEvents, socketChannel } from './channel.ts';
import type { CloseReason } from './feed-refusal.ts';
import { type PodIdentity, parseIdentity } from './pod-tokens.ts';
import { encodeRelayed } from './relayed-bundle.ts';

/** What the stream of a replica needs. */
export interface ReplicaStreamHost {
  readonly identity: PodIdentity;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: the workload has no bundle. */
  readonly currentOf: (workload: WorkloadKey) => CurrentBundle | undefined;
  /** Counts an agent; `foreign`: its pod is not known here. */
  readonly addAgent: (identity: PodIdentity, open: (events: ChannelEvents) => Channel) => 'added' | 'foreign';
  /** Most agents; those beyond it do not count. */
  readonly maxAgents: number;
  /** Called once. */
  readonly onClose: (reason: CloseReason) => void;
}

/** Most bytes on their way to one replica. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Bundles that are read at the same time: one that the API server does not return must not hold back those that are announced. */
const MAX_READS = 4;
/** Bundles between which others have their turn. */
const BUNDLES_PER_TURN = 16;
/** After a bundle could not be read from the API server, in milliseconds. */
const RETRY_MS = 5_000;
/** Frames about an agent, as on the stream that it would have here. */
const AS_OF_AGENT: ReadonlyMap<number, number> = new Map([
  [RELAY_UP.report, UP.report],
  [RELAY_UP.unknownKeys, UP.unknownKeys],
]);

/** The stream of one replica. */
export class ReplicaStream {
  readonly #host: ReplicaStreamHost;
  readonly #channel: Channel;
  readonly #agents = new Map<number, ChannelEvents>();
  /** Numbers of the bundles that were sent last. */
  readonly #sent = new Map<WorkloadKey, number>();
  /** Workloads whose bundle is to be sent. */
  readonly #due = new Set<WorkloadKey>();
  readonly #closing = new AbortController();
  /** Runs of {@link ReplicaStream.#sendDue}. */
  #senders = 0;
  #bytes = 0;
  /** Continue with what is due. */
  #waiting: (() => void)[] = [];
  #cancelSilence = (): void => undefined;
  #cancelBeat = (): void => undefined;
  #cancelSlow = (): void => undefined;
  readonly #cancelExpiry: () => void;

  constructor(socket: Duplex, host: ReplicaStreamHost) {
    this.#host = host;
    this.#channel = socketChannel(socket, MAX_RELAY_UP_BYTES, {
      onFrame: (frame) => {
        this.#watchSilence();
        if (frame.type !== RELAY_UP.alive) this.#onFrame(parseAgentFrame(frame));
      },
      onEnd: (reason) => this.close(reason),
    });
    const { clock, identity } = host;
    this.#cancelExpiry = clock.after(Math.max(0, identity.expiresMs - clock.wallMs()), () => this.close('expired'));
    this.#watchSilence();
    this.#beat();
  }

  /** UID of the pod of the replica. */
  get uid(): string {
    return this.#host.identity.uid;
  }

  /** Agents that hold a stream to the replica. */
  get size(): number {
    return this.#agents.size;
  }

  /** Sends the newest bundle of a workload unless the agent that needs it, or the replica, has it. @param number that the agent has; 0: none */
  consider(workload: WorkloadKey, number: number): void {
    const current = this.#host.currentOf(workload)?.number;
    const sent = this.#sent.get(workload) ?? 0;
    if (current === undefined ? sent === 0 : current <= number || current <= sent) return;
    this.#due.add(workload);
    if (this.#senders < MAX_READS) void this.#sendDue();
  }

  /** Ends the stream; its agents do not count any more. */
  close(reason: CloseReason): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const cancel of [this.#cancelSilence, this.#cancelBeat, this.#cancelSlow, this.#cancelExpiry]) cancel();
    this.#due.clear();
    this.#channel.close(reason);
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    for (const agent of agents) agent.onEnd('agent');
    this.#resume();
    this.#host.onClose(reason);
  }

  #onFrame(frame: AgentFrame | undefined): void {
    const agent = frame === undefined ? undefined : this.#agents.get(frame.id);
    if (frame === undefined) this.close('garbage');
    else if (frame.type === RELAY_UP.claim) this.#claim(frame);
    else if (frame.type === RELAY_UP.leave) {
      this.#agents.delete(frame.id);
      agent?.onEnd('agent');
    } else {
      // One that has ended here may still say something; a later minor version may send more types.
      const type = AS_OF_AGENT.get(frame.type);
      if (type !== undefined) agent?.onFrame({ type, payload: frame.payload });
    }
  }

  #claim({ id, payload }: AgentFrame): void {
    const identity = parseIdentity(payload);
    if (identity === undefined || this.#agents.has(id)) this.close('garbage');
    // The replica may have a higher limit than this one: the others count all the same.
    else if (this.#agents.size >= this.#host.maxAgents) this.#sendEnded(id);
    else if (this.#host.addAgent(identity, (events) => this.#share(id, events)) === 'foreign') this.#sendEnded(id);
  }

  #share(id: number, events: ChannelEvents): Channel {
    this.#agents.set(id, events);
    return {
      // The replica sends bundles and signs of life.
      send: (_type, _payload, onWritten) => onWritten(),
      isDrained: () => false,
      backlog: () => 0,
      close: () => {
        if (this.#agents.get(id) !== events) return;
        this.#agents.delete(id);
        this.#sendEnded(id);
      },
    };
  }

  #sendEnded(id: number): void {
    this.#channel.send(RELAY_DOWN.ended, agentPayload(id), () => undefined);
  }

  /** Never rejects. */
  async #sendDue(): Promise<void> {
    this.#senders += 1;
    let count = 0;
    // Those that are added meanwhile are visited, too.
    for (const workload of this.#due) {
      this.#due.delete(workload);
      await this.#sendBundle(workload);
      count += 1;
      if (count % BUNDLES_PER_TURN === 0) await yieldToLoop();
    }
    this.#senders -= 1;
  }

  async #sendBundle(workload: WorkloadKey): Promise<void> {
    const { currentOf, logger, clock } = this.#host;
    const current = currentOf(workload);
    if (current === undefined) {
      if (this.#sent.delete(workload)) this.#send(RELAY_DOWN.withdrawn, Buffer.from(workload));
      return;
    }
    // It may have become due again while it was read.
    if (this.#sent.get(workload) === current.number) return;
    try {
      const content = await current.read(this.#closing.signal);
      while (this.#bytes >= MAX_BYTES && !this.#closing.signal.aborted) await this.#untilTaken();
      // A newer one is due by now, or it was due twice.
      if (content === undefined || currentOf(workload)?.number !== current.number || this.#sent.get(workload) === current.number) return;
      this.#sent.set(workload, current.number);
      const payload = encodeRelayed({ workload, number: current.number, ...content });
      if (payload !== undefined) this.#send(RELAY_DOWN.bundle, payload);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      logger.warn({ err: error, workload }, 'bundle not read for another replica; retrying');
      clock.after(RETRY_MS, () => {
        if (!this.#closing.signal.aborted) this.consider(workload, 0);
      });
    }
  }

  #send(type: number, payload: Buffer): void {
    if (this.#closing.signal.aborted) return;
    this.#bytes += payload.length;
    if (this.#bytes === payload.length) this.#watchSlow();
    this.#channel.send(type, payload, () => {
      this.#bytes -= payload.length;
      this.#watchSlow();
      if (this.#bytes < MAX_BYTES) this.#resume();
    });
  }

  #untilTaken(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #resume(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #watchSlow(): void {
    this.#cancelSlow();
    if (this.#bytes > 0 && !this.#closing.signal.aborted) this.#cancelSlow = this.#host.clock.after(READ_MS, () => this.close('slow'));
  }

  #watchSilence(): void {
    this.#cancelSilence();
    if (!this.#closing.signal.aborted) this.#cancelSilence = this.#host.clock.after(SILENCE_MS, () => this.close('silent'));
  }

  #beat(): void {
    if (this.#channel.isDrained()) this.#channel.send(RELAY_DOWN.alive, Buffer.alloc(0), () => undefined);
    this.#cancelBeat = this.#host.clock.after(HEARTBEAT_MS, () => this.#beat());
  }
}
