/*
 * One exchange after the other on a server stream, whatever the protocol: has each request evaluated, then forwards it or
 * replies, and records the outcome. No byte reaches the upstream before the verdict.
 */
import type { ForwardVerdict } from '../../filters/verdict.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type {
  ClientStream,
  ClientStreamHandler,
  ResponseHead,
  ServerStream,
  ServerStreamHandler,
  StreamRequest,
  Upstream,
  UpstreamFailure,
} from '../../http/stream.ts';
import { trailersOf } from './end-revoked.ts';
import { EvaluatedExchange } from './evaluated-exchange.ts';
import type { ExchangeContext } from './exchange-context.ts';
import type { Revocation } from './held-request.ts';
import { cutDetails, failureReply, UPGRADE_WITH_BODY } from './local-replies.ts';
import { DURATION_DETAILS, deadlineReply, startRequestDeadline } from './request-deadline.ts';
import { Upgrade } from './upgrade.ts';
import { GOING_AWAY } from './web-socket-frames.ts';

/** Drives the requests of one server stream. */
export class Exchange extends EvaluatedExchange implements ServerStreamHandler, ClientStreamHandler {
  readonly #upstream: Upstream;
  #client: ClientStream | undefined;
  readonly #upgrade = new Upgrade();
  #cancelDeadline: (() => void) | undefined;

  constructor(stream: ServerStream, upstream: Upstream, context: ExchangeContext) {
    super(stream, context);
    this.#upstream = upstream;
  }

  onRequestHead(request: StreamRequest): void {
    if (request.grpcTimeout !== '')
      this.#cancelDeadline = startRequestDeadline(request.grpcTimeout, this.context.clock, () => this.#expire());
    this.beginEvaluation(request);
  }

  onRequestFault(reply: LocalReply): void {
    this.state.startMs = this.stream.startMs;
    if (this.state.responseStarted) {
      this.#dropClient();
      this.stream.reset();
    } else this.reply(reply);
  }

  onRequestData(buffer: Buffer, start: number, end: number): void {
    if (this.#upgrade.readClient(buffer, start, end)) this.#client?.sendData(buffer, start, end);
    else this.stream.close();
  }

  onRequestEnd(trailers?: HeaderList): void {
    this.state.requestEnded = true;
    this.#client?.end(trailers);
  }

  onRequestFlush(): void {
    this.readDone();
    if (this.#client !== undefined && !this.#client.flush()) this.stream.pause();
  }

  onStreamDrain(): void {
    this.#client?.resume();
  }

  onShutdown(): void {
    if (this.#client !== undefined) this.#upgrade.close(this.stream, this.#client, GOING_AWAY);
  }

  onStreamReset(): void {
    const state = this.state;
    this.#dropClient();
    if (state.details === '' && state.status !== 101) state.details = 'downstream_remote_disconnect';
    this.#record();
  }

  onResponseHead(head: ResponseHead): void {
    if (head.status === 101) this.#switchProtocols(head);
    else if (head.status >= 200) {
      this.state.startResponse(head.status, head.body);
      this.#upgrade.reset();
      this.stream.sendHead(this.state.changedHead(head));
    } else {
      this.state.repeatable = undefined;
      this.stream.sendInterim(head);
    }
  }

  onResponseData(buffer: Buffer, start: number, end: number): void {
    if (this.#upgrade.readApplication(buffer, start, end)) this.stream.sendData(buffer, start, end);
    else this.#client?.end();
  }

  onResponseEnd(trailers?: HeaderList): void {
    if (this.#upgrade.isSwitched) this.#upgrade.applicationEnded = true;
    else {
      this.#client = undefined;
      this.#record();
    }
    this.stream.end(trailers);
  }

  onResponseFlush(): void {
    if (!this.stream.flush()) this.#client?.pause();
  }

  onUpstreamDrain(): void {
    this.stream.resume();
  }

  onUpstreamFailure(failure: UpstreamFailure, reason: string): void {
    const state = this.state;
    const reused = this.#client?.reused === true;
    this.#client = undefined;
    if (this.#upgrade.isSwitched) this.stream.close(!this.#upgrade.applicationEnded && !this.#upgrade.isClosing);
    else if (state.responseStarted) {
      this.#cutResponse(cutDetails(failure, reason));
    } else if (reused && state.repeatable !== undefined && failure === 'termination') {
      this.#client = this.#upstream.open(state.repeatable, state.request, this, true);
      this.#client.flush();
    } else this.reply(state.completeReply(failureReply(failure, reason)));
  }

  onRevoked(revocation: Revocation): void {
    const { state } = this;
    this.endReevaluation();
    if (this.#upgrade.isClosing) return;
    const reply = state.revoke(revocation);
    if (this.#upgrade.isSwitched) this.#upgrade.revoke(this.stream, this.#client, revocation.reason);
    else if (state.responseStarted) this.#cutRevoked(trailersOf(state, reply));
    else {
      this.reply(reply);
      this.stream.flush();
    }
  }

  #cutRevoked(trailers: HeaderList | undefined): void {
    this.#dropClient();
    this.stream.flush();
    if (trailers === undefined) {
      this.stream.reset(true);
      return;
    }
    this.#record();
    this.stream.end(trailers);
    this.stream.flush();
  }

  /** The time that the client has set is over. */
  #expire(): void {
    const state = this.state;
    if (state.responseStarted) this.#cutResponse(DURATION_DETAILS);
    else this.reply(deadlineReply(state, this.#upgrade.isAsked));
  }

  /** The response head is already sent: drops the stream so that the client sees a truncated response. */
  #cutResponse(details: string): void {
    this.state.details = details;
    this.#dropClient();
    this.stream.flush();
    this.stream.reset();
  }

  protected forward(verdict: ForwardVerdict): void {
    const { request } = this.state;
    const head = this.context.tracer?.forward(this.state, verdict.head) ?? verdict.head;
    const hasBody = request.body !== 0;
    if (hasBody && head.upgrade !== '') {
      this.reply(UPGRADE_WITH_BODY);
      return;
    }
    this.#client = this.#upstream.open(head, request, this, false);
    this.state.forwarded(head, this.#client.reused);
    if (head.upgrade !== '') {
      this.#upgrade.ask(head.upgrade);
      this.stream.awaitUpgrade();
    } else if (hasBody) this.stream.readBody();
  }

  #switchProtocols(head: ResponseHead): void {
    this.state.startResponse(101);
    this.stream.switchProtocols(this.state.changedHead(head), this.#upgrade.accept());
  }

  protected reply(reply: LocalReply): void {
    const state = this.state;
    this.#dropClient();
    state.status = reply.status;
    state.details = reply.details;
    const changed = state.changedReply(reply);
    this.#record();
    this.stream.reply(changed);
  }

  #dropClient(): void {
    this.#client?.reset();
    this.#client = undefined;
  }

  #record(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    this.endEvaluation();
    this.context.observer.onExchange(this.state);
    this.state.reset();
    this.#upgrade.reset();
  }
}
