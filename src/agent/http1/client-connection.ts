/*
 * Client side of HTTP/1.1: one connection to the application. Serves one exchange at a time; the pool keeps it in between.
 */

import type { ForwardHead } from '../../http/heads.ts';
import { InterimResponses } from '../../http/interim.ts';
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
import { ConnectRetries } from '../net/connect-retries.ts';
import { MessageWriter } from '../net/message-writer.ts';
import type { OutgoingSocket } from '../net/outgoing-socket.ts';
import { resetSocket } from '../net/reset-socket.ts';
import { connectSocket, type OutgoingSocketEvents } from '../net/socket-events.ts';
import { BodyReader } from './body-reader.ts';
import { HeadBuffer } from './head-buffer.ts';
import { RESPONSE_FAULT, type ResponseFault } from './response-fault.ts';
import { type Http1Response, parseResponseHead } from './response-head.ts';
import { UpgradeHandshake } from './upgrade-handshake.ts';
import { writeRequestHead } from './write-request.ts';

/** Longest response head, in bytes. */
const MAX_RESPONSE_HEAD_BYTES = LIMITS.responseHeadBytes.value;
const PROTOCOL_NAME = 'HTTP/';
/** idle: no exchange; head: waiting for a response; body: its body passes; tunnel: protocol switched. */
type Phase = 'idle' | 'head' | 'body' | 'tunnel' | 'closed';

/** A connection to the application; at the same time the client stream of its exchange. */
export class Http1ClientConnection implements ClientConnection, OutgoingSocketEvents {
  deadlineMs = 0;
  reused = false;
  keepAliveMs = -1;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #owner: ClientConnectionOwner<Http1ClientConnection>;
  readonly #retries = new ConnectRetries(() => this.#reconnect());
  /** Everything waits in it until the connection is established: until then it can be established again. */
  readonly #out = new MessageWriter();
  readonly #heads = new HeadBuffer(MAX_RESPONSE_HEAD_BYTES, true);
  readonly #body = new BodyReader(true, (buffer, start, end) => this.#handler?.onResponseData(buffer, start, end));
  /** The client understands the chunks of HTTP/1.1. */
  #keepsFraming = true;
  #socket: OutgoingSocket;
  #handler: ClientStreamHandler | undefined;
  #phase: Phase = 'idle';
  #method = '';
  readonly #handshake = new UpgradeHandshake();
  #requestBody = 0;
  /** The request has been sent to its end. */
  #sent = false;
  #close = false;
  #connected = false;
  /** The exchange waits with the rest of its request until the connection is established. */
  #isAwaited = false;
  /** It turned out to be closed before anything of the exchange was sent. */
  #wasDead = false;
  readonly #interims = new InterimResponses();

  constructor(address: { readonly host: string; readonly port: number }, owner: ClientConnectionOwner<Http1ClientConnection>) {
    this.#address = address;
    this.#owner = owner;
    this.#socket = this.#connect();
  }

  start(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler): void {
    this.#handler = handler;
    this.#method = request.method;
    this.#requestBody = request.body;
    this.#keepsFraming = request.version !== '2';
    this.#sent = request.body === 0;
    this.#phase = 'head';
    this.#close = false;
    this.#interims.reset();
    if (this.#connected) {
      this.deadlineMs = 0;
      this.#socket.beginMessage();
    }
    this.#out.write(writeRequestHead(head, request, this.#handshake.begin(head, request)));
  }

  get reusable(): boolean {
    return this.#phase === 'idle' && !this.#close && this.#socket.writable;
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    if (this.#requestBody !== UNKNOWN_LENGTH || this.#phase === 'tunnel') this.#out.writeBytes(buffer, start, end);
    else if (end > start) {
      this.#out.write(`${(end - start).toString(16)}\r\n`);
      this.#out.writeBytes(buffer, start, end);
      this.#out.write('\r\n');
    }
  }

  end(): void {
    if (this.#phase === 'tunnel') {
      this.#out.flush();
      this.#socket.end();
      return;
    }
    this.#sent = true;
    // The line that ends the last chunk; trailers were left out.
    if (this.#requestBody === RAW_CHUNKS) this.#out.write('\r\n');
    else if (this.#requestBody === UNKNOWN_LENGTH) this.#out.write('0\r\n\r\n');
  }

  flush(): boolean {
    const keepsUp = this.#out.flush();
    if (!keepsUp && !this.#connected) this.#isAwaited = true;
    return keepsUp;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  reset(): void {
    const wasTunnel = this.#phase === 'tunnel';
    this.#handler = undefined;
    this.#phase = 'closed';
    // An end of the client was passed on as an end before.
    if (wasTunnel) resetSocket(this.#socket);
    else if (this.#retries.cancel()) this.#owner.onConnectionClosed(this);
    else this.#socket.destroy();
  }

  expire(): void {
    this.#fail('timeout');
  }

  get isPassing(): boolean {
    return this.#phase === 'body' || this.#phase === 'tunnel';
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
    else if (this.#phase === 'head' && this.#heads.length > 0) this.#refuse(RESPONSE_FAULT.headCut);
    else this.#fail('termination');
  }

  onDrain(): void {
    this.#handler?.onUpstreamDrain();
  }

  /** A response may still be there to read. A request of which nothing was sent is sent on a new connection instead. */
  onWriteFailed(unsent: string | Buffer | undefined): void {
    this.#close = true;
    if (unsent === undefined || !this.reused || this.#handler === undefined) return;
    this.reused = false;
    this.#connected = false;
    this.#wasDead = true;
    this.#close = false;
    this.#out.detach(unsent);
    this.#socket.destroy();
  }

  onClose(): void {
    if (this.#phase === 'head' && !this.#connected && this.#connectAgain()) return;
    if (this.#isEarlyResponse()) this.#finish(true);
    else if (this.#phase !== 'closed') this.#fail(this.#connected ? 'termination' : 'connect');
    this.#owner.onConnectionClosed(this);
  }

  #connect(): OutgoingSocket {
    const socket = connectSocket(this.#address, this);
    socket.once('connect', () => {
      this.#connected = true;
      this.deadlineMs = 0;
      this.#out.attach(socket);
      if (this.#isAwaited) this.#handler?.onUpstreamDrain();
      this.#isAwaited = false;
    });
    return socket;
  }

  /** @returns false: it has been tried often enough */
  #connectAgain(): boolean {
    if (!this.#wasDead) return this.#retries.schedule();
    this.#wasDead = false;
    this.#reconnect();
    return true;
  }

  #reconnect(): void {
    this.#socket = this.#connect();
    this.#owner.onConnecting(this);
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
    const heads = this.#heads;
    const text = heads.take(buffer, start, end);
    if (text === '') {
      if (heads.overflow) this.#refuse(RESPONSE_FAULT.headTooLarge);
      else if (!PROTOCOL_NAME.startsWith(heads.peek(PROTOCOL_NAME.length))) this.#refuse(RESPONSE_FAULT.notHttp);
      return end;
    }
    const parsed = parseResponseHead(text, this.#method);
    const head = typeof parsed !== 'string' && parsed.status === 101 ? this.#handshake.finish(parsed) : parsed;
    if (typeof head === 'string') {
      this.#refuse(head);
      return end;
    }
    const next = heads.next - (text.length - head.length);
    if (head.status === 101) this.#phase = 'tunnel';
    else if (head.status >= 200) this.#startBody(head);
    else if (!this.#interims.isNew(head.status)) return next;
    const isPayload = head.body === RAW_CHUNKS && !this.#keepsFraming;
    this.#handler?.onResponseHead(isPayload ? { ...head, body: UNKNOWN_LENGTH } : head);
    if (head.status >= 200 && head.body === 0) this.#finish(next < end);
    return next;
  }

  #startBody(head: Http1Response): void {
    this.#phase = 'body';
    this.#body.start(head.body, this.#keepsFraming);
    this.#close ||= head.close;
    this.keepAliveMs = head.keepAliveMs;
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end);
    const { next, dataEnd } = this.#body;
    if (state === 'bad') {
      this.#refuse(RESPONSE_FAULT.chunks);
      return end;
    }
    if (dataEnd > start) this.#handler?.onResponseData(buffer, start, dataEnd);
    if (state === 'done') this.#finish(next < end);
    return next;
  }

  /** The application has reset the connection because it did not read the request; its response ended before that. */
  #isEarlyResponse(): boolean {
    return this.#phase === 'body' && this.#body.length === UNKNOWN_LENGTH && this.#requestBody !== 0;
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

  #refuse(fault: ResponseFault): void {
    this.#fail('protocol', fault);
  }

  #fail(failure: UpstreamFailure, reason = ''): void {
    const handler = this.#handler;
    this.reset();
    handler?.onUpstreamFailure(failure, reason);
  }
}
