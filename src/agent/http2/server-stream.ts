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
import { Http2ServerResponse } from './server-response.ts';
import type { StreamOwner, StreamWindows } from './stream.ts';

const HALF_CLOSED_MS = LIMITS.halfClosedTunnelTime.value;

/**
 * held: nothing more is wanted of the request; prefix: the handler wants bytes of the body first; body: the body passes; tunnel: protocol
 * switched; over: the handler has no request any longer.
 */
type Phase = 'held' | 'prefix' | 'body' | 'tunnel' | 'over';

/** Made by its connection for each request. */
export class Http2ServerStream extends Http2ServerResponse implements ServerStream {
  readonly connection: ConnectionFacts;
  startMs = 0;
  /** The request is an extended CONNECT: DATA is all that may follow. */
  isTunnel = false;
  /** Monotonic milliseconds after which the wait for a body, or for the end of a tunnel, is over; 0: none. */
  #deadlineMs = 0;
  readonly #handler: ServerStreamHandler;
  #phase: Phase = 'held';
  #wanted = 0;
  /** Bytes of the body that are to come; {@link UNKNOWN_LENGTH}: not announced. */
  #remaining: BodyLength = 0;
  /** What the codec refuses is not answered. */
  #isRefused = false;
  /** The end of the body was delivered. */
  #endDelivered = false;
  #trailers: HeaderList | undefined;
  /** A request of length 0 whose end has not come. */
  #announced: Http2Request | undefined;

  constructor(id: number, owner: StreamOwner & { readonly facts: ConnectionFacts }, host: Http2ServerHost, windows: StreamWindows) {
    super(id, owner, host, windows);
    this.connection = owner.facts;
    this.#handler = host.createHandler(this);
  }

  /** Delivers the head of the request. */
  begin(request: Http2Request, endStream: boolean): void {
    this.startMs = this.owner.nowMs();
    this.isRemoteEnded = endStream;
    this.isTunnel = request.isTunnel;
    this.#remaining = request.isTunnel ? UNKNOWN_LENGTH : request.body;
    this.isHead = request.method === 'HEAD';
    this.expectsContinue = request.expectContinue;
    if (endStream || request.body !== 0 || request.isTunnel) this.#handler.onRequestHead(request);
    else {
      // It says that it has no body, and is forwarded as complete when it is.
      this.#announced = request;
      this.#deadlineMs = this.startMs + this.host.timeouts.bodyTimeoutMs;
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
      if (this.#phase === 'tunnel') this.abort(this.isLocalEnded ? H2_ERROR.none : H2_ERROR.cancel);
      else this.#handler.onRequestFault(REQUEST_TIMEOUT);
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
    this.sendContinue();
    this.#deadlineMs = this.owner.nowMs() + this.host.timeouts.bodyTimeoutMs;
    this.deliverHeld();
    this.#checkPrefix();
  }

  readBody(): void {
    this.#phase = 'body';
    this.deliverHeld();
    this.#deliverEnd();
  }

  awaitUpgrade(): void {
    // What the client sends is held, as far as its window allows.
  }

  switchProtocols(head: ResponseHead): void {
    this.#phase = 'tunnel';
    this.sendSwitched(head);
    this.#deliverTunnel();
  }

  /** The agent stops. */
  shutDown(): void {
    if (this.#phase === 'tunnel') this.#handler.onShutdown();
  }

  end(trailers?: HeaderList): void {
    if (this.#phase === 'tunnel') {
      this.endOutput(undefined);
      return;
    }
    this.#over();
    this.endOutput(trailers);
  }

  reply(reply: LocalReply): void {
    this.#over();
    if (!this.#isRefused) this.sendReply(reply);
  }

  pause(): void {
    this.isPaused = true;
    if (this.#phase === 'tunnel') this.#deadlineMs = this.owner.nowMs() + this.host.timeouts.bodyTimeoutMs;
  }

  resume(): void {
    this.isPaused = false;
    if (this.#phase === 'tunnel') {
      this.#deadlineMs = this.isLocalEnded ? this.#halfClosed() : 0;
      this.#deliverTunnel();
    }
    if (this.#phase !== 'body') return;
    this.deliverHeld();
    this.#deliverEnd();
    if (this.#phase === 'body') this.#handler.onRequestFlush();
  }

  close(isCut: boolean = false): void {
    if (isCut && this.#phase === 'tunnel') this.abort(H2_ERROR.cancel);
    else this.end();
  }

  reset(isRevoked: boolean = false): void {
    this.abort(isRevoked ? H2_ERROR.cancel : H2_ERROR.internal);
  }

  protected get wantsData(): boolean {
    return (this.#phase === 'body' || this.#phase === 'tunnel') && !this.isPaused;
  }

  protected get creditsHeldData(): boolean {
    return this.#phase === 'prefix' && this.heldLength < this.#wanted;
  }

  protected deliver(buffer: Buffer, start: number, end: number): void {
    this.expectsContinue = false;
    this.#handler.onRequestData(buffer, start, end);
  }

  protected heldMore(): void {
    if (this.#phase !== 'prefix') return;
    this.#deadlineMs = this.owner.nowMs() + this.host.timeouts.bodyTimeoutMs;
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
    if (this.#phase === 'tunnel') {
      this.#tunnelEnded(this.#endDelivered);
      return;
    }
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
    if (this.#phase === 'tunnel') this.#tunnelEnded(this.isLocalEnded);
  }

  /** Delivers what was held for a tunnel. */
  #deliverTunnel(): void {
    this.deliverHeld();
    this.#deliverEnd();
    if (this.#phase === 'tunnel') this.#handler.onRequestFlush();
  }

  /** One side of a tunnel has ended. @param isOther the other side, too */
  #tunnelEnded(isOther: boolean): void {
    if (isOther) {
      this.owner.onStreamOver(this);
      queueMicrotask(() => this.receiveReset());
    } else this.#deadlineMs = this.#halfClosed();
  }

  #halfClosed(): number {
    return this.owner.nowMs() + HALF_CLOSED_MS;
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
