/*
 * The stream of a replica that does not lead to the one that does. While it is open agents may hold their streams here; when it stays away they
 * are sent to the leader.
 */
import type { Duplex } from 'node:stream';
import type { WorkloadKey } from '../api/kube/keys.ts';
import { type Clock, sleep } from '../clock.ts';
import { type Frame, frameHead } from '../feed/frames.ts';
import { HEARTBEAT_MS } from '../feed/protocol.ts';
import { MAX_RELAY_DOWN_BYTES, parseAgentFrame, RELAY_DOWN, RELAY_UP } from '../feed/relay-frames.ts';
import { type FeedConnection, readFrames } from '../feed-client/feed-stream.ts';
import type { AgentRelay, RelayedAgent } from '../feed-server/agent-streams.ts';
import type { CloseReason } from '../feed-server/feed-refusal.ts';
import type { PodIdentity } from '../feed-server/pod-tokens.ts';
import { parseRelayed, type RelayedBundle } from '../feed-server/relayed-bundle.ts';
import type { Limit } from '../limits/limit.ts';
import type { Logger } from '../telemetry/logger.ts';
import { AgentQueue } from './agent-queue.ts';

/** Parts of the relay. */
export interface LeaderRelayOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly isLeading: () => boolean;
  /** Address of the leader; undefined: not known. */
  readonly leaderHost: () => string | undefined;
  /** Connects to the leader; never rejects. */
  readonly connect: (host: string, signal: AbortSignal) => Promise<FeedConnection>;
  /** Longest time without a frame of the leader. */
  readonly silence: Limit;
  /** The newest bundle of a workload. */
  readonly onBundle: (bundle: RelayedBundle) => void;
  readonly onWithdrawn: (workload: WorkloadKey) => void;
  /** The stream has ended: another replica may lead, and has not announced what this one did. */
  readonly onEnd: () => void;
}

/** The relay; {@link LeaderRelay.run} has to be called once. */
export interface LeaderRelay extends AgentRelay {
  /** Whether the leader learns what agents here say. */
  readonly isOpen: () => boolean;
  /** Holds a stream to the leader whenever another replica leads, until `signal` aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Without a leader, or a way to it, agents keep their streams for this time: a leader that stops is replaced within seconds. */
export const AWAY_MS = 15_000;
/** Between two looks at who leads. */
const LOOK_MS = 500;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
/** Time in which the leader has to read what is written. */
const READ_MS = 10_000;

/** A relay without a stream. */
export function createLeaderRelay(options: LeaderRelayOptions): LeaderRelay {
  const relay = new Relay(options);
  return { isOpen: () => relay.isOpen, add: (identity, end) => relay.add(identity, end), run: (signal) => relay.run(signal) };
}

class Relay implements AgentRelay {
  readonly #options: LeaderRelayOptions;
  readonly #agents: AgentQueue;
  #socket: Duplex | undefined;
  #cancelAway = (): void => undefined;
  #cancelSlow = (): void => undefined;
  #cancelBeat = (): void => undefined;
  #problem = '';
  /** At the last look. */
  #wasLeading = false;

  constructor(options: LeaderRelayOptions) {
    this.#options = options;
    this.#agents = new AgentQueue(options.clock);
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  add(identity: PodIdentity, end: (reason: CloseReason) => void): RelayedAgent {
    const agent = this.#agents.add({ identity, end });
    return {
      report: (report) => {
        this.#agents.onReport(agent, report);
        this.#flush();
      },
      unknownKeys: (keys) => {
        this.#agents.onUnknownKeys(agent, keys);
        this.#flush();
      },
      remove: () => {
        this.#agents.remove(agent);
        this.#flush();
      },
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, connect } = this.#options;
    let failures = 0;
    this.#watchAway();
    while (!signal.aborted) {
      const host = this.#findLeader();
      if (host === undefined) {
        await sleep(clock, LOOK_MS, signal);
        continue;
      }
      const startMs = clock.nowMs();
      const connection = await connect(host, signal);
      if (connection.kind === 'open') await this.#hold(connection, host, signal);
      else this.#log(connection.kind === 'refused' ? connection.reason : 'another replica leads');
      // All that is known of the agents is said again over each stream.
      failures = connection.kind === 'open' && clock.nowMs() - startMs > LONGEST_RETRY_MS ? 0 : failures + 1;
      await sleep(clock, random() * Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 8)), signal);
    }
    this.#cancelAway();
  }

  /** Address of another replica that leads; undefined: it is not known, or this one leads. */
  #findLeader(): string | undefined {
    const { isLeading, leaderHost } = this.#options;
    const leads = isLeading();
    // Agents have been without a leader since the term ended.
    if (this.#wasLeading && !leads) this.#watchAway();
    this.#wasLeading = leads;
    return leads ? undefined : leaderHost();
  }

  async #hold(connection: Extract<FeedConnection, { readonly kind: 'open' }>, host: string, signal: AbortSignal): Promise<void> {
    const { logger, silence, onEnd } = this.#options;
    const { socket } = connection;
    this.#cancelAway();
    this.#socket = socket;
    this.#problem = '';
    logger.info({ leader: host }, 'connected to the leader; agents may hold their streams here');
    socket.on('drain', () => {
      this.#cancelSlow();
      this.#flush();
    });
    const ending = new AbortController();
    const looking = this.#lookForLeader(host, socket, ending.signal);
    this.#agents.startAgain();
    this.#beat();
    this.#flush();
    const reason = await readFrames(connection, {
      onFrame: async (frame) => this.#onFrame(frame),
      maxBytes: MAX_RELAY_DOWN_BYTES,
      silence,
      signal,
    });
    this.#socket = undefined;
    ending.abort();
    for (const cancel of [this.#cancelSlow, this.#cancelBeat]) cancel();
    this.#agents.startAgain();
    onEnd();
    this.#watchAway();
    await looking;
    // As it does each time that a token expires.
    if (!signal.aborted) logger.info({ leader: host, reason }, 'stream to the leader ended');
  }

  /** Ends the stream when its other end does not lead any more. */
  async #lookForLeader(host: string, socket: Duplex, signal: AbortSignal): Promise<void> {
    const { clock, isLeading, leaderHost } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, LOOK_MS, signal);
      if (isLeading() || (leaderHost() ?? host) !== host) socket.destroy();
    }
  }

  /** Agents that wait for a leader here would not get new bundles before they are written, and would not count. */
  #watchAway(): void {
    const { clock, isLeading } = this.#options;
    this.#cancelAway();
    this.#cancelAway = clock.after(AWAY_MS, () => {
      if (!isLeading()) for (const { end } of this.#agents.all()) end('stopping');
      this.#watchAway();
    });
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket === undefined || socket.writableNeedDrain) return;
    for (let frames = this.#agents.next(); frames !== undefined; frames = this.#agents.next()) {
      if (socket.write(frames)) continue;
      this.#cancelSlow();
      this.#cancelSlow = this.#options.clock.after(READ_MS, () => socket.destroy());
      return;
    }
  }

  #beat(): void {
    const { clock } = this.#options;
    if (this.#socket?.writableLength === 0) this.#socket.write(frameHead(RELAY_UP.alive, 0));
    this.#cancelBeat = clock.after(HEARTBEAT_MS, () => this.#beat());
  }

  /** @returns why nothing more can be read; undefined: nothing is wrong */
  #onFrame(frame: Frame): string | undefined {
    if (this.#options.isLeading()) return 'this replica leads';
    if (frame.type === RELAY_DOWN.bundle) {
      const bundle = parseRelayed(frame.payload);
      if (bundle === undefined) return 'invalid bundle';
      this.#options.onBundle(bundle);
    } else if (frame.type === RELAY_DOWN.withdrawn) this.#options.onWithdrawn(frame.payload.toString('utf8'));
    else if (frame.type === RELAY_DOWN.ended) {
      const id = parseAgentFrame(frame)?.id;
      if (id !== undefined) this.#agents.get(id)?.end('leader');
    }
    // A later minor version may send more types.
    return undefined;
  }

  /** Once for each outage and reason. */
  #log(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.logger.warn({ reason: problem }, 'no connection to the leader; agents are sent there');
  }
}
