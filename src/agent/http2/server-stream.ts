/*
 * One request over HTTP/2 as a server stream.
 */
import type { HeaderList } from '../../http/header-list.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import {
  type BodyLength,
  type ConnectionFacts,
  type ResponseHead,
  type ServerStream,
  type ServerStreamHandler,
  UNKNOWN_LENGTH,
} from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { LENGTH_MISMATCH, OVERLOADED, REQUEST_TIMEOUT } from './codec-replies.ts';
import { H2_ERROR, type H2Error } from './frames.ts';
import type { Http2Request } from './request-head.ts';
import type { Http2ServerHost } from './server-host.ts';
import { Http2Stream, type StreamOwner, type StreamWindows } from './stream.ts';
import { encodeInterim, encodeReply, encodeResponse } from './write-response.ts';

/**
 * held: nothing more is wanted of the request; prefix: the handler wants bytes of the body first; body: the body passes; over: the handler
 * has no request any longer.
 */
type Phase = 'held' | 'prefix' | 'body' | 'over';

/** Made by its connection for each request. */
export class Http2ServerStream extends Http2Stream implements ServerStream {
  readonly connection: ConnectionFacts;
  startMs = 0;
  /** Monotonic milliseconds after which the wait for a body is over; 0: none. */
  #deadlineMs = 0;
  readonly #handler: ServerStreamHandler;
  readonly #host: Http2ServerHost;
  #phase: Phase = 'held';
  #wanted = 0;
  /** Bytes of the body that are to come; {@link UNKNOWN_LENGTH}: not announced. */
  #remaining: BodyLength = 0;
  #isHead = false;
  /** What the codec refuses is not answered. */
  #isRefused = false;
  #expectsContinue = false;
  #wasContinued = false;
  /** The end of the body was delivered. */
  #endDelivered = false;
  #trailers: HeaderList | undefined;
  /** A request of length 0 whose end has not come. */
  #announced: Http2Request | undefined;

  constructor(id: number, owner: StreamOwner & { readonly facts: ConnectionFacts }, host: Http2ServerHost, windows: StreamWindows) {
    super(id, owner, windows);
    this.connection = owner.facts;
    this.#host = host;
    this.#handler = host.createHandler(this);
  }

  /** Delivers the head of the request. */
  begin(request: Http2Request, endStream: boolean): void {
    this.startMs = this.owner.nowMs();
    this.isRemoteEnded = endStream;
    this.#remaining = request.body;
    this.#isHead = request.method === 'HEAD';
    this.#expectsContinue = request.expectContinue;
    if (endStream || request.body !== 0) this.#handler.onRequestHead(request);
    else {
      // It says that it has no body, and is forwarded as complete when it is.
      this.#announced = request;
      this.#deadlineMs = this.startMs + this.#host.timeouts.bodyTimeoutMs;
    }
  }

  /** Records a request that the codec refuses; nothing is sent. */
  refuse(reply: LocalReply): void {
    this.startMs = this.owner.nowMs();
    this.#isRefused = true;
    this.#handler.onRequestFault(reply);
  }

  /** Everything of one read has been delivered. */
  readDone(): void {
    if (this.#phase !== 'over' && this.#announced === undefined) this.#handler.onRequestFlush();
  }

  /** Ends the wait for a body when its deadline has passed. @returns false: the client has opened no window for too long */
  sweep(nowMs: number, unreadTimeoutMs: number): boolean {
    if (this.#deadlineMs !== 0 && this.#deadlineMs <= nowMs) {
      this.#deadlineMs = 0;
      this.#handler.onRequestFault(REQUEST_TIMEOUT);
    } else if (this.blockedSinceMs !== 0 && nowMs - this.blockedSinceMs >= unreadTimeoutMs) {
      LIMITS.unreadOutputTime.hit();
      return false;
    }
    return true;
  }

  override receiveData(buffer: Buffer, start: number, end: number): void {
    if (this.#remaining !== UNKNOWN_LENGTH) {
      this.#remaining -= end - start;
      if (this.#remaining < 0) {
        this.#refuseLength();
        return;
      }
    }
    super.receiveData(buffer, start, end);
  }

  receiveEnd(trailers: HeaderList | undefined): void {
    if (this.#remaining > 0) {
      this.#refuseLength();
      return;
    }
    this.#trailers = trailers;
    const announced = this.#announced;
    if (announced !== undefined) {
      this.#announced = undefined;
      this.#deadlineMs = 0;
      this.#handler.onRequestHead(announced);
    } else if (this.#phase === 'prefix') this.#checkPrefix();
    else this.#deliverEnd();
  }

  receiveReset(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#handler.onStreamReset();
  }

  readPrefix(bytes: number): void {
    this.#phase = 'prefix';
    this.#wanted = bytes;
    if (this.#expectsContinue && !this.isRemoteEnded) {
      this.#expectsContinue = false;
      this.#wasContinued = true;
      this.owner.writeBlock(this, (out) => encodeInterim(out, { status: 100, headers: [] }));
    }
    this.#deadlineMs = this.owner.nowMs() + this.#host.timeouts.bodyTimeoutMs;
    this.deliverHeld();
    this.#checkPrefix();
  }

  readBody(): void {
    this.#phase = 'body';
    this.deliverHeld();
    this.#deliverEnd();
  }

  awaitUpgrade(): void {
    // No request over HTTP/2 asks for an upgrade.
  }

  sendInterim(head: ResponseHead): void {
    if (head.status === 100) {
      if (this.#wasContinued) return;
      this.#wasContinued = true;
      this.#expectsContinue = false;
    }
    this.owner.writeBlock(this, (out) => encodeInterim(out, head));
  }

  sendHead(head: ResponseHead): void {
    this.owner.writeBlock(this, (out) => encodeResponse(out, head, this.#host.date));
  }

  switchProtocols(): void {
    this.reset();
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    if (end > start) this.send(buffer, start, end);
  }

  end(trailers?: HeaderList): void {
    this.#over();
    this.endOutput(trailers);
  }

  reply(reply: LocalReply): void {
    this.#over();
    if (this.#isRefused) return;
    const body = reply.bytes === undefined ? Buffer.from(reply.body) : Buffer.from(reply.bytes);
    this.owner.writeBlock(this, (out) => encodeReply(out, reply, body.length, this.#host.date));
    if (body.length > 0 && !this.#isHead) this.send(body, 0, body.length);
    this.endOutput(undefined);
  }

  flush(): boolean {
    return this.keepsUp();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    if (this.#phase !== 'body') return;
    this.deliverHeld();
    this.#deliverEnd();
    if (this.#phase === 'body') this.#handler.onRequestFlush();
  }

  close(): void {
    this.end();
  }

  reset(): void {
    this.abort(H2_ERROR.internal);
  }

  protected get wantsData(): boolean {
    return this.#phase === 'body' && !this.isPaused;
  }

  protected get creditsHeldData(): boolean {
    return this.#phase === 'prefix' && this.heldLength < this.#wanted;
  }

  protected deliver(buffer: Buffer, start: number, end: number): void {
    this.#expectsContinue = false;
    this.#handler.onRequestData(buffer, start, end);
  }

  protected heldMore(): void {
    if (this.#phase !== 'prefix') return;
    this.#deadlineMs = this.owner.nowMs() + this.#host.timeouts.bodyTimeoutMs;
    this.#checkPrefix();
  }

  protected overloaded(): void {
    if (this.#phase === 'over') this.abort(H2_ERROR.enhanceYourCalm);
    else this.#handler.onRequestFault(OVERLOADED);
  }

  protected abort(error: H2Error): void {
    if (!this.isOver) this.owner.writeReset(this, error);
    queueMicrotask(() => this.receiveReset());
  }

  protected onOutputDrain(): void {
    if (this.#phase !== 'over') this.#handler.onStreamDrain();
  }

  protected onOutputEnded(): void {
    // The rest of the request is not wanted (RFC 9113 section 8.1).
    if (this.isRemoteEnded) this.owner.onStreamOver(this);
    else this.owner.writeReset(this, H2_ERROR.none);
  }

  #over(): void {
    this.#phase = 'over';
    this.#deadlineMs = 0;
  }

  #refuseLength(): void {
    this.owner.writeReset(this, H2_ERROR.protocol);
    if (this.#phase === 'over') return;
    this.#isRefused = true;
    this.#handler.onRequestFault(LENGTH_MISMATCH);
  }

  #deliverEnd(): void {
    if (!this.isRemoteEnded || this.#endDelivered || !this.wantsData) return;
    this.#endDelivered = true;
    this.#handler.onRequestEnd(this.#trailers);
  }

  #checkPrefix(): void {
    const whole = this.isRemoteEnded;
    if (this.heldLength < this.#wanted && !whole) return;
    this.#phase = 'held';
    this.#deadlineMs = 0;
    const bytes = this.heldPrefix(this.#wanted);
    this.#handler.onBodyPrefix({ bytes, whole: whole && bytes.length === this.heldLength });
  }
}
