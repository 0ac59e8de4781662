/*
 * Server side of HTTP/1.1: one client connection. Finds request heads, keeps the deadlines, and closes the connection.
 */
import type { Socket } from 'node:net';
import type { ConnectionFacts } from '../../http/stream.ts';
import { LINGER_MS, LingeringClose } from '../net/lingering-close.ts';
import { MessageWriter } from '../net/message-writer.ts';
import { PausedInput } from '../net/paused-input.ts';
import { adoptSocket, type SocketEvents } from '../net/socket-events.ts';
import { REQUEST_TIMEOUT } from './codec-replies.ts';
import { parseRequestHead } from './request-head.ts';
import { RequestHeadReader } from './request-head-reader.ts';
import type { ServerHost } from './server-host.ts';
import { Http1ServerStream, type StreamConnection } from './server-stream.ts';

/** What a connection needs of its listener. */
export interface ConnectionHost extends ServerHost {
  /** Called once, when the socket is closed. */
  onConnectionClosed(connection: Http1ServerConnection): void;
}

/** head: waiting for a request; request: one is being served; drain: closing, input is discarded. */
type Phase = 'head' | 'request' | 'drain' | 'closed';

/** A client connection; the listener sweeps its deadline. */
export class Http1ServerConnection implements SocketEvents, StreamConnection {
  readonly facts: ConnectionFacts;
  readonly input: PausedInput;
  readonly out: MessageWriter;
  /** Monotonic milliseconds after which the listener calls `expire`; 0: none. */
  deadlineMs = 0;
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #stream: Http1ServerStream;
  readonly #heads = new RequestHeadReader();
  readonly #lingering = new LingeringClose();
  #phase: Phase = 'head';

  constructor(accepted: Socket, facts: ConnectionFacts, host: ConnectionHost) {
    this.facts = facts;
    this.#host = host;
    this.#socket = adoptSocket(accepted, this);
    this.input = new PausedInput(this.#socket);
    this.out = new MessageWriter(this.#socket);
    this.#stream = new Http1ServerStream(this, host);
    this.setDeadline(host.timeouts.idleTimeoutMs);
  }

  /** Serves the request at hand, then closes; closes immediately without a request. */
  finish(): void {
    this.#stream.isClosing = true;
    if (this.#phase === 'head' && !this.#heads.hasBegun) this.#drain();
  }

  /** Drops the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Its deadline has passed. */
  expire(): void {
    if (this.#phase === 'head' && this.#heads.hasBegun) this.#stream.fault(REQUEST_TIMEOUT);
    else if (this.#phase === 'request') this.#stream.expired();
    else if (this.#phase === 'drain' && !this.#isLingeringOver()) this.setDeadline(LINGER_MS);
    else this.destroy();
  }

  onBytes(buffer: Buffer, length: number): void {
    this.#consume(buffer, 0, length);
  }

  onEnd(): void {
    if (this.#phase === 'request') this.#stream.inputEnded();
    else if (this.#phase === 'head') this.closeSoon();
  }

  onDrain(): void {
    this.#stream.drained();
  }

  onClose(): void {
    const phase = this.#phase;
    this.#phase = 'closed';
    if (phase === 'request') this.#stream.gone();
    this.#host.onConnectionClosed(this);
  }

  setDeadline(ms: number): void {
    this.deadlineMs = ms === 0 ? 0 : this.#host.clock.nowMs() + ms;
  }

  takeRest(): void {
    const rest = this.input.release();
    if (rest !== undefined) this.#consume(rest, 0, rest.length);
  }

  onRequestOver(): void {
    if (this.#stream.isClosing) {
      this.#drain();
      return;
    }
    this.#phase = 'head';
    this.setDeadline(this.#host.timeouts.idleTimeoutMs);
    if (this.input.isHolding) this.takeRest();
  }

  endOutput(): void {
    this.#socket.end();
  }

  closeSoon(): void {
    this.#socket.end();
    this.setDeadline(LINGER_MS);
  }

  #consume(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#phase === 'request') at = this.#stream.read(buffer, at, end);
      else if (this.#phase === 'head') at = this.#readHead(buffer, at, end);
      else return;
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
    } else if (state === 'fault') stream.fault(heads.fault);
    else if (state === 'more' && stream.startMs === 0) {
      stream.startMs = this.#host.clock.nowMs();
      this.setDeadline(this.#host.timeouts.headTimeoutMs);
    }
    return next;
  }

  #parseHead(head: string): void {
    const request = parseRequestHead(head);
    if (request.kind === 'reply') {
      this.#stream.fault(request);
      return;
    }
    this.#phase = 'request';
    this.deadlineMs = 0;
    this.#stream.begin(request);
  }

  #drain(): void {
    this.#phase = 'drain';
    this.input.release();
    this.closeSoon();
  }

  #isLingeringOver(): boolean {
    return this.#lingering.isDue(this.#socket.writableLength, this.#host.clock.nowMs(), this.#host.timeouts.bodyTimeoutMs);
  }
}
