/*
 * Evaluations that must not hold the event loop: those that verify a signature, and those of a client that pipelines many requests.
 * A turn of the loop runs them for a limited time, so that input and output of other connections are served in between. Each
 * stream waits with one request at most, and those of connections that took little time lately go first: a flood delays itself.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import { nextTurn } from '../../limits/timers.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';

/** A stream, as the queue sees it. At most one of its evaluations waits. */
export interface EvaluationClient {
  /** Its turn has come: evaluate. */
  onEvaluationTurn(): void;
  /** It waited for too long. */
  onEvaluationTimeout(): void;
}

const TURN = LIMITS.evaluationTurn.value;
const WAIT = LIMITS.evaluationWait;
/** Milliseconds of evaluation that a connection may take before it counts as heavy, and how much it gets back in a millisecond. */
const LIGHT_DEBT = LIMITS.lightEvaluations.value;
const REPAID = 0.02;
/** At least one of N evaluations is that of a heavy connection, if one waits. */
const HEAVY_SHARE = 8;

/** How much time the evaluations of one connection took lately. */
export class EvaluationDebt {
  #debt = 0;
  #debtAtMs = 0;

  /** Did the connection take much time lately? */
  isHeavy(nowMs: number): boolean {
    this.#repay(nowMs);
    return this.#debt > LIGHT_DEBT;
  }

  /** Adds the time that an evaluation took. */
  charge(ms: number, nowMs: number): void {
    this.#repay(nowMs);
    this.#debt += ms;
  }

  #repay(nowMs: number): void {
    this.#debt = Math.max(0, this.#debt - (nowMs - this.#debtAtMs) * REPAID);
    this.#debtAtMs = nowMs;
  }
}

const DEBTS = new WeakMap<ConnectionFacts, EvaluationDebt>();

/** The debt of a connection, whose streams share it. */
export function debtOf(connection: ConnectionFacts): EvaluationDebt {
  let debt = DEBTS.get(connection);
  if (debt === undefined) {
    debt = new EvaluationDebt();
    DEBTS.set(connection, debt);
  }
  return debt;
}

/** The place of one stream in the queue. */
export class EvaluationTicket {
  readonly client: EvaluationClient;
  readonly debt: EvaluationDebt;
  isWaiting = false;
  /** Monotonic milliseconds when it began to wait. */
  sinceMs = 0;

  /** @param debt absent: its own */
  constructor(client: EvaluationClient, debt: EvaluationDebt = new EvaluationDebt()) {
    this.client = client;
    this.debt = debt;
  }
}

/** The queue of one agent. */
export class EvaluationQueue {
  readonly #clock: Clock;
  readonly #nextTurn: (run: () => void) => void;
  readonly #light = new BoundedSet<EvaluationTicket>(LIMITS.waitingEvaluations);
  readonly #heavy = new BoundedSet<EvaluationTicket>(LIMITS.waitingEvaluations);
  #isScheduled = false;
  #sinceHeavy = 0;

  /** @param schedule calls a function after the input and output that is ready now; default: the event loop */
  constructor(clock: Clock, schedule: (run: () => void) => void = nextTurn) {
    this.#clock = clock;
    this.#nextTurn = schedule;
  }

  /** Evaluations that wait. */
  get length(): number {
    return this.#light.size + this.#heavy.size;
  }

  /** Waits for a turn; the client is not called before this returns. @returns false: too many wait */
  add(ticket: EvaluationTicket): boolean {
    const nowMs = this.#clock.nowMs();
    if (!(ticket.debt.isHeavy(nowMs) ? this.#heavy : this.#light).add(ticket)) return false;
    ticket.isWaiting = true;
    ticket.sinceMs = nowMs;
    this.#schedule();
    return true;
  }

  /** Forgets a ticket that may be waiting. */
  remove(ticket: EvaluationTicket): void {
    if (!ticket.isWaiting) return;
    ticket.isWaiting = false;
    if (!this.#light.delete(ticket)) this.#heavy.delete(ticket);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#nextTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isScheduled = false;
    const startMs = this.#clock.nowMs();
    let nowMs = startMs;
    while (nowMs - startMs < TURN) {
      const ticket = this.#next();
      if (ticket === undefined) return;
      this.remove(ticket);
      this.#run(ticket, nowMs);
      const endMs = this.#clock.nowMs();
      ticket.debt.charge(endMs - nowMs, endMs);
      nowMs = endMs;
    }
    if (this.length > 0) this.#schedule();
  }

  #run({ client, sinceMs }: EvaluationTicket, nowMs: number): void {
    if (nowMs - sinceMs <= WAIT.value) client.onEvaluationTurn();
    else {
      WAIT.hit();
      client.onEvaluationTimeout();
    }
  }

  #next(): EvaluationTicket | undefined {
    const heavy = this.#heavy.oldest;
    const light = heavy !== undefined && this.#sinceHeavy >= HEAVY_SHARE - 1 ? undefined : this.#light.oldest;
    if (light === undefined) this.#sinceHeavy = 0;
    else this.#sinceHeavy += 1;
    return light ?? heavy;
  }
}
