/*
 * Client side of HTTP/1.1: one connection to the application. Serves one exchange at a time; the pool keeps it in between.
 */

import type { Socket } from 'node:net';
import type { ForwardHead } from '../../http/heads.ts';
import {
  type ClientConnection,
  type ClientConnectionOwner,
  type ClientStreamHandler,
  RAW_CHUNKS,
  type StreamRequest,
  UNKNOWN_LENGTH,
  type UpstreamFailure,
} from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { MessageWriter } from '../net/message-writer.ts';
import { connectSocket, type SocketEvents } from '../net/socket-events.ts';
import { BodyReader } from './body-reader.ts';
import { HeadBuffer } from './head-buffer.ts';
import { type Http1Response, parseResponseHead } from './response-head.ts';
import { writeRequestHead } from './write-request.ts';

/** Longest response head, in bytes. */
const MAX_RESPONSE_HEAD_BYTES = LIMITS.responseHeadBytes.value;

/** idle: no exchange; head: waiting for a response; body: its body passes; tunnel: protocol switched. */
type Phase = 'idle' | 'head' | 'body' | 'tunnel' | 'closed';

/** A connection to the application; at the same time the client stream of its exchange. */
export class Http1ClientConnection implements ClientConnection, SocketEvents {
  deadlineMs = 0;
  reused = false;
  keepAliveMs = -1;
  readonly #socket: Socket;
  readonly #owner: ClientConnectionOwner<Http1ClientConnection>;
  readonly #out: MessageWriter;
  readonly #heads = new HeadBuffer(MAX_RESPONSE_HEAD_BYTES);
  readonly #body = new BodyReader();
  #handler: ClientStreamHandler | undefined;
  #phase: Phase = 'idle';
  #method = '';
  #upgrade = false;
  #requestBody = 0;
  /** The request has been sent to its end. */
  #sent = false;
  #close = false;
  #connected = false;

  constructor(address: { readonly host: string; readonly port: number }, owner: ClientConnectionOwner<Http1ClientConnection>) {
    this.#owner = owner;
    this.#socket = connectSocket(address, this);
    this.#socket.once('connect', () => {
      this.#connected = true;
      this.deadlineMs = 0;
    });
    this.#out = new MessageWriter(this.#socket);
  }

  start(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler): void {
    this.#handler = handler;
    this.#method = request.method;
    this.#upgrade = head.upgrade !== '';
    this.#requestBody = request.body;
    this.#sent = request.body === 0;
    this.#phase = 'head';
    this.#close = false;
    if (this.#connected) this.deadlineMs = 0;
    this.#out.write(writeRequestHead(head, request));
  }

  get reusable(): boolean {
    return this.#phase === 'idle' && !this.#close && this.#socket.writable;
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.#out.writeBytes(buffer, start, end);
  }

  end(): void {
    if (this.#phase === 'tunnel') {
      this.#socket.end();
      return;
    }
    this.#sent = true;
    // The line that ends the last chunk; trailers were left out.
    if (this.#requestBody === RAW_CHUNKS) this.#out.write('\r\n');
  }

  flush(): boolean {
    return this.#out.flush();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  reset(): void {
    this.#handler = undefined;
    this.#phase = 'closed';
    this.#socket.destroy();
  }

  expire(): void {
    this.#fail('timeout');
  }

  onBytes(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length && this.#handler !== undefined) at = this.#consume(buffer, at, length);
    if (this.#phase === 'idle' && at < length) this.reset();
    this.#handler?.onResponseFlush();
  }

  onEnd(): void {
    if (this.#phase === 'body' && this.#body.length === UNKNOWN_LENGTH) this.#finish(true);
    else if (this.#phase === 'tunnel') this.#handler?.onResponseEnd();
    else if (this.#handler === undefined) this.reset();
    else this.#fail('termination');
  }

  onDrain(): void {
    this.#handler?.onUpstreamDrain();
  }

  onClose(): void {
    if (this.#phase !== 'closed') this.#fail(this.#connected ? 'termination' : 'connect');
    this.#owner.onConnectionClosed(this);
  }

  #consume(buffer: Buffer, start: number, end: number): number {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(buffer, start, end);
      case 'body':
        return this.#readBody(buffer, start, end);
      case 'tunnel':
        this.#handler?.onResponseData(buffer, start, end);
        return end;
      case 'idle':
      case 'closed':
        // Bytes that belong to no response.
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
    const { next } = this.#heads;
    const head = parseResponseHead(text, this.#method);
    if (head === undefined || (head.status === 101 && !this.#upgrade)) {
      this.#fail('protocol');
      return end;
    }
    if (head.status === 101) this.#phase = 'tunnel';
    else if (head.status >= 200) this.#startBody(head);
    this.#handler?.onResponseHead(head);
    if (head.status >= 200 && head.body === 0) this.#finish(next < end);
    return next;
  }

  #startBody(head: Http1Response): void {
    this.#phase = 'body';
    this.#body.start(head.body);
    this.#close = head.close;
    this.keepAliveMs = head.keepAliveMs;
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end);
    if (state === 'bad') {
      this.#fail('protocol');
      return end;
    }
    const { next, dataEnd } = this.#body;
    if (dataEnd > start) this.#handler?.onResponseData(buffer, start, dataEnd);
    if (state === 'done') this.#finish(next < end);
    return next;
  }

  /** @param spoilt bytes follow that belong to no response, or the connection is at its end */
  #finish(spoilt: boolean): void {
    const handler = this.#handler;
    if (spoilt) this.#close = true;
    this.#handler = undefined;
    if (this.#phase !== 'closed') this.#phase = 'idle';
    this.reused = true;
    // A request that was not sent to its end leaves the connection within its body.
    if (this.#sent) this.#owner.release(this);
    else this.reset();
    handler?.onResponseEnd();
  }

  #fail(failure: UpstreamFailure): void {
    const handler = this.#handler;
    this.reset();
    handler?.onUpstreamFailure(failure);
  }
}
