/*
 * A server stream and an upstream in memory: tests drive an exchange through them without sockets and without a codec. The test
 * plays the client through {@link MemoryClient} and the application through {@link MemoryExchange}.
 */
import type { ForwardHead } from '../../../src/http/heads.ts';
import type { LocalReply } from '../../../src/http/local-reply.ts';
import {
  type BodyLength,
  type ClientStream,
  type ClientStreamHandler,
  type ResponseHead,
  type ServerStream,
  type ServerStreamHandler,
  type StreamRequest,
  UNKNOWN_LENGTH,
  type Upstream,
  type UpstreamFailure,
} from '../../../src/http/stream.ts';
import type { ConnectionFacts } from '../../../src/policy/facts.ts';

/** What the client received for one request. */
export interface MemoryResponse {
  /** Interim statuses before the final one. */
  readonly interim: number[];
  status: number;
  headers: readonly string[];
  body: string;
  /** How the response ended; undefined: it has not. */
  ended: 'end' | 'reply' | 'close' | 'reset' | undefined;
}

/** What a request of a test has; absent: GET of `/` without body. */
export interface MemoryRequest {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly clientRequestId?: string;
  readonly grpcTimeout?: string;
  /** Another request follows in the same read. */
  readonly more?: boolean;
  /** Length of the body that will be sent with `send`; absent: no body. */
  readonly body?: BodyLength;
}

type Mode = 'idle' | 'held' | 'prefix' | 'body' | 'upgrade' | 'tunnel';

/** The client and its server stream. */
export class MemoryClient implements ServerStream {
  readonly connection: ConnectionFacts;
  startMs = 0;
  readonly responses: MemoryResponse[] = [];
  /** The exchange has paused the client. */
  paused = false;
  /** While true, the client does not read: `flush` reports it. */
  stalled = false;
  #handler: ServerStreamHandler | undefined;
  #mode: Mode = 'idle';
  #kept: Buffer[] = [];
  #wanted = 0;
  #length: BodyLength = 0;
  #bodyEnded = true;

  constructor(connection: ConnectionFacts) {
    this.connection = connection;
  }

  attach(handler: ServerStreamHandler): void {
    this.#handler = handler;
  }

  /** The response to the last request. */
  get response(): MemoryResponse {
    const last = this.responses.at(-1);
    if (last === undefined) throw new Error('no request was sent');
    return last;
  }

  /** Sends a request head. */
  request({
    method = 'GET',
    target = '/',
    headers = ['host', 'a'],
    clientRequestId = '',
    grpcTimeout = '',
    body = 0,
    more = false,
  }: MemoryRequest = {}): this {
    this.responses.push({ interim: [], status: 0, headers: [], body: '', ended: undefined });
    this.startMs = performance.now();
    this.#mode = 'held';
    this.#kept = [];
    this.#length = body;
    this.#bodyEnded = body === 0;
    const request: StreamRequest = {
      version: '2',
      method,
      target,
      headers,
      hasBody: body !== 0,
      body,
      lengthGiven: body > 0,
      clientRequestId,
      grpcTimeout,
    };
    this.#deliver().onRequestHead(request);
    if (!more) this.#deliver().onRequestFlush();
    return this;
  }

  /** Sends bytes of the body, or of a switched protocol. */
  send(data: string): this {
    const bytes = Buffer.from(data, 'latin1');
    if (this.#mode === 'body' || this.#mode === 'tunnel') this.#deliver().onRequestData(bytes, 0, bytes.length);
    else {
      this.#kept.push(bytes);
      this.#checkPrefix();
    }
    this.#handler?.onRequestFlush();
    return this;
  }

  /** Ends the body, or the client's side of a switched protocol. */
  endBody(): this {
    this.#bodyEnded = true;
    if (this.#mode === 'body' || this.#mode === 'tunnel') this.#deliver().onRequestEnd();
    else this.#checkPrefix();
    this.#handler?.onRequestFlush();
    return this;
  }

  /** The codec cannot read the request. */
  fault(reply: LocalReply): this {
    if (this.#mode === 'idle') this.responses.push({ interim: [], status: 0, headers: [], body: '', ended: undefined });
    this.#deliver().onRequestFault(reply);
    return this;
  }

  /** The client reads again. */
  drain(): void {
    this.stalled = false;
    this.#deliver().onStreamDrain();
  }

  /** The client disconnects. */
  disconnect(): void {
    const inRequest = this.#mode !== 'idle';
    this.#mode = 'idle';
    if (inRequest) this.#deliver().onStreamReset();
  }

  readPrefix(bytes: number): void {
    this.#mode = 'prefix';
    this.#wanted = bytes;
    this.#checkPrefix();
  }

  readBody(): void {
    this.#mode = 'body';
    for (const part of this.#kept) this.#deliver().onRequestData(part, 0, part.length);
    if (this.#bodyEnded) this.#deliver().onRequestEnd();
  }

  awaitUpgrade(): void {
    this.#mode = 'upgrade';
  }

  sendInterim(head: ResponseHead): void {
    this.response.interim.push(head.status);
  }

  sendHead(head: ResponseHead): void {
    this.response.status = head.status;
    this.response.headers = head.headers;
  }

  switchProtocols(head: ResponseHead, protocol: string): void {
    this.sendHead(head);
    this.response.headers = [...head.headers, 'upgrade', protocol];
    this.#mode = 'tunnel';
    for (const part of this.#kept.splice(0)) this.#deliver().onRequestData(part, 0, part.length);
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.response.body += buffer.toString('latin1', start, end);
  }

  end(): void {
    this.#over('end');
  }

  reply(reply: LocalReply): void {
    const { status, headers, body, bytes } = reply;
    Object.assign(this.response, { status, headers, body: bytes === undefined ? body : Buffer.from(bytes).toString('latin1') });
    this.#over('reply');
  }

  flush(): boolean {
    return !this.stalled;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): void {
    this.response.ended = 'close';
  }

  reset(): void {
    this.response.ended = 'reset';
    queueMicrotask(() => this.disconnect());
  }

  #over(ended: 'end' | 'reply'): void {
    this.response.ended = ended;
    if (this.#mode !== 'tunnel') this.#mode = 'idle';
  }

  #checkPrefix(): void {
    if (this.#mode !== 'prefix') return;
    const all = Buffer.concat(this.#kept);
    const isWhole = this.#bodyEnded || all.length === this.#length;
    if (all.length < this.#wanted && !isWhole) return;
    this.#mode = 'held';
    const bytes = all.subarray(0, this.#wanted);
    this.#deliver().onBodyPrefix({ bytes, whole: isWhole && bytes.length === all.length });
  }

  #deliver(): ServerStreamHandler {
    if (this.#handler === undefined) throw new Error('no handler is attached');
    return this.#handler;
  }
}

/** One request at the application. */
export class MemoryExchange implements ClientStream {
  readonly head: ForwardHead;
  readonly request: StreamRequest;
  /** The exchange asked for a connection that has served no request. */
  readonly fresh: boolean;
  readonly reused: boolean;
  /** Bytes of the body, or of a switched protocol. */
  body = '';
  ended = false;
  wasReset = false;
  /** The exchange has paused the response. */
  paused = false;
  /** While true, the application does not read: `flush` reports it. */
  stalled = false;
  readonly #handler: ClientStreamHandler;

  constructor(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, options: { fresh: boolean; reused: boolean }) {
    this.head = head;
    this.request = request;
    this.fresh = options.fresh;
    this.reused = options.reused;
    this.#handler = handler;
  }

  /** Sends a head: interim, final or 101. */
  respond(status: number, headers: readonly string[] = []): this {
    this.#handler.onResponseHead({ status, reason: '', headers, body: status < 200 ? 0 : UNKNOWN_LENGTH });
    this.#handler.onResponseFlush();
    return this;
  }

  /** Sends bytes of the response. */
  send(data: string): this {
    const bytes = Buffer.from(data, 'latin1');
    this.#handler.onResponseData(bytes, 0, bytes.length);
    this.#handler.onResponseFlush();
    return this;
  }

  /** Ends the response. */
  finish(): void {
    this.#handler.onResponseEnd();
  }

  /** Fails before or within the response. */
  fail(failure: UpstreamFailure, reason = ''): void {
    this.#handler.onUpstreamFailure(failure, reason);
  }

  /** The application reads again. */
  drain(): void {
    this.stalled = false;
    this.#handler.onUpstreamDrain();
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.body += buffer.toString('latin1', start, end);
  }

  end(): void {
    this.ended = true;
  }

  flush(): boolean {
    return !this.stalled;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  reset(): void {
    this.wasReset = true;
  }
}

/** The application: keeps what it gets. */
export class MemoryUpstream implements Upstream {
  readonly exchanges: MemoryExchange[] = [];
  /** The next exchange is on a connection that has served a request before. */
  reuses = false;

  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, fresh: boolean): ClientStream {
    const exchange = new MemoryExchange(head, request, handler, { fresh, reused: this.reuses && !fresh });
    this.exchanges.push(exchange);
    return exchange;
  }

  /** The last request that arrived. @throws Error without one */
  get last(): MemoryExchange {
    const last = this.exchanges.at(-1);
    if (last === undefined) throw new Error('no request has reached the application');
    return last;
  }
}
