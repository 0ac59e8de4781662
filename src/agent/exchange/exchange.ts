/*
 * One exchange after the other on a server stream, whatever the protocol: has each request evaluated, then forwards it or
 * replies, and records the outcome. No byte reaches the upstream before the verdict.
 */
import type { CheckVerdict, Verdict, VerifyVerdict } from '../../filters/verdict.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type {
  BodyPrefix,
  ClientStream,
  ClientStreamHandler,
  ResponseHead,
  ServerStream,
  ServerStreamHandler,
  StreamRequest,
  Upstream,
  UpstreamFailure,
} from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { debtOf, type EvaluationClient, EvaluationTicket } from './evaluation-queue.ts';
import type { ExchangeContext } from './exchange-context.ts';
import { ExchangeState } from './exchange-state.ts';
import { cutDetails, failureReply, OVERLOADED, UPGRADE_WITH_BODY } from './local-replies.ts';
import { PendingCheck } from './pending-check.ts';
import { DURATION_DETAILS, deadlineReply, startRequestDeadline } from './request-deadline.ts';
import { WebSocketClose } from './web-socket-close.ts';

const REQUESTS_PER_READ = LIMITS.requestsPerRead.value;

/** none: no upgrade; asked: the response decides; switched: bytes both ways; closing: the agent has ended both, the rest is dropped. */
type Upgrade = 'none' | 'asked' | 'switched' | 'closing';

/** Drives the requests of one server stream. */
export class Exchange implements ServerStreamHandler, ClientStreamHandler, EvaluationClient {
  readonly #stream: ServerStream;
  readonly #upstream: Upstream;
  readonly #context: ExchangeContext;
  readonly #state: ExchangeState;
  #client: ClientStream | undefined;
  #upgrade: Upgrade = 'none';
  #protocol = '';
  #webSocket: WebSocketClose | undefined;
  #check: PendingCheck | undefined;
  readonly #ticket: EvaluationTicket;
  /** The verdict that waits in the queue of evaluations; undefined: the request as a whole may wait there. */
  #verify: VerifyVerdict | undefined;
  #cancelDeadline: (() => void) | undefined;
  /** Requests since the stream has last handed over a whole read. */
  #requestsInRead = 0;

  constructor(stream: ServerStream, upstream: Upstream, context: ExchangeContext) {
    this.#stream = stream;
    this.#upstream = upstream;
    this.#context = context;
    this.#state = new ExchangeState(stream.connection);
    this.#ticket = new EvaluationTicket(this, debtOf(stream.connection));
  }

  onRequestHead(request: StreamRequest): void {
    const state = this.#state;
    const context = this.#context;
    state.startMs = this.#stream.startMs;
    state.begin(request, context.newRequestId);
    if (request.grpcTimeout !== '') this.#cancelDeadline = startRequestDeadline(request.grpcTimeout, context.clock, () => this.#expire());
    this.#requestsInRead += 1;
    if (this.#requestsInRead <= REQUESTS_PER_READ) this.#evaluate();
    else this.#wait(undefined);
  }

  onEvaluationTurn(): void {
    const verify = this.#verify;
    this.#verify = undefined;
    if (verify === undefined) this.#evaluate();
    else this.#decide(verify.resume(this.#nowSeconds()));
    this.onRequestFlush();
  }

  onEvaluationTimeout(): void {
    const state = this.#state;
    this.#verify = undefined;
    if (state.verdict !== undefined) state.verdict = { ...state.verdict, outcome: 'reject', details: OVERLOADED.details };
    this.#reply(state.completeReply(OVERLOADED));
  }

  onRequestFault(reply: LocalReply): void {
    this.#state.startMs = this.#stream.startMs;
    if (this.#state.responseStarted) {
      this.#dropClient();
      this.#stream.reset();
    } else this.#reply(reply);
  }

  onBodyPrefix(prefix: BodyPrefix): void {
    this.#state.requestEnded = prefix.whole;
    this.#check?.onPrefix(prefix);
  }

  onRequestData(buffer: Buffer, start: number, end: number): void {
    this.#webSocket?.fromClient.read(buffer, start, end);
    if (this.#upgrade === 'closing') this.#stream.close();
    else this.#client?.sendData(buffer, start, end);
  }

  onRequestEnd(trailers?: HeaderList): void {
    this.#state.requestEnded = true;
    this.#client?.end(trailers);
  }

  onRequestFlush(): void {
    this.#requestsInRead = 0;
    if (this.#client !== undefined && !this.#client.flush()) this.#stream.pause();
  }

  onStreamDrain(): void {
    this.#client?.resume();
  }

  onShutdown(): void {
    const client = this.#client;
    if (this.#upgrade !== 'switched' || client === undefined) return;
    this.#upgrade = 'closing';
    if (this.#webSocket === undefined) this.#stream.close();
    else this.#webSocket.send(this.#stream, client);
  }

  onStreamReset(): void {
    const state = this.#state;
    this.#dropClient();
    if (state.details === '' && state.status !== 101) state.details = 'downstream_remote_disconnect';
    this.#record();
  }

  onResponseHead(head: ResponseHead): void {
    if (head.status === 101) this.#switchProtocols(head);
    else if (head.status >= 200) {
      this.#state.startResponse(head.status);
      this.#upgrade = 'none';
      this.#stream.sendHead(this.#state.changedHead(head));
    } else {
      this.#state.repeatable = undefined;
      this.#stream.sendInterim(head);
    }
  }

  onResponseData(buffer: Buffer, start: number, end: number): void {
    this.#webSocket?.fromApplication.read(buffer, start, end);
    if (this.#upgrade === 'closing') this.#client?.end();
    else this.#stream.sendData(buffer, start, end);
  }

  onResponseEnd(trailers?: HeaderList): void {
    if (this.#upgrade !== 'switched' && this.#upgrade !== 'closing') {
      this.#client = undefined;
      this.#record();
    }
    this.#stream.end(trailers);
  }

  onResponseFlush(): void {
    if (!this.#stream.flush()) this.#client?.pause();
  }

  onUpstreamDrain(): void {
    this.#stream.resume();
  }

  onUpstreamFailure(failure: UpstreamFailure, reason: string): void {
    const state = this.#state;
    const reused = this.#client?.reused === true;
    this.#client = undefined;
    if (this.#upgrade === 'switched' || this.#upgrade === 'closing') this.#stream.close();
    else if (state.responseStarted) {
      this.#cutResponse(cutDetails(failure, reason));
    } else if (reused && state.repeatable !== undefined && failure === 'termination') {
      this.#client = this.#upstream.open(state.repeatable, state.request, this, true);
      this.#client.flush();
    } else this.#reply(state.completeReply(failureReply(failure, reason)));
  }

  /** The time that the client has set is over. */
  #expire(): void {
    const state = this.#state;
    if (state.responseStarted) this.#cutResponse(DURATION_DETAILS);
    else this.#reply(deadlineReply(state, this.#upgrade !== 'none'));
  }

  /** The response head is already sent: drops the stream so that the client sees a truncated response. */
  #cutResponse(details: string): void {
    this.#state.details = details;
    this.#dropClient();
    this.#stream.flush();
    this.#stream.reset();
  }

  #evaluate(): void {
    const state = this.#state;
    const context = this.#context;
    const policy = context.activePolicy();
    if (policy === undefined) {
      this.#reply(state.completeReply(context.replyWithoutPolicy()));
      return;
    }
    state.digest = policy.digest;
    this.#decide(policy.filterChain.evaluate(state.rawRequest(), this.#nowSeconds()));
  }

  #nowSeconds(): number {
    return Math.floor(this.#context.clock.wallMs() / 1000);
  }

  #decide(verdict: Verdict): void {
    this.#state.evaluatedMs = this.#context.clock.nowMs();
    this.#apply(verdict);
  }

  /** Waits for a turn to verify, or to evaluate from the start. */
  #wait(verify: VerifyVerdict | undefined): void {
    this.#verify = verify;
    if (!this.#context.evaluations.add(this.#ticket)) this.onEvaluationTimeout();
  }

  #apply(verdict: Verdict): void {
    const state = this.#state;
    state.verdict = verdict.log;
    switch (verdict.kind) {
      case 'verify':
        this.#wait(verdict);
        return;
      case 'forward':
        if (verdict.downstreamHeaders !== undefined) state.downstream = verdict.downstreamHeaders;
        this.#forward(this.#context.tracer?.forward(state, verdict.head) ?? verdict.head);
        return;
      case 'reply':
        this.#reply(verdict);
        return;
      case 'check':
        this.#startCheck(verdict);
    }
  }

  #startCheck(check: CheckVerdict): void {
    this.#check ??= new PendingCheck(this.#context.extAuthz, (answered, response) => {
      this.#apply(answered.resume(response, this.#nowSeconds()));
      this.onRequestFlush();
    });
    const bytes = this.#check.start(check, this.#state.request.body !== 0);
    if (bytes > 0) this.#stream.readPrefix(bytes);
  }

  #forward(head: ForwardHead): void {
    const { request } = this.#state;
    const hasBody = request.body !== 0;
    if (hasBody && head.upgrade !== '') {
      this.#reply(UPGRADE_WITH_BODY);
      return;
    }
    this.#client = this.#upstream.open(head, request, this, false);
    this.#state.forwarded(head, this.#client.reused);
    if (head.upgrade !== '') {
      this.#upgrade = 'asked';
      this.#protocol = head.upgrade;
      this.#stream.awaitUpgrade();
    } else if (hasBody) this.#stream.readBody();
  }

  #switchProtocols(head: ResponseHead): void {
    this.#upgrade = 'switched';
    if (this.#protocol.toLowerCase() === 'websocket') this.#webSocket = new WebSocketClose();
    this.#state.startResponse(101);
    this.#stream.switchProtocols(this.#state.changedHead(head), this.#protocol);
  }

  #reply(reply: LocalReply): void {
    const state = this.#state;
    this.#dropClient();
    state.status = reply.status;
    state.details = reply.details;
    const changed = state.changedReply(reply);
    this.#record();
    this.#stream.reply(changed);
  }

  #dropClient(): void {
    this.#client?.reset();
    this.#client = undefined;
  }

  #record(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    this.#check?.abort();
    this.#context.observer.onExchange(this.#state);
    this.#state.reset();
    this.#upgrade = 'none';
    this.#webSocket = undefined;
    this.#verify = undefined;
    this.#context.evaluations.remove(this.#ticket);
  }
}
