/*
 * Server side of HTTP/1.1: one client connection. Finds request heads, keeps the deadlines, and closes the connection.
 */
import type { Socket } from 'node:net';
import type { ConnectionFacts } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ClientOutput } from '../net/client-output.ts';
import { LINGER_MS, LingeringClose } from '../net/lingering-close.ts';
import { MessageWriter } from '../net/message-writer.ts';
import { PausedInput } from '../net/paused-input.ts';
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';
import { REQUEST_TIMEOUT } from './codec-replies.ts';
import { parseRequestHead } from './request-head.ts';
import { RequestHeadReader } from './request-head-reader.ts';
import type { CloseReason, ServerHost, StreamConnection } from './server-host.ts';
import { Http1ServerStream } from './server-stream.ts';

/** What a connection needs of its listener. */
export interface ConnectionHost extends ServerHost {
  /** Called once, when the socket is closed. */
  onConnectionClosed(connection: Http1ServerConnection, reason: CloseReason): void;
}

/**
 * head: waiting for a request; request: one is being served; discard: its response is sent, the rest of its body is not wanted;
 * drain: this side is closed, input is discarded.
 */
type Phase = 'head' | 'request' | 'discard' | 'drain' | 'closed';

const DISCARD_IDLE_MS = LIMITS.discardIdleTime.value;

/** A client connection; the listener sweeps its deadlines. */
export class Http1ServerConnection implements SocketEvents, StreamConnection {
  readonly facts: ConnectionFacts;
  readonly input: PausedInput;
  readonly out: MessageWriter;
  /** Monotonic milliseconds after which `expire` is due; 0: none. */
  #deadlineMs = 0;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #output: ClientOutput;
  readonly #stream: Http1ServerStream;
  readonly #heads = new RequestHeadReader();
  readonly #lingering = new LingeringClose();
  #phase: Phase = 'head';
  #reason: CloseReason | undefined;

  constructor(accepted: AcceptedSocket, facts: ConnectionFacts, host: ConnectionHost) {
    this.facts = facts;
    this.#host = host;
    this.#socket = accepted.attach(this);
    this.input = new PausedInput(this.#socket);
    this.out = new MessageWriter(this.#socket);
    this.#output = new ClientOutput(this.#socket, () => this.onDrain());
    this.#stream = new Http1ServerStream(this, host);
    this.setDeadline(host.timeouts.idleTimeoutMs);
  }

  /**
   * From now on every response says that the connection closes. It is left to the client to close it, for a moment: a request that
   * the client has sent before it read the response would be lost otherwise.
   */
  finish(): void {
    this.#stream.isDraining = true;
  }

  /** Something else takes the socket over; nothing was delivered yet. @returns true: it can */
  release(): boolean {
    this.#phase = 'closed';
    this.#heads.close();
    this.input.close();
    this.#output.release();
    return true;
  }

  /** Ends what can be ended in good order: closes an idle connection, says goodbye on a switched protocol. */
  shutDown(): void {
    this.#reason ??= 'shutdown';
    if (this.#phase === 'head') this.#drain();
    else if (this.#phase === 'request') this.#stream.shutDown();
  }

  /** Drops the connection. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Ends what has passed its deadline. */
  sweep(nowMs: number): void {
    if (this.#output.isUnread(nowMs, this.#host.timeouts.unreadTimeoutMs)) this.destroy('unread');
    else if (this.#deadlineMs !== 0 && this.#deadlineMs <= nowMs) this.#expire();
  }

  get isPassing(): boolean {
    return this.#phase === 'request' && this.#stream.isPassing;
  }

  onBytes(buffer: Buffer, length: number): void {
    this.#consume(buffer, 0, length);
  }

  onEnd(): void {
    if (this.#phase === 'request') this.#stream.inputEnded();
    else this.#drain();
  }

  onDrain(): void {
    if (!this.#output.update() || this.#phase === 'closed') return;
    if (this.#phase === 'request') this.#stream.drained();
    else if (this.#phase === 'head' && this.input.isHolding) this.takeRest();
  }

  onClose(): void {
    const phase = this.#phase;
    this.#phase = 'closed';
    this.#heads.close();
    this.input.close();
    this.#output.release();
    if (phase === 'request') this.#stream.gone();
    this.#host.onConnectionClosed(this, this.#reason ?? 'client');
  }

  setDeadline(ms: number): void {
    this.#deadlineMs = ms === 0 ? 0 : this.#host.clock.nowMs() + ms;
  }

  flush(): boolean {
    this.out.flush();
    return this.#output.update();
  }

  takeRest(): void {
    const rest = this.input.release();
    if (rest !== undefined) this.#consume(rest, 0, rest.length);
  }

  onRequestOver(): void {
    if (this.#stream.isClosing) {
      this.#reason ??= 'response';
      if (this.#stream.hasRest) this.#discardRest();
      else this.#drain();
      return;
    }
    this.#phase = 'head';
    this.setDeadline(this.#stream.isDraining ? LINGER_MS : this.#host.timeouts.idleTimeoutMs);
    if (this.input.isHolding) this.takeRest();
  }

  endOutput(): void {
    this.#socket.end();
  }

  closeSoon(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#socket.end();
    this.setDeadline(LINGER_MS);
  }

  #expire(): void {
    const phase = this.#phase;
    if (phase === 'head' && this.#heads.hasBegun) this.#fault(REQUEST_TIMEOUT, 'timeout');
    else if (phase === 'head' && this.#stream.isDraining) this.shutDown();
    else if (phase === 'head') this.destroy('idle');
    // What the client has not read keeps the connection open; how long, `unreadTimeoutMs` decides.
    else if (this.#socket.writableLength > 0) this.setDeadline(LINGER_MS);
    else if (phase === 'request') this.#stream.expired();
    else if (phase === 'discard') this.#drain();
    else this.destroy('response');
  }

  #consume(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#phase === 'request') at = this.#stream.read(buffer, at, end);
      else if (this.#phase !== 'head') at = this.#discard(buffer, at, end);
      else if (this.#output.isFull) {
        // The client does not read its responses: its next request waits.
        if (!this.input.keep(buffer, at, end)) this.destroy('overload');
        at = end;
      } else at = this.#readHead(buffer, at, end);
    }
    this.#stream.readDone();
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    const heads = this.#heads;
    const stream = this.#stream;
    const state = heads.read(buffer, start, end, stream.startMs === 0);
    const { next } = heads;
    if (state === 'head') {
      stream.startMs = this.#host.clock.nowMs();
      this.#parseHead(heads.takeHead());
    } else if (state === 'fault') this.#fault(heads.fault, 'refused');
    else if (state === 'more' && stream.startMs === 0) {
      stream.startMs = this.#host.clock.nowMs();
      this.setDeadline(this.#host.timeouts.headTimeoutMs);
    }
    return next;
  }

  #parseHead(head: string): void {
    const request = parseRequestHead(head, this.#host.acceptHttp10);
    if (request.kind === 'reply') {
      this.#fault(request, 'refused');
      return;
    }
    this.#phase = 'request';
    this.#deadlineMs = 0;
    this.#stream.begin(request);
  }

  #fault(reply: Parameters<Http1ServerStream['fault']>[0], reason: CloseReason): void {
    this.#reason ??= reason;
    this.#stream.fault(reply);
  }

  /** @returns index behind the last byte that was taken */
  #discard(buffer: Buffer, start: number, end: number): number {
    const isBody = this.#phase === 'discard';
    const next = isBody ? this.#stream.discard(buffer, start, end) : end;
    if (!this.#lingering.discard(next - start, this.#host.clock.nowMs())) {
      this.#reason = 'discarded';
      this.#socket.destroy();
    } else if (isBody && !this.#stream.hasRest) this.#drain();
    else this.setDeadline(isBody ? DISCARD_IDLE_MS : LINGER_MS);
    return next;
  }

  #discardRest(): void {
    this.#phase = 'discard';
    this.setDeadline(DISCARD_IDLE_MS);
    this.takeRest();
  }

  #drain(): void {
    this.#phase = 'drain';
    this.input.release();
    this.closeSoon('client');
  }
}
