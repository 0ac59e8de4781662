/*
 * The streams of each pod: usually one, two for a moment when an agent connects again, and for longer when two agents run in the pod.
 */
import type { ObjectKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { AgentReports, AgentState } from '../status/agent-reports.ts';
import type { CloseReason } from './feed-refusal.ts';

/** What the agent at the other end of a stream said last. */
export type Said = Pick<AgentState, 'revision' | 'refused'>;

/** A stream of a pod. */
export interface StreamOfPod {
  readonly pod: ObjectKey;
  /** UID of the pod. */
  readonly identity: { readonly uid: string };
  readonly stream: { readonly close: (reason: CloseReason) => void };
  /** What the agent said last; undefined: nothing yet. */
  said?: Said;
}

interface Pair<S> {
  newest: S;
  /** The one before; undefined: it has ended. */
  older?: S | undefined;
  /** The older one has said something since the newest one began. */
  isOlderAlive: boolean;
  /** Stops the timer that ends the older one. */
  cancelProbation?: () => void;
}

/** More than the time between two reports of an agent. */
export const PROBATION_MS = 20_000;

/** Streams by pod, and what they say about it. */
export class PodStreams<S extends StreamOfPod> {
  readonly #byPod = new Map<ObjectKey, Pair<S>>();
  readonly #clock: Clock;
  readonly #reports: Pick<AgentReports, 'set' | 'remove'>;

  constructor(clock: Clock, reports: Pick<AgentReports, 'set' | 'remove'>) {
    this.#clock = clock;
    this.#reports = reports;
  }

  /** Pods with two agents. */
  get doubled(): number {
    return [...this.#byPod.values()].filter(({ isOlderAlive }) => isOlderAlive).length;
  }

  /** The streams of a pod, the older one first. */
  of(pod: ObjectKey): readonly S[] {
    const { older, newest } = this.#byPod.get(pod) ?? {};
    return [older, newest].flatMap((one) => (one === undefined ? [] : [one]));
  }

  /** Those of all pods. */
  all(): readonly S[] {
    return [...this.#byPod.keys()].flatMap((pod) => this.of(pod));
  }

  /** A third stream of a pod ends the first one. */
  add(added: S): void {
    const { pod } = added;
    const before = this.#byPod.get(pod);
    if (before === undefined) {
      this.#byPod.set(pod, { newest: added, isOlderAlive: false });
      return;
    }
    const { newest: older } = before;
    before.older?.stream.close('replaced');
    before.cancelProbation?.();
    const streams: Pair<S> = { newest: added, older, isOlderAlive: false };
    this.#byPod.set(pod, streams);
    streams.cancelProbation = this.#clock.after(PROBATION_MS, () => {
      if (!streams.isOlderAlive) streams.older?.stream.close('replaced');
    });
  }

  remove(removed: S): void {
    const { pod } = removed;
    const streams = this.#byPod.get(pod);
    if (streams !== undefined && (streams.older === removed || streams.newest === removed)) streams.cancelProbation?.();
    if (streams?.older === removed) {
      Object.assign(streams, { older: undefined, isOlderAlive: false });
      this.#say(streams);
    } else if (streams?.newest === removed) {
      const { older, isOlderAlive } = streams;
      if (older === undefined) this.#byPod.delete(pod);
      else this.#byPod.set(pod, { newest: older, isOlderAlive: false });
      if (older !== undefined && isOlderAlive) this.#say({ newest: older, isOlderAlive: false });
      else this.#reports.remove(pod);
    }
  }

  /** The agent of a stream said something. */
  onSaid(from: S, said: Said): void {
    from.said = said;
    const streams = this.#byPod.get(from.pod);
    if (streams?.older === from) streams.isOlderAlive = true;
    if (streams !== undefined) this.#say(streams);
  }

  /** Records what the agents of a pod say. */
  #say({ newest, older, isOlderAlive }: Pair<S>): void {
    const { pod, identity, said } = newest;
    const other = older?.said;
    if (said === undefined) return;
    const isSame = other === undefined || (said.revision === other.revision && said.refused === other.refused);
    const second: AgentState['second'][] = isOlderAlive ? ['agrees', 'differs'] : [undefined, 'silent'];
    const found = second[isSame ? 0 : 1];
    this.#reports.set(pod, { uid: identity.uid, ...said, ...(found === undefined ? {} : { second: found }) });
  }
}
