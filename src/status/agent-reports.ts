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

/** Counts agents without a stream that are still expected. */
class LostAgents {
  #count = 0;
  /** Since there were none. */
  #most = 0;

  /** How long each may take to connect again, in milliseconds. */
  get graceMs(): number {
    return GRACE_MS + (this.#most > FEW ? this.#most * IDENTIFY_MS : 0);
  }

  add(): void {
    this.#count += 1;
    this.#most = Math.max(this.#most, this.#count);
  }

  remove(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#most = 0;
  }

  clear(): void {
    this.#count = 0;
    this.#most = 0;
  }
}

/** Reports of no agent yet. */
export function createAgentReports(clock: Clock): AgentReports {
  const known = new Map<ObjectKey, Known>();
  const listeners = new Set<(pod: ObjectKey | undefined) => void>();
  const endListeners = new Set<() => void>();
  let beganMs: number | undefined;
  let settleMs = GRACE_MS;
  let cancelSettling = (): void => undefined;
  const lost = new LostAgents();
  const onFound = (before: Known | undefined): void => {
    before?.cancel?.();
    if (before?.lostAtMs !== undefined) lost.remove();
  };
  const emit = (pod: ObjectKey | undefined): void => {
    for (const listener of listeners) listener(pod);
  };
  const leftMs = (sinceMs: number | undefined, ofMs: number): number =>
    sinceMs === undefined ? 0 : Math.max(0, sinceMs + ofMs - clock.nowMs());
  const forgetLater = (pod: ObjectKey, found: Required<Pick<Known, 'state' | 'lostAtMs'>>, afterMs: number): void => {
    const cancel = clock.after(afterMs, () => {
      const left = leftMs(found.lostAtMs, lost.graceMs);
      if (left > 0) {
        forgetLater(pod, found, left);
        return;
      }
      onFound(known.get(pod));
      known.delete(pod);
      emit(pod);
    });
    known.set(pod, { ...found, cancel });
  };
  return {
    get: (pod) => known.get(pod)?.state,
    isConnected: (pod) => known.has(pod) && known.get(pod)?.lostAtMs === undefined,
    isSettling: () => leftMs(beganMs, settleMs) > 0,
    graceMs: (pod) => Math.max(leftMs(beganMs, settleMs), leftMs(known.get(pod)?.lostAtMs, lost.graceMs)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set: (pod, state) => {
      const before = known.get(pod);
      onFound(before);
      known.set(pod, { state });
      if (before === undefined || before.lostAtMs !== undefined || !isSame(before.state, state)) emit(pod);
    },
    remove: (pod) => {
      const before = known.get(pod);
      if (before === undefined || before.lostAtMs !== undefined) return;
      lost.add();
      forgetLater(pod, { state: before.state, lostAtMs: clock.nowMs() }, GRACE_MS);
      emit(pod);
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
      for (const { cancel } of known.values()) cancel?.();
      known.clear();
      lost.clear();
    },
    isLeading: () => beganMs !== undefined,
    onTermEnd: (listener) => {
      endListeners.add(listener);
      return () => endListeners.delete(listener);
    },
  };
}

function isSame(one: AgentState, other: AgentState): boolean {
  return one.uid === other.uid && one.revision === other.revision && one.refused === other.refused && one.second === other.second;
}
