/*
 * One client connection: reads requests, has each judged, then forwards it or replies, one exchange at a time. In: bytes
 * of the client and, through the upstream connection, of the application. Out: bytes to both; a record per exchange.
 * Made by the listener.
 */
import type { Socket } from 'node:net';
import type { ForwardHead, RawRequest, Verdict, VerdictLog } from '../../judge/verdict.ts';
import type { ConnectionFacts } from '../../policy/request/facts.ts';
import { ChunkReader } from '../http1/chunk-reader.ts';
import { CHUNKED, UNTIL_CLOSE } from '../http1/framing.ts';
import { HeadBuffer } from '../http1/head-buffer.ts';
import {
  CODEC_ERROR,
  HEAD_TOO_LARGE,
  type HeadFault,
  isHopeless,
  MAX_HEAD_BYTES,
  parseRequestHead,
  type RequestHead,
} from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import {
  areSoundValues,
  type LocalReply,
  writeInterimHead,
  writeReply,
  writeRequestHead,
  writeResponseHead,
  writeSwitchHead,
} from '../http1/write-head.ts';
import type { ExchangeRecord, ProxyContext } from './context.ts';
import { failureReply, MAY_BE_SENT_AGAIN, NOT_READY, REQUEST_TIMEOUT, UNSOUND_VALUE } from './local-replies.ts';
import { MessageWriter } from './message-writer.ts';
import { adoptSocket, type SocketEvents } from './socket-events.ts';
import type { ResponseReceiver, UpstreamConnection, UpstreamFailure } from './upstream-connection.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/**
 * head: waiting for a request; check: external authorizers are asked; body: request body passes; wait: request is whole,
 * response is not; upgrade: waiting for 101; tunnel: bytes both ways; drain: replied and closing, input is discarded.
 */
type Phase = 'head' | 'check' | 'body' | 'wait' | 'upgrade' | 'tunnel' | 'drain' | 'closed';

/** What a connection needs of its listener. */
export interface ConnectionHost {
  readonly context: ProxyContext;
  readonly pool: UpstreamPool;
  onClientGone(connection: ClientConnection): void;
}

/** How long a closing connection may still send before it is cut, so that the reply is not lost in a reset. */
const LINGER_MS = 1000;
const NO_REQUEST: RequestHead = Object.freeze({
  kind: 'request',
  method: '',
  target: '',
  headers: [],
  body: 0,
  lengthGiven: false,
  close: false,
  expectContinue: false,
  requestId: '',
});

export class ClientConnection implements SocketEvents, ResponseReceiver, ExchangeRecord {
  /** Monotonic milliseconds; 0: none. */
  deadlineMs = 0;
  // The exchange as it is logged.
  status = 0;
  startMs = 0;
  requestId = '';
  details = '';
  digest = '';
  verdict: VerdictLog | undefined;

  readonly #host: ConnectionHost;
  readonly #facts: ConnectionFacts;
  readonly #socket: Socket;
  readonly #out: MessageWriter;
  readonly #heads = new HeadBuffer(MAX_HEAD_BYTES);
  readonly #chunks = new ChunkReader();
  #phase: Phase = 'head';
  #request: RequestHead = NO_REQUEST;
  #remaining = 0;
  /** Close after the exchange at hand. */
  #closing = false;
  #upstream: UpstreamConnection | undefined;
  /** Request text to be sent again on a fresh connection when a reused one turns out dead; `''`: may not be repeated. */
  #repeatable = '';
  #responseBegun = false;
  #wrapsInChunks = false;
  #closesChunks = false;
  #upgrade = '';
  /** Bytes behind the request at hand. */
  #rest: Buffer | undefined;
  #check: AbortController | undefined;
  #paused = false;
  /** Bytes of the last reply that the client had not taken when its linger time ended; -1: that has not been so yet. */
  #untaken = -1;
  #untakenSinceMs = 0;

  constructor(accepted: Socket, facts: ConnectionFacts, host: ConnectionHost) {
    this.#host = host;
    this.#facts = facts;
    this.#socket = adoptSocket(accepted, this);
    this.#out = new MessageWriter(this.#socket);
    this.#deadline(host.context.limits.idleTimeoutMs);
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return this.verdict?.path ?? this.#request.target;
  }

  get sourceIp(): string {
    return this.#facts.sourceIp;
  }

  get destinationPort(): number {
    return this.#facts.destinationPort;
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
    if (this.#phase === 'head' && this.#heads.length > 0) this.#refuse(REQUEST_TIMEOUT);
    else if (this.#phase === 'body' && !this.#responseBegun) {
      this.#dropUpstream();
      this.#refuse(REQUEST_TIMEOUT);
    } else if (this.#phase === 'drain' && this.#clientStillReads()) this.#deadline(LINGER_MS);
    else this.destroy();
  }

  /** A closing connection is given time as long as its client takes some of what is left. */
  #clientStillReads(): boolean {
    const untaken = this.#socket.writableLength;
    if (untaken === 0) return false;
    const nowMs = this.#host.context.clock.monotonicMs();
    if (untaken !== this.#untaken) {
      this.#untaken = untaken;
      this.#untakenSinceMs = nowMs;
    }
    return nowMs - this.#untakenSinceMs < this.#host.context.limits.bodyTimeoutMs;
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
      if (this.details === '' && this.status !== 101) this.details = 'downstream_remote_disconnect';
      this.#record();
    }
    this.#host.onClientGone(this);
  }

  onResponseHead(head: ResponseHead): void {
    if (head.status === 101) this.#switchProtocols(head);
    else if (head.status < 200) {
      // The client has had its 100 already, if it asked for one.
      if (head.status !== 100) this.#out.text(writeInterimHead(head));
    } else this.#beginResponse(head);
  }

  onResponseBytes(buffer: Buffer, start: number, end: number): void {
    if (!this.#wrapsInChunks) {
      this.#out.bytes(buffer, start, end);
      return;
    }
    if (end === start) return;
    this.#out.text(`${(end - start).toString(16)}\r\n`);
    this.#out.bytes(buffer, start, end);
    this.#out.text('\r\n');
  }

  onResponseEnd(): void {
    if (this.#wrapsInChunks) this.#out.text('0\r\n\r\n');
    else if (this.#closesChunks) this.#out.text('\r\n');
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
    this.#resume();
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (this.#phase === 'tunnel') {
      this.#socket.end();
      this.#deadline(LINGER_MS);
      return;
    }
    if (this.#responseBegun) {
      // Half a response cannot be mended: a cut connection tells the client so.
      this.details = 'upstream_reset_after_response_started';
      this.destroy();
      return;
    }
    if (upstream?.reused === true && this.#repeatable !== '' && failure === 'termination') {
      this.#send(this.#repeatable, true).out.flush();
      return;
    }
    const reply = failureReply(failure);
    this.details = reply.details;
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
        case 'tunnel':
          this.#upstream?.out.bytes(buffer, at, end);
          at = end;
          break;
        case 'drain':
        case 'closed':
          return;
        default:
          this.#keep(buffer, at, end);
          at = end;
      }
    }
    if (this.#upstream !== undefined && !this.#upstream.out.flush()) this.#pause();
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
    this.startMs = this.#host.context.clock.monotonicMs();
    const request = parseRequestHead(text);
    if (request.kind === 'fault') this.#refuse(request);
    else this.#judge(request);
    return next;
  }

  /** The head is unfinished: refuse it now if nothing can mend it, else wait until its deadline. */
  #awaitHead(): void {
    if (this.#heads.overflow) this.#refuse(HEAD_TOO_LARGE);
    else if (isHopeless(this.#heads.beginning())) this.#refuse(CODEC_ERROR);
    else if (this.startMs === 0) {
      this.startMs = this.#host.context.clock.monotonicMs();
      this.#deadline(this.#host.context.limits.headTimeoutMs);
    }
  }

  #judge(request: RequestHead): void {
    this.#request = request;
    this.#closing ||= request.close;
    this.requestId = request.requestId;
    const { context } = this.#host;
    const policy = context.policyInForce();
    if (policy === undefined) {
      this.details = NOT_READY.details;
      this.#reply(NOT_READY, request.body !== 0);
      return;
    }
    this.digest = policy.digest;
    const raw: RawRequest = {
      version: '1.1',
      method: request.method,
      target: request.target,
      headers: request.headers,
      hasBody: request.body !== 0,
      connection: this.#facts,
    };
    this.#obey(policy.judge.judge(raw, Math.floor(context.clock.nowMs() / 1000)), policy.checksValues);
  }

  #obey(verdict: Verdict, checksValues: boolean): void {
    this.verdict = verdict.log;
    switch (verdict.kind) {
      case 'forward':
        if (checksValues && !areSoundValues(verdict.head.headers)) {
          this.details = UNSOUND_VALUE.details;
          this.#reply(UNSOUND_VALUE, this.#request.body !== 0);
        } else this.#forward(verdict.head);
        return;
      case 'reply':
        this.details = verdict.log.details;
        this.#reply(verdict, verdict.close || this.#request.body !== 0);
        return;
      case 'check':
        this.#ask(verdict, checksValues);
    }
  }

  /** Has external authorizers asked while nothing more is read from the client. */
  #ask(verdict: Extract<Verdict, { readonly kind: 'check' }>, checksValues: boolean): void {
    const { authorizer } = this.#host.context;
    if (authorizer === undefined) {
      this.#obey(verdict.resume({ kind: 'error', status: 403 }), checksValues);
      return;
    }
    this.#phase = 'check';
    this.deadlineMs = 0;
    const check = new AbortController();
    this.#check = check;
    void authorizer(verdict, check.signal)
      .catch(() => ({ kind: 'error', status: 403 }) as const)
      .then((answer) => {
        this.#check = undefined;
        if (this.#phase !== 'check') return;
        this.#obey(verdict.resume(answer), checksValues);
        this.#takeRest();
      });
  }

  #forward(head: ForwardHead): void {
    const request = this.#request;
    if (this.requestId === '') this.requestId = this.#host.context.newRequestId();
    const text = writeRequestHead(head, request, this.requestId);
    this.#upgrade = head.upgrade;
    this.#repeatable = request.body === 0 && head.upgrade === '' && MAY_BE_SENT_AGAIN.has(request.method) ? text : '';
    this.deadlineMs = 0;
    if (head.upgrade !== '') this.#phase = 'upgrade';
    else if (request.body === 0) this.#phase = 'wait';
    else this.#startBody(request);
    this.#send(text, false);
  }

  #startBody(request: RequestHead): void {
    this.#phase = 'body';
    this.#remaining = request.body;
    if (request.body === CHUNKED) this.#chunks.reset();
    this.#deadline(this.#host.context.limits.bodyTimeoutMs);
    if (request.expectContinue) {
      this.#out.text('HTTP/1.1 100 Continue\r\n\r\n');
      this.#out.flush();
    }
  }

  #send(text: string, fresh: boolean): UpstreamConnection {
    const upstream = this.#host.pool.acquire(this, this.#request.method, fresh);
    this.#upstream = upstream;
    upstream.out.text(text);
    return upstream;
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    this.#deadline(this.#host.context.limits.bodyTimeoutMs);
    if (this.#request.body === CHUNKED) return this.#readChunks(buffer, start, end);
    const stop = Math.min(end, start + this.#remaining);
    this.#remaining -= stop - start;
    this.#upstream?.out.bytes(buffer, start, stop);
    if (this.#remaining === 0) this.#requestDone();
    return stop;
  }

  #readChunks(buffer: Buffer, start: number, end: number): number {
    const state = this.#chunks.read(buffer, start, end);
    const next = this.#chunks.consumedEnd;
    if (state === 'bad') {
      this.#dropUpstream();
      if (this.#responseBegun) this.destroy();
      else this.#refuse(CODEC_ERROR);
      return end;
    }
    this.#upstream?.out.bytes(buffer, start, this.#chunks.forwardEnd);
    if (state === 'done') {
      this.#upstream?.out.text('\r\n');
      this.#requestDone();
    }
    return next;
  }

  #requestDone(): void {
    this.#phase = 'wait';
    this.deadlineMs = 0;
  }

  #beginResponse(head: ResponseHead): void {
    this.#responseBegun = true;
    this.#repeatable = '';
    this.status = head.status;
    // Whatever followed a refused upgrade cannot be told from the next request.
    if (this.#phase === 'upgrade') {
      this.#phase = 'wait';
      this.#closing = true;
      this.#rest = undefined;
    }
    this.#wrapsInChunks = head.body === UNTIL_CLOSE;
    this.#closesChunks = head.body === CHUNKED;
    this.#out.text(writeResponseHead(head, this.#host.context.date.text(), this.#closing));
  }

  #switchProtocols(head: ResponseHead): void {
    const upstream = this.#upstream;
    if (this.#phase !== 'upgrade' || upstream === undefined) {
      upstream?.destroy();
      this.onUpstreamFailure('protocol');
      return;
    }
    this.#phase = 'tunnel';
    this.#responseBegun = true;
    this.status = 101;
    this.#out.text(writeSwitchHead(head, this.#upgrade));
    this.#out.flush();
    this.#takeRest();
  }

  /** Refuses what is not a request; the connection closes. */
  #refuse(fault: HeadFault): void {
    this.details = fault.details;
    const headers = fault.body === '' ? [] : ['content-type', 'text/plain'];
    this.#reply({ status: fault.status, body: fault.body, headers }, true);
  }

  #reply(reply: LocalReply, close: boolean): void {
    this.#dropUpstream();
    this.status = reply.status;
    this.#closing ||= close;
    this.#phase = 'wait';
    this.#out.text(writeReply(reply, { head: this.#request.method === 'HEAD', close: this.#closing }, this.#host.context.date.text()));
    this.#out.flush();
    this.#record();
    this.#nextRequest();
  }

  #nextRequest(): void {
    this.#request = NO_REQUEST;
    this.#responseBegun = false;
    this.#repeatable = '';
    this.startMs = 0;
    this.status = 0;
    this.details = '';
    this.verdict = undefined;
    if (this.#closing) {
      this.#end();
      return;
    }
    this.#phase = 'head';
    this.#deadline(this.#host.context.limits.idleTimeoutMs);
    if (this.#rest !== undefined || this.#paused) this.#takeRest();
  }

  #end(): void {
    this.#phase = 'drain';
    this.#rest = undefined;
    this.#socket.end();
    this.#resume();
    this.#deadline(LINGER_MS);
  }

  /** Keeps what came behind the request at hand and reads no further until that is answered. */
  #keep(buffer: Buffer, start: number, end: number): void {
    const fresh = Buffer.from(buffer.subarray(start, end));
    this.#rest = this.#rest === undefined ? fresh : Buffer.concat([this.#rest, fresh]);
    this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #takeRest(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    this.#resume();
    if (rest !== undefined) this.#consume(rest, 0, rest.length);
    else this.#upstream?.out.flush();
  }

  #dropUpstream(): void {
    this.#upstream?.destroy();
    this.#upstream = undefined;
  }

  #record(): void {
    this.#host.context.observer.onExchange(this);
  }

  #deadline(ms: number): void {
    this.deadlineMs = this.#host.context.clock.monotonicMs() + ms;
  }
}
