/*
 * One client connection: reads requests, has each judged, then forwards it or replies, one exchange at a time. In: bytes
 * of the client and, through the upstream connection, of the application. Out: bytes to both; a record per exchange.
 * Made by the listener.
 */

import type { Socket } from 'node:net';
import type { Verdict } from '../../filters/verdict.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { ProxyContext } from '../context.ts';
import { Exchange } from '../exchange/exchange.ts';
import { failureReply, MAY_BE_SENT_AGAIN, NOT_READY, REQUEST_TIMEOUT } from '../exchange/local-replies.ts';
import { type CheckState, PendingCheck } from '../exchange/pending-check.ts';
import { LINGER_MS, Linger } from '../net/lingering-close.ts';
import { MessageWriter } from '../net/message-writer.ts';
import { HeldInput } from '../net/paused-input.ts';
import { adoptSocket, type SocketEvents } from '../net/socket-events.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { changeFields, changeReply } from './change-fields.ts';
import { HeadBuffer } from './head-buffer.ts';
import { RequestBody } from './request-body.ts';
import { CODEC_ERROR, HEAD_TOO_LARGE, isHopeless, MAX_HEAD_BYTES, parseRequestHead, type RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { ResponseRelay } from './response-relay.ts';
import type { ResponseReceiver, UpstreamConnection, UpstreamFailure } from './upstream-connection.ts';
import { writeReply, writeRequestHead, writeSwitchHead } from './write-head.ts';

/**
 * head: waiting for a request; preview: an external authorizer wants bytes of the body; check: it is asked; body: request
 * body passes; wait: request is whole, response is not; upgrade: waiting for 101; tunnel: bytes both ways; drain: replied and
 * closing, input is discarded.
 */
type Phase = 'head' | 'preview' | 'check' | 'body' | 'wait' | 'upgrade' | 'tunnel' | 'drain' | 'closed';

/** What a connection needs of its listener. */
export interface ConnectionHost {
  readonly context: ProxyContext;
  readonly pool: UpstreamPool;
  onClientGone(connection: ClientConnection): void;
}

export class ClientConnection implements SocketEvents, ResponseReceiver {
  /** Monotonic milliseconds; 0: none. */
  deadlineMs = 0;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #out: MessageWriter;
  readonly #heads = new HeadBuffer(MAX_HEAD_BYTES);
  readonly #response: ResponseRelay;
  readonly #body = new RequestBody();
  readonly #linger = new Linger();
  #phase: Phase = 'head';
  readonly #exchange: Exchange;
  /** Close after the exchange at hand. */
  #closing = false;
  #upstream: UpstreamConnection | undefined;
  #upgrade = '';
  readonly #input: HeldInput;
  #check: PendingCheck | undefined;

  constructor(accepted: Socket, facts: ConnectionFacts, host: ConnectionHost) {
    this.#host = host;
    this.#exchange = new Exchange(facts);
    this.#socket = adoptSocket(accepted, this);
    this.#input = new HeldInput(this.#socket);
    this.#out = new MessageWriter(this.#socket);
    this.#response = new ResponseRelay(this.#out);
    this.#deadline(host.context.limits.idleTimeoutMs);
  }

  /** Serves the exchange at hand, then closes; at once when there is none. */
  finish(): void {
    this.#closing = true;
    if (this.#phase === 'head' && this.#heads.length === 0) this.#end();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Its deadline has passed. */
  expire(): void {
    const { clock, limits } = this.#host.context;
    if (this.#phase === 'head' && this.#heads.length > 0) this.#refuse(REQUEST_TIMEOUT);
    else if (this.#phase === 'preview' || (this.#phase === 'body' && !this.#exchange.responseBegun)) {
      this.#dropUpstream();
      this.#refuse(REQUEST_TIMEOUT);
    } else if (this.#phase === 'drain' && this.#linger.stays(this.#socket.writableLength, clock.nowMs(), limits.bodyTimeoutMs)) {
      this.#deadline(LINGER_MS);
    } else this.destroy();
  }

  onBytes(buffer: Buffer, length: number): void {
    this.#consume(buffer, 0, length);
  }

  onEnd(): void {
    switch (this.#phase) {
      case 'tunnel':
        this.#upstream?.end();
        return;
      case 'wait':
      case 'check':
        // Half-closed: the client still reads.
        this.#closing = true;
        return;
      case 'preview':
      case 'body':
      case 'upgrade':
        this.destroy();
        return;
      case 'drain':
        return;
      default:
        this.#socket.end();
        this.#deadline(LINGER_MS);
    }
  }

  onDrain(): void {
    this.#upstream?.resume();
  }

  onClose(): void {
    if (this.#phase === 'closed') return;
    const active = this.#phase !== 'head' && this.#phase !== 'drain';
    this.#phase = 'closed';
    this.#check?.abort();
    this.#dropUpstream();
    if (active) {
      if (this.#exchange.details === '' && this.#exchange.status !== 101) this.#exchange.details = 'downstream_remote_disconnect';
      this.#record();
    }
    this.#host.onClientGone(this);
  }

  onResponseHead(head: ResponseHead): void {
    if (head.status === 101) this.#switchProtocols(head);
    else if (head.status < 200) this.#response.interim(head);
    else this.#beginResponse(head);
  }

  onResponseBytes(buffer: Buffer, start: number, end: number): void {
    this.#response.bytes(buffer, start, end);
  }

  onResponseEnd(): void {
    this.#response.end();
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (this.#phase === 'wait') {
      if (upstream !== undefined) this.#host.pool.release(upstream);
    } else {
      upstream?.destroy();
      this.#closing = true;
    }
    this.#out.flush();
    this.#record();
    this.#nextRequest();
  }

  onResponseFlush(): void {
    if (!this.#out.flush()) this.#upstream?.pause();
  }

  onTunnelBytes(buffer: Buffer, start: number, end: number): void {
    this.#out.bytes(buffer, start, end);
  }

  onTunnelEnd(): void {
    this.#out.flush();
    this.#socket.end();
  }

  onUpstreamDrain(): void {
    this.#input.resume();
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (this.#phase === 'tunnel') {
      this.#socket.end();
      this.#deadline(LINGER_MS);
      return;
    }
    if (this.#exchange.responseBegun) {
      // Half a response cannot be mended: a cut connection tells the client so.
      this.#exchange.details = 'upstream_reset_after_response_started';
      this.destroy();
      return;
    }
    if (upstream?.reused === true && this.#exchange.repeatable !== '' && failure === 'termination') {
      this.#send(this.#exchange.repeatable, true).out.flush();
      return;
    }
    const reply = failureReply(failure);
    this.#exchange.details = reply.details;
    this.#reply(reply, this.#phase !== 'wait');
  }

  #consume(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      switch (this.#phase) {
        case 'head':
          at = this.#readHead(buffer, at, end);
          break;
        case 'body':
          at = this.#readBody(buffer, at, end);
          break;
        case 'preview':
          this.#onCheckState(this.#check?.look(this.#input.collect(buffer, at, end)));
          at = end;
          break;
        case 'tunnel':
          this.#upstream?.out.bytes(buffer, at, end);
          at = end;
          break;
        case 'drain':
        case 'closed':
          return;
        default:
          this.#input.keep(buffer, at, end);
          at = end;
      }
    }
    if (this.#upstream !== undefined && !this.#upstream.out.flush()) this.#input.pause();
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    let at = start;
    // Empty lines before a request are skipped (RFC 9112 section 2.2).
    if (this.#heads.length === 0) while (at + 1 < end && buffer[at] === 0x0d && buffer[at + 1] === 0x0a) at += 2;
    if (at === end) return end;
    let text = this.#heads.take(buffer, at, end);
    if (text === '') {
      this.#awaitHead();
      return end;
    }
    const next = this.#heads.next;
    if (text.startsWith('\r\n')) text = text.replace(/^(?:\r\n)+/, '');
    if (text === '') return next;
    this.#exchange.startMs = this.#host.context.clock.nowMs();
    const request = parseRequestHead(text);
    if (request.kind === 'reply') this.#refuse(request);
    else this.#evaluate(request);
    return next;
  }

  /** The head is unfinished: refuse it now if nothing can mend it, else wait until its deadline. */
  #awaitHead(): void {
    if (this.#heads.overflow) this.#refuse(HEAD_TOO_LARGE);
    else if (isHopeless(this.#heads.fresh(), this.#exchange.startMs === 0)) this.#refuse(CODEC_ERROR);
    else if (this.#exchange.startMs === 0) {
      this.#exchange.startMs = this.#host.context.clock.nowMs();
      this.#deadline(this.#host.context.limits.headTimeoutMs);
    }
  }

  #evaluate(request: RequestHead): void {
    this.#exchange.begin(request, this.#host.context.newRequestId);
    this.#closing ||= request.close;
    const { context } = this.#host;
    const policy = context.policyInForce();
    if (policy === undefined) {
      this.#replyLocally(NOT_READY);
      return;
    }
    this.#exchange.digest = policy.digest;
    const verdict = policy.filterChain.evaluate(this.#exchange.raw(), Math.floor(context.clock.wallMs() / 1000));
    this.#exchange.judgedMs = context.clock.nowMs();
    this.#obey(verdict);
  }

  #obey(verdict: Verdict): void {
    this.#exchange.verdict = verdict.log;
    switch (verdict.kind) {
      case 'forward':
        if (verdict.downstreamHeaders !== undefined) this.#exchange.downstream = verdict.downstreamHeaders;
        this.#forward(verdict.head);
        return;
      case 'reply':
        this.#exchange.details = verdict.log.details;
        this.#reply(verdict, verdict.close || this.#exchange.request.body !== 0);
        return;
      case 'check':
        this.#ask(verdict);
    }
  }

  /** Has an external authorizer asked; beyond the part of the body that it wants, nothing is read from the client meanwhile. */
  #ask(verdict: Extract<Verdict, { readonly kind: 'check' }>): void {
    this.#phase = 'preview';
    this.#check ??= new PendingCheck(this.#host.context.authorizer, this.#input, (next) => this.#onChecked(next));
    const state = this.#check.begin(verdict, this.#exchange.request.body);
    if (state === 'more') this.#continue();
    this.#onCheckState(state);
  }

  #onCheckState(state: CheckState | undefined): void {
    if (state === 'bad') this.#refuse(CODEC_ERROR);
    else if (state === 'more') this.#deadline(this.#host.context.limits.bodyTimeoutMs);
    else {
      this.#phase = 'check';
      this.deadlineMs = 0;
    }
  }

  #onChecked(verdict: Verdict): void {
    this.#obey(verdict);
    if (verdict.kind !== 'check') this.#takeRest();
  }

  #forward(head: ForwardHead): void {
    const { request } = this.#exchange;
    const text = writeRequestHead(head, request);
    this.#upgrade = head.upgrade;
    this.#exchange.repeatable = request.body === 0 && head.upgrade === '' && MAY_BE_SENT_AGAIN.has(request.method) ? text : '';
    this.deadlineMs = 0;
    if (head.upgrade !== '') this.#phase = 'upgrade';
    else if (request.body === 0) this.#phase = 'wait';
    else this.#startBody(request);
    this.#send(text, false);
  }

  #startBody(request: RequestHead): void {
    this.#phase = 'body';
    this.#body.start(request.body);
    this.#deadline(this.#host.context.limits.bodyTimeoutMs);
    this.#continue();
  }

  /** Tells a client that waits for it to send the body. */
  #continue(): void {
    if (!this.#exchange.takeContinue()) return;
    this.#out.text('HTTP/1.1 100 Continue\r\n\r\n');
    this.#out.flush();
  }

  #send(text: string, fresh: boolean): UpstreamConnection {
    const upstream = this.#host.pool.acquire(this, this.#exchange.request.method, fresh);
    this.#upstream = upstream;
    upstream.out.text(text);
    return upstream;
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end, this.#upstream?.out);
    if (state === 'bad') {
      this.#dropUpstream();
      if (this.#exchange.responseBegun) this.destroy();
      else this.#refuse(CODEC_ERROR);
      return end;
    }
    if (state === 'done') {
      this.#phase = 'wait';
      this.deadlineMs = 0;
    } else this.#deadline(this.#host.context.limits.bodyTimeoutMs);
    return this.#body.next;
  }

  #beginResponse(head: ResponseHead): void {
    this.#exchange.answer(head.status);
    // Whatever followed a refused upgrade cannot be told from the next request.
    if (this.#phase === 'upgrade') {
      this.#phase = 'wait';
      this.#closing = true;
    }
    this.#response.begin(changeFields(head, this.#exchange.downstream), this.#host.context.date.text(), this.#closing);
  }

  #switchProtocols(head: ResponseHead): void {
    const upstream = this.#upstream;
    if (this.#phase !== 'upgrade' || upstream === undefined) {
      upstream?.destroy();
      this.onUpstreamFailure('protocol');
      return;
    }
    this.#phase = 'tunnel';
    this.#exchange.answer(101);
    this.#out.text(writeSwitchHead(changeFields(head, this.#exchange.downstream), this.#upgrade));
    this.#out.flush();
    this.#takeRest();
  }

  /** Refuses what is not a request; the connection closes. */
  #refuse(reply: LocalReply): void {
    this.#exchange.details = reply.details;
    this.#reply(reply, true);
  }

  #replyLocally(reply: LocalReply): void {
    this.#exchange.details = reply.details;
    this.#reply(reply, this.#exchange.request.body !== 0);
  }

  #reply(reply: LocalReply, close: boolean): void {
    this.#dropUpstream();
    this.#exchange.status = reply.status;
    this.#closing ||= close;
    this.#phase = 'wait';
    const changed = changeReply(reply, this.#exchange.downstream);
    this.#out.text(writeReply(changed, { head: this.#exchange.isHead, close: this.#closing }, this.#host.context.date.text()));
    this.#out.flush();
    this.#record();
    this.#nextRequest();
  }

  #nextRequest(): void {
    this.#exchange.reset();
    if (this.#closing) {
      this.#end();
      return;
    }
    this.#phase = 'head';
    this.#deadline(this.#host.context.limits.idleTimeoutMs);
    if (this.#input.holds) this.#takeRest();
  }

  #end(): void {
    this.#phase = 'drain';
    this.#socket.end();
    this.#input.release();
    this.#deadline(LINGER_MS);
  }

  /** Goes on with what came meanwhile. */
  #takeRest(): void {
    const rest = this.#input.release();
    if (rest !== undefined) this.#consume(rest, 0, rest.length);
    else this.#upstream?.out.flush();
  }

  #dropUpstream(): void {
    this.#upstream?.destroy();
    this.#upstream = undefined;
  }

  #record(): void {
    this.#host.context.observer.onExchange(this.#exchange);
  }

  #deadline(ms: number): void {
    this.deadlineMs = this.#host.context.clock.nowMs() + ms;
  }
}
