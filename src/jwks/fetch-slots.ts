/*
 * Bounds the fetches that run at the same time, fairly to each namespace. A new fetch runs in the prompt lane for at most a second; one
 * that takes longer continues in the slow lane, so that servers that hang delay only each other, and there the namespace with the most
 * fetches gives way.
 */
import type { Clock } from '../clock.ts';

/** A fetch that waits for its turn again and again. */
export interface FetchJob {
  /** The namespaces that want it; it takes the turn of whichever comes first. */
  readonly namespaces: () => Iterable<string>;
  /** Whether its last run took longer than the prompt lane allows. */
  isSlow: boolean;
  /** Fetches until done or until `signal` aborts: then the fetch has given way and will run again. Never rejects. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Fetches that have just begun. */
export const PROMPT_SLOTS = 12;
/** Fetches that take longer than {@link PROMPT_MS}. */
export const SLOW_SLOTS = 4;
/** The longest time in the prompt lane, hence the delay of a namespace behind another one. */
export const PROMPT_MS = 1_000;

interface Run {
  readonly job: FetchJob;
  /** Whose turn it took. */
  readonly namespace: string;
  readonly abort: AbortController;
  /** `undefined`: it has left its lane before its end. */
  lane: Lane | undefined;
  isForgotten: boolean;
}

/** Starts jobs as slots become free. */
export class FetchSlots {
  readonly #clock: Clock;
  readonly #prompt = new Lane(PROMPT_SLOTS);
  readonly #slow = new Lane(SLOW_SLOTS);
  readonly #runs = new Map<FetchJob, Run>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Queues a job unless it runs. For a job that is queued already, adds it to the turns of namespaces that have come to want it. */
  add(job: FetchJob): void {
    if (this.#runs.has(job)) return;
    const lane = job.isSlow ? this.#slow : this.#prompt;
    lane.wait(job);
    this.#fill(lane);
  }

  /** Is the job waiting for a slot? */
  isWaiting(job: FetchJob): boolean {
    return this.#prompt.isWaiting(job) || this.#slow.isWaiting(job);
  }

  /** Removes a job from the queue, and aborts it if it runs. */
  forget(job: FetchJob): void {
    this.#prompt.forget(job);
    this.#slow.forget(job);
    const run = this.#runs.get(job);
    if (run === undefined) return;
    run.isForgotten = true;
    run.abort.abort();
  }

  #fill(lane: Lane): void {
    for (;;) {
      const namespace = lane.next();
      if (namespace === undefined) return;
      if (lane.isFull && (lane === this.#prompt || !this.#giveWay(namespace))) return;
      const job = lane.take(namespace);
      if (job !== undefined) this.#start(job, namespace, lane);
    }
  }

  #start(job: FetchJob, namespace: string, lane: Lane): void {
    const run: Run = { job, namespace, abort: new AbortController(), lane, isForgotten: false };
    lane.enter(run);
    this.#runs.set(job, run);
    const startedMs = this.#clock.nowMs();
    const cancel = lane === this.#prompt ? this.#clock.after(PROMPT_MS, () => this.#onSlow(run)) : (): void => undefined;
    void job.run(run.abort.signal).then(() => {
      cancel();
      const gaveWay = run.abort.signal.aborted;
      if (!gaveWay) job.isSlow = this.#clock.nowMs() - startedMs > PROMPT_MS;
      this.#leave(run);
      this.#runs.delete(job);
      if (gaveWay && !run.isForgotten) this.add(job);
      this.#fill(this.#prompt);
      this.#fill(this.#slow);
    });
  }

  #onSlow(run: Run): void {
    run.job.isSlow = true;
    this.#leave(run);
    if (!this.#slow.isFull || this.#giveWay(run.namespace)) {
      run.lane = this.#slow;
      this.#slow.enter(run);
    } else {
      run.abort.abort();
    }
    this.#fill(this.#prompt);
  }

  /** Frees a slow slot for `namespace` if another namespace would still have as many. */
  #giveWay(namespace: string): boolean {
    const victim = this.#slow.longestOf(this.#slow.greediest(), this.#slow.count(namespace) + 2);
    if (victim === undefined) return false;
    this.#leave(victim);
    victim.abort.abort();
    return true;
  }

  #leave(run: Run): void {
    run.lane?.leave(run);
    run.lane = undefined;
  }
}

/** A number of slots, and the jobs that wait for one by namespace. */
class Lane {
  readonly #slots: number;
  /** The namespace that was served last is the last one. */
  readonly #waiting = new Map<string, Set<FetchJob>>();
  readonly #namespacesOf = new Map<FetchJob, Set<string>>();
  /** In the order of their beginning. */
  readonly #running = new Set<Run>();
  readonly #counts = new Map<string, number>();

  constructor(slots: number) {
    this.#slots = slots;
  }

  get isFull(): boolean {
    return this.#running.size >= this.#slots;
  }

  isWaiting(job: FetchJob): boolean {
    return this.#namespacesOf.has(job);
  }

  count(namespace: string): number {
    return this.#counts.get(namespace) ?? 0;
  }

  wait(job: FetchJob): void {
    const known = this.#namespacesOf.get(job) ?? new Set();
    for (const namespace of job.namespaces()) {
      known.add(namespace);
      const jobs = this.#waiting.get(namespace) ?? new Set();
      this.#waiting.set(namespace, jobs.add(job));
    }
    if (known.size > 0) this.#namespacesOf.set(job, known);
  }

  forget(job: FetchJob): void {
    for (const namespace of this.#namespacesOf.get(job) ?? []) {
      const jobs = this.#waiting.get(namespace);
      jobs?.delete(job);
      if (jobs?.size === 0) this.#waiting.delete(namespace);
    }
    this.#namespacesOf.delete(job);
  }

  /** The waiting namespace with the fewest running jobs; of several, the one that was served longest ago. */
  next(): string | undefined {
    let best: string | undefined;
    for (const namespace of this.#waiting.keys()) {
      if (best === undefined || this.count(namespace) < this.count(best)) best = namespace;
      if (this.count(best) === 0) break;
    }
    return best;
  }

  /** Removes the job that has waited longest in a namespace. */
  take(namespace: string): FetchJob | undefined {
    const [job] = this.#waiting.get(namespace) ?? [];
    if (job === undefined) return undefined;
    this.forget(job);
    const others = this.#waiting.get(namespace);
    if (others !== undefined) {
      this.#waiting.delete(namespace);
      this.#waiting.set(namespace, others);
    }
    return job;
  }

  enter(run: Run): void {
    this.#running.add(run);
    this.#counts.set(run.namespace, this.count(run.namespace) + 1);
  }

  leave(run: Run): void {
    if (!this.#running.delete(run)) return;
    const count = this.count(run.namespace) - 1;
    if (count > 0) this.#counts.set(run.namespace, count);
    else this.#counts.delete(run.namespace);
  }

  /** The namespace with the most running jobs. */
  greediest(): string | undefined {
    return [...this.#counts].toSorted(([, one], [, other]) => other - one)[0]?.[0];
  }

  /** The job of a namespace that has run longest; `undefined`: the namespace has fewer than `least`. */
  longestOf(namespace: string | undefined, least: number): Run | undefined {
    if (namespace === undefined || this.count(namespace) < least) return undefined;
    return [...this.#running].find((run) => run.namespace === namespace);
  }
}
