/*
 * The first half of an exchange: has each request evaluated, in a turn of the queue where that takes long, and asks the ext_authz servers that
 * the verdict names. The second half forwards or replies.
 */
import type { CheckVerdict, ForwardVerdict, Verdict, VerifyVerdict } from '../../filters/verdict.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { BodyPrefix, ServerStream, StreamRequest } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { debtOf, type EvaluationClient, EvaluationTicket } from './evaluation-queue.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { ExchangeState } from './exchange-state.ts';
import { HeldRequest, type RevocableExchange, type Revocation } from './held-request.ts';
import { OVERLOADED } from './local-replies.ts';
import { PendingCheck } from './pending-check.ts';

const REQUESTS_PER_READ = LIMITS.requestsPerRead.value;

/** An exchange up to its verdict. */
export abstract class EvaluatedExchange implements EvaluationClient, RevocableExchange {
  protected readonly stream: ServerStream;
  protected readonly context: ExchangeContext;
  protected readonly state: ExchangeState;
  #check: PendingCheck | undefined;
  readonly #ticket: EvaluationTicket;
  /** The verdict that waits in the queue of evaluations; undefined: the request as a whole may wait there. */
  #verify: VerifyVerdict | undefined;
  /** Undefined: the exchange is not evaluated again. */
  #held: HeldRequest | undefined;
  /** Requests since the stream has last handed over a whole read. */
  #requestsInRead = 0;

  constructor(stream: ServerStream, context: ExchangeContext) {
    this.stream = stream;
    this.context = context;
    this.state = new ExchangeState(stream.connection);
    this.#ticket = new EvaluationTicket(this, debtOf(stream.connection));
  }

  /** Evaluates the request that was read. */
  protected beginEvaluation(request: StreamRequest): void {
    this.state.startMs = this.stream.startMs;
    this.state.begin(request, this.context.newRequestId);
    this.#requestsInRead += 1;
    if (this.#requestsInRead <= REQUESTS_PER_READ) this.#evaluate();
    else this.#wait(undefined);
  }

  /** The stream has handed over a whole read. */
  protected readDone(): void {
    this.#requestsInRead = 0;
  }

  onBodyPrefix(prefix: BodyPrefix): void {
    this.state.requestEnded = prefix.whole;
    this.#check?.onPrefix(prefix);
  }

  onEvaluationTurn(): void {
    const verify = this.#verify;
    this.#verify = undefined;
    if (verify === undefined) this.#evaluate();
    else this.#decide(verify.resume(this.#nowSeconds()));
    this.onRequestFlush();
  }

  onEvaluationTimeout(): void {
    const { state } = this;
    this.#verify = undefined;
    if (state.verdict !== undefined) state.verdict = { ...state.verdict, outcome: 'reject', details: OVERLOADED.details };
    this.reply(state.completeReply(OVERLOADED));
  }

  /** The exchange is over. */
  protected endEvaluation(): void {
    this.#verify = undefined;
    this.#check?.abort();
    this.endReevaluation();
    this.context.evaluations.remove(this.#ticket);
  }

  /** The exchange is over, or on its way to its end. */
  protected endReevaluation(): void {
    this.#held?.end();
    this.#held = undefined;
  }

  #evaluate(): void {
    const { state, context } = this;
    const policy = context.activePolicy();
    if (policy === undefined) {
      this.reply(state.completeReply(context.replyWithoutPolicy()));
      return;
    }
    state.digest = policy.digest;
    const raw = state.rawRequest();
    if (context.liveStreams !== undefined) this.#held = new HeldRequest(raw, policy, context, this);
    this.#decide(policy.filterChain.evaluate(raw, this.#nowSeconds()));
  }

  #nowSeconds(): number {
    return Math.floor(this.context.clock.wallMs() / 1000);
  }

  #decide(verdict: Verdict): void {
    this.state.evaluatedMs = this.context.clock.nowMs();
    this.#apply(verdict);
  }

  /** Waits for a turn to verify, or to evaluate from the start. */
  #wait(verify: VerifyVerdict | undefined): void {
    this.#verify = verify;
    if (!this.context.evaluations.add(this.#ticket)) this.onEvaluationTimeout();
  }

  #apply(verdict: Verdict): void {
    const { state } = this;
    state.verdict = verdict.log;
    switch (verdict.kind) {
      case 'verify':
        this.#wait(verdict);
        return;
      case 'forward':
        if (verdict.downstreamHeaders !== undefined) state.downstream = verdict.downstreamHeaders;
        if (this.#held?.begin(verdict) === false) this.reply(state.completeReply(OVERLOADED));
        else this.forward(verdict);
        return;
      case 'reply':
        this.reply(verdict);
        return;
      case 'check':
        this.#startCheck(verdict);
    }
  }

  #startCheck(check: CheckVerdict): void {
    this.#check ??= new PendingCheck(this.context.extAuthz, (answered, response) => {
      this.#held?.answered(answered, response);
      this.#apply(answered.resume(response, this.#nowSeconds()));
      this.onRequestFlush();
    });
    const bytes = this.#check.start(check, this.state.request.body !== 0);
    if (bytes > 0) this.stream.readPrefix(bytes);
  }

  /** Sends the request to the application. */
  protected abstract forward(verdict: ForwardVerdict): void;
  /** Ends the exchange with `reply`. */
  protected abstract reply(reply: LocalReply): void;
  abstract onRequestFlush(): void;
  abstract onRevoked(revocation: Revocation): void;
}
