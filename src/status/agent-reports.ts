/*
 * What agents said about themselves over the feed, in the present term of this leader. Only the feed writes it.
 */
import type { ObjectKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { Revision } from './workload-ledger.ts';

/** What one agent said last. */
export interface AgentState {
  /** UID of its pod. */
  readonly uid: string;
  /** The bundle that it enforces; `''`: none. */
  readonly revision: Revision;
  /** Code of why it refused the newest bundle; absent: it did not, or has not got it yet. */
  readonly refused?: string;
  /**
   * The pod holds a second stream. `agrees`, `differs`: two agents run in it, and say the same or not. `silent`: the one before said something
   * else, and nothing since, so that its agent may have lost it. Absent: there is one stream, or nothing depends on the other.
   */
  readonly second?: 'agrees' | 'differs' | 'silent';
}

/** Read access. Pods are `namespace/name`. */
export interface AgentReportsView {
  /**
   * What the agent of a pod said. It counts for {@link GRACE_MS} after the end of its stream, and longer when many streams ended: an agent
   * never goes back to an older bundle.
   * Undefined: nothing is known.
   */
  readonly get: (pod: ObjectKey) => AgentState | undefined;
  /** Whether the agent holds a stream. */
  readonly isConnected: (pod: ObjectKey) => boolean;
  /** Whether agents may still be on their way to this leader, whose term has just begun. */
  readonly isSettling: () => boolean;
  /** Milliseconds until the absence of a stream means that there will be none. */
  readonly graceMs: (pod: ObjectKey) => number;
  /**
   * Calls `listener` with each pod whose agent said something new, or whose stream began or ended; with undefined at the end of the time in
   * which agents are on their way. @returns ends the subscription
   */
  readonly subscribe: (listener: (pod: ObjectKey | undefined) => void) => () => void;
}

/** The reports. */
export interface AgentReports extends AgentReportsView {
  readonly set: (pod: ObjectKey, state: AgentState) => void;
  /** The stream of the pod ended. */
  readonly remove: (pod: ObjectKey) => void;
  /** This replica leads from now on. @param agents that may be on their way to it; absent: few */
  readonly beginTerm: (agents?: number) => void;
  /** This replica does not lead any more: calls the listeners of {@link AgentReports.onTermEnd}, and forgets everything. */
  readonly endTerm: () => void;
  /** Whether this replica leads: agents hold their streams to the leader. */
  readonly isLeading: () => boolean;
  readonly onTermEnd: (listener: () => void) => () => void;
}

/** Agents that lost their stream have reconnected after this time, unless they cannot; in milliseconds. */
export const GRACE_MS = 15_000;
/** What a leader needs to identify one agent, with the rest of its work, in milliseconds. */
const IDENTIFY_MS = 4;
/** Agents that lose their streams at the same time and have reconnected within {@link GRACE_MS}. */
const FEW = 100;

interface Known {
  readonly state: AgentState;
  /** Present: the stream ended then, on the process clock. */
  readonly lostAtMs?: number;
  /** Stops the timer that forgets a lost stream. */
  readonly cancel?: () => void;
}

/** What agents said, for as long as it counts. */
class KnownAgents {
  readonly #clock: Clock;
  readonly #onForgotten: (pod: ObjectKey) => void;
  readonly #known = new Map<ObjectKey, Known>();
  /** Agents without a stream that are still expected. */
  #lost = 0;
  /** The most of them since many lost their streams, who are expected until {@link KnownAgents.#expectedMs}. */
  #mostLost = FEW;
  #expectedMs = 0;

  /** @param onForgotten called when what an agent said does not count any more */
  constructor(clock: Clock, onForgotten: (pod: ObjectKey) => void) {
    this.#clock = clock;
    this.#onForgotten = onForgotten;
  }

  get(pod: ObjectKey): Known | undefined {
    return this.#known.get(pod);
  }

  /** @returns the state before, if the agent held a stream */
  set(pod: ObjectKey, state: AgentState): AgentState | undefined {
    const before = this.#take(pod);
    this.#known.set(pod, { state });
    return before?.lostAtMs === undefined ? before?.state : undefined;
  }

  /** The stream ended. @returns false: there was no stream */
  lose(pod: ObjectKey): boolean {
    const before = this.#known.get(pod);
    if (before === undefined || before.lostAtMs !== undefined) return false;
    this.#lost += 1;
    this.#expect(this.#clock.nowMs());
    this.#forgetLater(pod, { state: before.state, lostAtMs: this.#clock.nowMs() }, GRACE_MS);
    return true;
  }

  /** Milliseconds for which an agent without a stream is still expected. */
  graceMs(pod: ObjectKey): number {
    const lostAtMs = this.#known.get(pod)?.lostAtMs;
    return lostAtMs === undefined ? 0 : this.#leftMs(lostAtMs);
  }

  clear(): void {
    for (const pod of this.#known.keys()) this.#take(pod);
  }

  /** Another one has lost its stream. */
  #expect(nowMs: number): void {
    // In a large cluster there is always one that has.
    if (nowMs >= this.#expectedMs) this.#mostLost = FEW;
    if (this.#lost <= this.#mostLost) return;
    this.#mostLost = this.#lost;
    this.#expectedMs = nowMs + GRACE_MS + this.#lost * IDENTIFY_MS;
  }

  #leftMs(lostAtMs: number): number {
    const ownMs = lostAtMs + GRACE_MS;
    const atMostMs = ownMs + this.#mostLost * IDENTIFY_MS;
    return Math.max(0, Math.max(ownMs, Math.min(this.#expectedMs, atMostMs)) - this.#clock.nowMs());
  }

  #forgetLater(pod: ObjectKey, found: Required<Omit<Known, 'cancel'>>, afterMs: number): void {
    const cancel = this.#clock.after(afterMs, () => {
      // Others may have lost their streams meanwhile.
      const leftMs = this.#leftMs(found.lostAtMs);
      if (leftMs > 0) {
        this.#forgetLater(pod, found, leftMs);
        return;
      }
      this.#take(pod);
      this.#onForgotten(pod);
    });
    this.#known.set(pod, { ...found, cancel });
  }

  #take(pod: ObjectKey): Known | undefined {
    const before = this.#known.get(pod);
    this.#known.delete(pod);
    before?.cancel?.();
    if (before?.lostAtMs !== undefined) this.#lost -= 1;
    if (this.#lost === 0) this.#expectedMs = 0;
    return before;
  }
}

/** Reports of no agent yet. */
export function createAgentReports(clock: Clock): AgentReports {
  const listeners = new Set<(pod: ObjectKey | undefined) => void>();
  const endListeners = new Set<() => void>();
  const emit = (pod: ObjectKey | undefined): void => {
    for (const listener of listeners) listener(pod);
  };
  const known = new KnownAgents(clock, emit);
  let beganMs: number | undefined;
  let settleMs = GRACE_MS;
  let cancelSettling = (): void => undefined;
  const settlingMs = (): number => (beganMs === undefined ? 0 : Math.max(0, beganMs + settleMs - clock.nowMs()));
  return {
    get: (pod) => known.get(pod)?.state,
    isConnected: (pod) => {
      const found = known.get(pod);
      return found !== undefined && found.lostAtMs === undefined;
    },
    isSettling: () => settlingMs() > 0,
    graceMs: (pod) => Math.max(settlingMs(), known.graceMs(pod)),
    subscribe: (listener) => subscribeTo(listeners, listener),
    set: (pod, state) => {
      const before = known.set(pod, state);
      if (before === undefined || !isSame(before, state)) emit(pod);
    },
    remove: (pod) => {
      if (known.lose(pod)) emit(pod);
    },
    beginTerm: (agents = 0) => {
      beganMs = clock.nowMs();
      settleMs = GRACE_MS + agents * IDENTIFY_MS;
      cancelSettling = clock.after(settleMs, () => emit(undefined));
    },
    endTerm: () => {
      beganMs = undefined;
      cancelSettling();
      for (const listener of endListeners) listener();
      known.clear();
    },
    isLeading: () => beganMs !== undefined,
    onTermEnd: (listener) => subscribeTo(endListeners, listener),
  };
}

function subscribeTo<L>(listeners: Set<L>, listener: L): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function isSame(one: AgentState, other: AgentState): boolean {
  return one.uid === other.uid && one.revision === other.revision && one.refused === other.refused && one.second === other.second;
}
