/*
 * Streams that are evaluated again when the policy changes and when their token expires. They wait for one place in the queue of evaluations, so
 * that any number of them delays a request no more than one busy client does. Expiry is a number that the sweeper compares.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import type { ActivePolicy, LiveStream, LiveStreams } from '../context.ts';
import { type EvaluationClient, type EvaluationQueue, EvaluationTicket } from './evaluation-queue.ts';

/** What is needed of the agent. */
export interface ReevaluationOptions {
  readonly clock: Clock;
  readonly evaluations: EvaluationQueue;
  readonly activePolicy: () => ActivePolicy | undefined;
  /** Most streams. */
  readonly max: number;
}

/** The live streams of one agent. */
export class ReevaluatedStreams implements LiveStreams, EvaluationClient {
  readonly #options: ReevaluationOptions;
  readonly #ticket = new EvaluationTicket(this);
  /** Those that the active policy has allowed. */
  #allowed: BoundedSet<LiveStream>;
  /** Those that wait for their evaluation. */
  #waiting: BoundedSet<LiveStream>;

  constructor(options: ReevaluationOptions) {
    this.#options = options;
    this.#allowed = new BoundedSet(LIMITS.liveStreams, options.max);
    this.#waiting = new BoundedSet(LIMITS.liveStreams, options.max);
  }

  /** Number of streams. */
  get size(): number {
    return this.#allowed.size + this.#waiting.size;
  }

  /** Number of streams that wait for their evaluation. */
  get waiting(): number {
    return this.#waiting.size;
  }

  add(stream: LiveStream, policy: ActivePolicy | undefined): boolean {
    this.delete(stream);
    if (policy !== undefined && policy === this.#options.activePolicy()) return this.#allowed.add(stream);
    // The policy has changed since its evaluation began.
    return this.#wait(stream);
  }

  delete(stream: LiveStream): void {
    if (!this.#allowed.delete(stream)) this.#waiting.delete(stream);
  }

  /** Another policy is active, or none. */
  onPolicyChange(): void {
    if (this.#waiting.size === 0) [this.#waiting, this.#allowed] = [this.#allowed, this.#waiting];
    else {
      for (const stream of this.#allowed) {
        this.#allowed.delete(stream);
        this.#waiting.add(stream);
      }
    }
    this.#schedule();
  }

  /** Evaluates streams again whose token has expired. */
  sweep(): void {
    const nowSeconds = Math.floor(this.#options.clock.wallMs() / 1000);
    for (const stream of this.#allowed) {
      if (stream.expiresAt === 0 || stream.expiresAt > nowSeconds) continue;
      this.#allowed.delete(stream);
      this.#waiting.add(stream);
    }
    this.#schedule();
  }

  onEvaluationTurn(): void {
    const stream = this.#waiting.oldest;
    if (stream === undefined) return;
    this.#waiting.delete(stream);
    // Before the evaluation, which may end the stream.
    this.#allowed.add(stream);
    stream.reevaluate(this.#options.activePolicy());
    this.#schedule();
  }

  onEvaluationTimeout(): void {
    this.#schedule();
  }

  #wait(stream: LiveStream): boolean {
    const isAdded = this.#waiting.add(stream);
    this.#schedule();
    return isAdded;
  }

  /** Where the queue is full, the next sweep tries again. */
  #schedule(): void {
    if (this.#waiting.size > 0 && !this.#ticket.isWaiting) this.#options.evaluations.add(this.#ticket);
  }
}
