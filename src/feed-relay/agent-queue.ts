/*
 * What the leader has to learn about the agents of this replica. Of each agent only what it said last waits, however slowly the leader reads.
 */
import type { Clock } from '../clock.ts';
import { frameHead } from '../feed/frames.ts';
import { type AgentReport, encodeReport, encodeUnknownKeys, type UnknownKeys } from '../feed/protocol.ts';
import { agentPayload, RELAY_UP } from '../feed/relay-frames.ts';
import type { CloseReason } from '../feed-server/feed-refusal.ts';
import { PROBATION_MS } from '../feed-server/pod-streams.ts';
import type { PodIdentity } from '../feed-server/pod-tokens.ts';

/** An agent that holds its stream to this replica. */
export interface KnownAgent {
  readonly id: number;
  readonly identity: PodIdentity;
  /** Ends the stream. */
  readonly end: (reason: CloseReason) => void;
  /** The leader knows of the stream. */
  isClaimed: boolean;
  /** What the agent said last; undefined: nothing yet. */
  report?: AgentReport;
  /** When it said that, on the process clock. */
  saidMs: number;
  isReportDue: boolean;
  /** Keys that the agent lacks and that the leader has not learned about; undefined: none. */
  keys?: UnknownKeys | undefined;
  hasLeft: boolean;
}

/** Agents, and those of them about which the leader has something to learn. */
export class AgentQueue {
  readonly #agents = new Map<number, KnownAgent>();
  readonly #due = new Set<KnownAgent>();
  readonly #clock: Pick<Clock, 'nowMs'>;
  #lastId = 0;

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
  }

  /** Agents that hold a stream. */
  all(): readonly KnownAgent[] {
    return [...this.#agents.values()];
  }

  get(id: number): KnownAgent | undefined {
    return this.#agents.get(id);
  }

  add({ identity, end }: Pick<KnownAgent, 'identity' | 'end'>): KnownAgent {
    this.#lastId += 1;
    const agent: KnownAgent = { id: this.#lastId, identity, end, isClaimed: false, saidMs: 0, isReportDue: false, hasLeft: false };
    this.#agents.set(agent.id, agent);
    return agent;
  }

  /** The agent has no stream any more. */
  remove(agent: KnownAgent): void {
    this.#agents.delete(agent.id);
    agent.hasLeft = true;
    if (agent.isClaimed) this.#due.add(agent);
    else this.#due.delete(agent);
  }

  onReport(agent: KnownAgent, report: AgentReport): void {
    Object.assign(agent, { report, saidMs: this.#clock.nowMs(), isReportDue: true });
    this.#due.add(agent);
  }

  onUnknownKeys(agent: KnownAgent, keys: UnknownKeys): void {
    agent.keys = keys;
    this.#due.add(agent);
  }

  /** There is a new stream to the leader, which knows no agent yet. */
  startAgain(): void {
    this.#due.clear();
    const sinceMs = this.#clock.nowMs() - PROBATION_MS;
    for (const agent of this.#agents.values()) {
      Object.assign(agent, { isClaimed: false, isReportDue: agent.report !== undefined, keys: undefined });
      // One that has said nothing does not count. One that says nothing any more may hold another stream by now, which this one would replace.
      if (agent.report !== undefined && agent.saidMs > sinceMs) this.#due.add(agent);
    }
  }

  /** The next frames to write; undefined: nothing is due. */
  next(): Buffer | undefined {
    const [agent] = this.#due;
    if (agent === undefined) return undefined;
    this.#due.delete(agent);
    return Buffer.concat([...framesOf(agent)]);
  }
}

/** What is due for an agent, which is not due after that. */
function* framesOf(agent: KnownAgent): Iterable<Buffer> {
  const { id, identity, report, keys } = agent;
  if (agent.hasLeft) {
    yield frame(RELAY_UP.leave, id);
    return;
  }
  if (!agent.isClaimed) yield frame(RELAY_UP.claim, id, Buffer.from(JSON.stringify(identity)));
  agent.isClaimed = true;
  // What it received is between the agent and this replica.
  if (report !== undefined && agent.isReportDue) yield frame(RELAY_UP.report, id, encodeReport(forLeader(report)));
  agent.isReportDue = false;
  if (keys !== undefined && report !== undefined) yield frame(RELAY_UP.unknownKeys, id, encodeUnknownKeys(keys));
  agent.keys = undefined;
}

function forLeader({ digest, number, refused }: AgentReport): AgentReport {
  return { digest, number, received: 0, ...(refused === undefined ? {} : { refused }) };
}

function frame(type: number, id: number, payload?: Buffer): Buffer {
  const bytes = agentPayload(id, payload);
  return Buffer.concat([frameHead(type, bytes.length), bytes]);
}
