/*
 * One connection to the application. In: request text from the client's side, response bytes from the socket. Out: the
 * parsed response, in order, to the exchange that holds it. Made and kept by the pool; serves one exchange at a time.
 */
import type { Socket } from 'node:net';
import { MessageWriter } from '../net/message-writer.ts';
import { connectSocket, type SocketEvents } from '../net/socket-events.ts';
import { ChunkReader } from './chunk-reader.ts';
import { type BodyFraming, CHUNKED, UNTIL_CLOSE } from './framing.ts';
import { HeadBuffer } from './head-buffer.ts';
import { parseResponseHead, type ResponseHead } from './response-head.ts';

/** Why an upstream gave no whole response. */
export type UpstreamFailure = 'connect' | 'timeout' | 'termination' | 'protocol';

/** The client's side of an exchange. */
export interface ResponseReceiver {
  onResponseHead(head: ResponseHead): void;
  /** Body bytes as they came (chunks with their framing); valid during the call. */
  onResponseBytes(buffer: Buffer, start: number, end: number): void;
  /** The response is whole; the connection may be reused unless it says `close`. */
  onResponseEnd(): void;
  /** All that this read brought has been handed over. */
  onResponseFlush(): void;
  /** Bytes of a switched protocol. */
  onTunnelBytes(buffer: Buffer, start: number, end: number): void;
  onTunnelEnd(): void;
  onUpstreamDrain(): void;
  /** No (further) response will come; the connection is unusable. */
  onUpstreamFailure(failure: UpstreamFailure): void;
}

/** What a connection tells its pool. */
export interface UpstreamOwner {
  onUpstreamGone(connection: UpstreamConnection): void;
}

/** Longest response head, in bytes. */
const MAX_RESPONSE_HEAD_BYTES = 256 * 1024;

type Phase = 'idle' | 'head' | 'body' | 'tunnel' | 'closed';

export class UpstreamConnection implements SocketEvents {
  readonly out: MessageWriter;
  /** Monotonic milliseconds after which the pool destroys it; 0: none. */
  deadlineMs = 0;
  /** It has answered at least once before: the application may be closing it just now. */
  reused = false;
  /** How long the application keeps it when idle; -1: unknown. */
  keepAliveMs = -1;
  readonly #socket: Socket;
  readonly #owner: UpstreamOwner;
  readonly #heads = new HeadBuffer(MAX_RESPONSE_HEAD_BYTES);
  readonly #chunks = new ChunkReader();
  #receiver: ResponseReceiver | undefined;
  #phase: Phase = 'idle';
  #method = '';
  #framing: BodyFraming = 0;
  #remaining = 0;
  #close = false;
  #connected = false;

  constructor(address: { readonly host: string; readonly port: number }, owner: UpstreamOwner) {
    this.#owner = owner;
    this.#socket = connectSocket(address, this);
    this.#socket.once('connect', () => {
      this.#connected = true;
      this.deadlineMs = 0;
    });
    this.out = new MessageWriter(this.#socket);
  }

  /** Starts an exchange; its request is then written to `out`. */
  begin(receiver: ResponseReceiver, method: string): void {
    this.#receiver = receiver;
    this.#method = method;
    this.#phase = 'head';
    this.#close = false;
    if (this.#connected) this.deadlineMs = 0;
  }

  /** Is it free for another exchange, now that its response is whole? */
  get reusable(): boolean {
    return this.#phase === 'idle' && !this.#close && this.#socket.writable;
  }

  /** Stops reading, because the client does not keep up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends no more (a tunnel's client is done). */
  end(): void {
    this.#socket.end();
  }

  /** Drops the connection without a word to its exchange. */
  destroy(): void {
    this.#receiver = undefined;
    this.#phase = 'closed';
    this.#socket.destroy();
  }

  /** Gives up waiting for the connection to be made. */
  expire(): void {
    this.#fail('timeout');
  }

  onBytes(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length && this.#receiver !== undefined) at = this.#consume(buffer, at, length);
    if (this.#phase === 'idle' && at < length) this.destroy();
    this.#receiver?.onResponseFlush();
  }

  onEnd(): void {
    if (this.#phase === 'body' && this.#framing === UNTIL_CLOSE) {
      this.#finish(true);
    } else if (this.#phase === 'tunnel') this.#receiver?.onTunnelEnd();
    else if (this.#receiver === undefined) this.destroy();
    else this.#fail('termination');
  }

  onDrain(): void {
    this.#receiver?.onUpstreamDrain();
  }

  onClose(): void {
    if (this.#phase !== 'closed') this.#fail(this.#connected ? 'termination' : 'connect');
    this.#owner.onUpstreamGone(this);
  }

  #consume(buffer: Buffer, start: number, end: number): number {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(buffer, start, end);
      case 'body':
        return this.#framing === CHUNKED ? this.#readChunks(buffer, start, end) : this.#readBody(buffer, start, end);
      case 'tunnel':
        this.#receiver?.onTunnelBytes(buffer, start, end);
        return end;
      case 'idle':
      case 'closed':
        // Bytes nobody asked for.
        this.#fail('protocol');
        return end;
    }
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    const text = this.#heads.take(buffer, start, end);
    if (text === '') {
      if (this.#heads.overflow) this.#fail('protocol');
      return end;
    }
    const next = this.#heads.next;
    const head = parseResponseHead(text, this.#method);
    if (head === undefined) {
      this.#fail('protocol');
      return end;
    }
    if (head.status === 101) this.#phase = 'tunnel';
    else if (head.status >= 200) this.#startBody(head);
    this.#receiver?.onResponseHead(head);
    if (head.status >= 200 && head.body === 0) this.#finish(next < end);
    return next;
  }

  #startBody(head: ResponseHead): void {
    this.#phase = 'body';
    this.#framing = head.body;
    this.#remaining = head.body;
    this.#close = head.close;
    this.keepAliveMs = head.keepAliveMs;
    if (head.body === CHUNKED) this.#chunks.reset();
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const stop = this.#framing === UNTIL_CLOSE ? end : Math.min(end, start + this.#remaining);
    if (this.#framing !== UNTIL_CLOSE) this.#remaining -= stop - start;
    this.#receiver?.onResponseBytes(buffer, start, stop);
    if (this.#framing !== UNTIL_CLOSE && this.#remaining === 0) this.#finish(stop < end);
    return stop;
  }

  #readChunks(buffer: Buffer, start: number, end: number): number {
    const state = this.#chunks.read(buffer, start, end);
    if (state === 'bad') {
      this.#fail('protocol');
      return end;
    }
    const next = this.#chunks.consumedEnd;
    if (this.#chunks.forwardEnd > start) this.#receiver?.onResponseBytes(buffer, start, this.#chunks.forwardEnd);
    if (state === 'done') this.#finish(next < end);
    return next;
  }

  /** @param spoilt bytes follow that nobody asked for, or the connection is at its end */
  #finish(spoilt: boolean): void {
    const receiver = this.#receiver;
    if (spoilt) this.#close = true;
    this.#receiver = undefined;
    if (this.#phase !== 'closed') this.#phase = 'idle';
    this.reused = true;
    receiver?.onResponseEnd();
  }

  #fail(failure: UpstreamFailure): void {
    const receiver = this.#receiver;
    this.destroy();
    receiver?.onUpstreamFailure(failure);
  }
}
