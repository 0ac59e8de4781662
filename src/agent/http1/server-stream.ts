/*
 * The requests of one HTTP/1.1 client connection as a server stream: delivers bodies on demand and writes responses. The same
 * object carries every request of its connection, one after the other.
 */
import type { LocalReply } from '../../http/local-reply.ts';
import {
  type ConnectionFacts,
  RAW_CHUNKS,
  type ResponseHead,
  type ServerStream,
  type ServerStreamHandler,
  UNKNOWN_LENGTH,
} from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { MessageWriter } from '../net/message-writer.ts';
import type { PausedInput } from '../net/paused-input.ts';
import { BodyPrefixReader } from './body-prefix.ts';
import { BodyReader } from './body-reader.ts';
import { CODEC_ERROR, OVERLOADED, REQUEST_TIMEOUT } from './codec-replies.ts';
import type { Http1Request } from './request-head.ts';
import { ResponseWriter, withLength } from './response-writer.ts';
import type { ServerHost, StreamConnection } from './server-host.ts';

const HALF_CLOSED_MS = LIMITS.halfClosedTunnelTime.value;

/**
 * held: nothing more is wanted of the request; prefix: the handler wants bytes of the body first; body: the body passes;
 * tunnel: protocol switched.
 */
type Phase = 'held' | 'prefix' | 'body' | 'tunnel';

/** Made and driven by its connection. */
export class Http1ServerStream implements ServerStream {
  readonly connection: ConnectionFacts;
  startMs = 0;
  /** Close the connection after the request at hand. */
  isClosing = false;
  /** The agent stops: every response says that the connection closes. */
  isDraining = false;
  readonly #handler: ServerStreamHandler;
  readonly #owner: StreamConnection;
  readonly #input: PausedInput;
  readonly #out: MessageWriter;
  readonly #response: ResponseWriter;
  readonly #bodyTimeoutMs: number;
  readonly #body = new BodyReader(false, (buffer, start, end) => this.#handler.onRequestData(buffer, start, end));
  /** Chunks are passed on as they are. */
  readonly #keepsFraming: boolean;
  #prefix: BodyPrefixReader | undefined;
  #phase: Phase = 'held';
  /** After the response: the client may be sending the rest of the body. */
  hasRest = false;
  /** The request at hand has a body that is not read to its end. */
  #unread = false;
  #isHead = false;
  #isHttp10 = false;
  /** The client waits for `100 Continue`, or for a final response, before it sends its body. */
  #expectsContinue = false;
  #wasContinued = false;

  constructor(owner: StreamConnection, host: ServerHost) {
    this.connection = owner.facts;
    this.#owner = owner;
    this.#input = owner.input;
    this.#out = owner.out;
    this.#response = new ResponseWriter(owner.out, host.date);
    this.#keepsFraming = host.keepsFraming;
    this.#bodyTimeoutMs = host.timeouts.bodyTimeoutMs;
    this.#handler = host.createHandler(this);
  }

  /** A body or a switched protocol passes. */
  get isPassing(): boolean {
    return this.#phase === 'body' || this.#phase === 'tunnel';
  }

  /** Delivers a request head. */
  begin(request: Http1Request): void {
    this.#phase = 'held';
    this.isClosing ||= request.close || request.upgrade;
    this.#isHead = request.method === 'HEAD';
    // The response is one, too: without chunks and interim responses.
    this.#isHttp10 = request.version === '1.0';
    this.#response.isHttp10 = this.#isHttp10;
    this.#expectsContinue = request.expectContinue;
    this.#wasContinued = false;
    this.hasRest = false;
    this.#unread = request.body !== 0;
    this.#body.start(request.body, this.#keepsFraming);
    const isPayload = request.body === RAW_CHUNKS && !this.#keepsFraming;
    this.#handler.onRequestHead(isPayload ? { ...request, body: UNKNOWN_LENGTH } : request);
  }

  /** Delivers that a head cannot be read. */
  fault(reply: LocalReply): void {
    this.#handler.onRequestFault(reply);
  }

  /** Takes bytes that arrived behind the head. @returns index behind the last byte that was taken */
  read(buffer: Buffer, start: number, end: number): number {
    if (this.#phase === 'held' || this.#input.isPaused) {
      if (!this.#input.keep(buffer, start, end)) this.#refuse(OVERLOADED);
      return end;
    }
    if (this.#phase === 'body') return this.#readBody(buffer, start, end);
    if (this.#phase === 'tunnel') this.#handler.onRequestData(buffer, start, end);
    else if (this.#input.collect(buffer, start, end)) this.#readPrefix(this.#prefix, buffer.subarray(start, end));
    else this.#refuse(OVERLOADED);
    return end;
  }

  /** Discards bytes of a body whose response is sent. @returns index behind the last byte that was taken */
  discard(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end);
    this.hasRest = state === 'more';
    return state === 'bad' ? end : this.#body.next;
  }

  /** Everything of one read has been delivered. */
  readDone(): void {
    this.#handler.onRequestFlush();
  }

  /** The client sends no more. Within a request it is gone, as for Envoy: HTTP/1.1 connections are not half-closed. */
  inputEnded(): void {
    if (this.#phase === 'tunnel') {
      this.#handler.onRequestEnd();
      this.#owner.setDeadline(HALF_CLOSED_MS);
    } else this.#owner.destroy('client');
  }

  /** The agent stops. */
  shutDown(): void {
    if (this.#phase === 'tunnel') this.#handler.onShutdown();
  }

  /** The client has read what was queued. */
  drained(): void {
    this.#handler.onStreamDrain();
  }

  /** The deadline has passed. */
  expired(): void {
    if (this.#phase === 'prefix' || this.#phase === 'body') this.#refuse(REQUEST_TIMEOUT);
    else this.#owner.destroy('tunnel');
  }

  /** The connection is gone within a request. */
  gone(): void {
    this.#handler.onStreamReset();
  }

  readPrefix(bytes: number): void {
    const prefix = new BodyPrefixReader(this.#body.length, bytes);
    this.#prefix = prefix;
    this.#phase = 'prefix';
    if (this.#input.isHolding) this.#readPrefix(prefix, this.#input.kept);
    if (this.#prefix !== prefix) return;
    this.#input.resume();
    this.#sendContinue();
    this.#owner.setDeadline(this.#bodyTimeoutMs);
  }

  readBody(): void {
    this.#phase = 'body';
    this.#owner.setDeadline(this.#bodyTimeoutMs);
    if (this.#input.isHolding) this.#owner.takeRest();
  }

  awaitUpgrade(): void {
    // What follows a refused upgrade cannot be distinguished from a next request.
    this.isClosing = true;
  }

  sendInterim(head: ResponseHead): void {
    if (this.#isHttp10) return;
    if (head.status === 100) {
      if (this.#wasContinued) return;
      this.#wasContinued = true;
      this.#expectsContinue = false;
    }
    this.#response.interim(head);
  }

  sendHead(head: ResponseHead): void {
    this.isClosing ||= this.#unread || (this.#isHttp10 && head.body < 0);
    this.#response.head(this.#isHead || head.body !== 0 ? head : withLength(head), this.isClosing || this.isDraining);
  }

  switchProtocols(head: ResponseHead, protocol: string): void {
    this.#phase = 'tunnel';
    this.#response.switchProtocols(head, protocol);
    this.#owner.flush();
    if (this.#input.isHolding) this.#owner.takeRest();
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.#response.data(buffer, start, end);
  }

  end(): void {
    this.#response.end();
    this.#owner.flush();
    if (this.#phase === 'tunnel') {
      this.#owner.endOutput();
      this.#owner.setDeadline(HALF_CLOSED_MS);
    } else this.#over();
  }

  reply(reply: LocalReply): void {
    this.isClosing ||= reply.close || this.#unread;
    this.#response.reply(reply, this.#isHead, this.isClosing || this.isDraining);
    this.#owner.flush();
    this.#over();
  }

  flush(): boolean {
    return this.#owner.flush();
  }

  pause(): void {
    this.#input.pause();
    if (this.#phase === 'tunnel') this.#owner.setDeadline(this.#bodyTimeoutMs);
  }

  resume(): void {
    if (this.#phase === 'tunnel') this.#owner.setDeadline(0);
    if (this.#phase !== 'tunnel' && this.#phase !== 'body') this.#input.resume();
    else if (this.#input.isHolding) this.#owner.takeRest();
  }

  close(): void {
    this.#owner.closeSoon('tunnel');
  }

  reset(isRevoked: boolean = false): void {
    this.#owner.destroy(isRevoked ? 'revoked' : 'upstream');
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end);
    const { next } = this.#body;
    this.#expectsContinue = false;
    if (state === 'bad') {
      this.#refuse(CODEC_ERROR);
      return end;
    }
    if (this.#body.dataEnd > start) this.#handler.onRequestData(buffer, start, this.#body.dataEnd);
    if (state === 'done') {
      this.#hold();
      this.#unread = false;
      this.#handler.onRequestEnd();
    } else this.#owner.setDeadline(this.#bodyTimeoutMs);
    return next;
  }

  #readPrefix(prefix: BodyPrefixReader | undefined, part: Buffer): void {
    const state = prefix?.read(part);
    if (state === 'more') this.#owner.setDeadline(this.#bodyTimeoutMs);
    else if (state === 'bad') {
      this.#prefix = undefined;
      this.#refuse(CODEC_ERROR);
    } else if (prefix !== undefined) {
      this.#prefix = undefined;
      this.#hold();
      this.#handler.onBodyPrefix(prefix.prefix());
    }
  }

  #hold(): void {
    this.#phase = 'held';
    this.#owner.setDeadline(0);
  }

  #sendContinue(): void {
    if (!this.#expectsContinue) return;
    this.#expectsContinue = false;
    this.#wasContinued = true;
    this.#out.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.#owner.flush();
  }

  /** The rest of the request cannot be read: what follows is not looked at. */
  #refuse(reply: LocalReply): void {
    this.#unread = false;
    this.isClosing = true;
    this.#handler.onRequestFault(reply);
  }

  #over(): void {
    this.isClosing ||= this.#unread;
    this.hasRest = this.#unread && !(this.#expectsContinue && !this.#input.isHolding);
    this.startMs = 0;
    this.#unread = false;
    this.#isHead = false;
    this.#prefix = undefined;
    this.#owner.onRequestOver();
  }
}
