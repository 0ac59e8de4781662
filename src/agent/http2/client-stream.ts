/*
 * One request to the application over HTTP/2 as a client stream.
 */
import type { HeaderList } from '../../http/header-list.ts';
import type { ForwardHead } from '../../http/heads.ts';
import { InterimResponses } from '../../http/interim.ts';
import {
  type BodyLength,
  type ClientStream,
  type ClientStreamHandler,
  type StreamRequest,
  UNKNOWN_LENGTH,
  type UpstreamFailure,
} from '../../http/stream.ts';
import { H2_ERROR, type H2Error } from './frames.ts';
import { areTrailers } from './message-fields.ts';
import { parseResponseHead, RESPONSE_FAULT, switchedHead } from './response-head.ts';
import { Http2Stream, type StreamOwner, type StreamWindows } from './stream.ts';
import { encodeRequest } from './write-request.ts';

/** Opens a stream again that the application has not processed; undefined: it was opened again once already. */
export type Reopen = ((head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler) => ClientStream) | undefined;

/** What its connection knows of a new stream. */
export interface ClientStreamOptions {
  readonly reused: boolean;
  readonly reopen: Reopen;
  /** The application has announced RFC 8441. */
  readonly takesTunnels: boolean;
}

/** What is needed to open the stream again. */
interface Opening {
  readonly head: ForwardHead;
  readonly request: StreamRequest;
}

/** Made by its connection for each request. */
export class Http2ClientStream extends Http2Stream implements ClientStream {
  readonly reused: boolean;
  readonly #reopen: Reopen;
  #handler: ClientStreamHandler | undefined;
  /** Kept until the application may have processed something. */
  #opening: Opening | undefined;
  /** Takes the place of this stream, which the application has not processed. */
  #successor: ClientStream | undefined;
  #method = '';
  readonly #takesTunnels: boolean;
  /** Headers of a request for a tunnel until it is answered. */
  #asked: HeaderList | undefined;
  /** The application has accepted the tunnel. */
  #isTunnel = false;
  #hasHead = false;
  /** Bytes of the response that are to come; {@link UNKNOWN_LENGTH}: not announced. */
  #remaining: BodyLength = 0;
  readonly #interims = new InterimResponses();
  #endDelivered = false;
  #trailers: HeaderList | undefined;

  constructor(id: number, owner: StreamOwner, windows: StreamWindows, options: ClientStreamOptions) {
    super(id, owner, windows);
    this.reused = options.reused;
    this.#reopen = options.reopen;
    this.#takesTunnels = options.takesTunnels;
  }

  /** Sends the head of the request. */
  begin(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler): void {
    this.#handler = handler;
    this.#method = request.method;
    if (head.upgrade !== '' && !this.#takesTunnels) {
      queueMicrotask(() => {
        this.owner.onStreamOver(this);
        this.fail('protocol', RESPONSE_FAULT.upgrade, undefined);
      });
      return;
    }
    if (this.#reopen !== undefined) this.#opening = { head, request };
    this.owner.writeBlock(this, (out) => encodeRequest(out, head, request));
    if (head.upgrade !== '') this.#asked = head.headers;
    else if (request.body === 0) this.endOutput(undefined);
  }

  /** Takes a header block: a head, or trailers. */
  receiveFields(fields: HeaderList, endStream: boolean): void {
    if (this.#hasHead) {
      if (!endStream || this.#isTunnel || !areTrailers(fields)) this.refuse(RESPONSE_FAULT.messaging);
      else this.endRemote(fields);
      return;
    }
    const head = parseResponseHead(fields, this.#method, endStream);
    if (typeof head === 'string') {
      this.refuse(head);
      return;
    }
    this.#opening = undefined;
    if (!this.isTouched) this.owner.touch(this);
    if (head.status < 200) {
      if (this.#interims.isNew(head.status)) this.#handler?.onResponseHead(head);
      return;
    }
    this.#hasHead = true;
    this.#isTunnel = this.#asked !== undefined && head.status === 200;
    this.#remaining = this.#isTunnel ? UNKNOWN_LENGTH : head.body;
    this.#handler?.onResponseHead(this.#isTunnel ? switchedHead(head, this.#asked ?? []) : head);
    this.#asked = undefined;
    if (endStream) this.endRemote(undefined);
  }

  /** The response breaks a rule. @param reason for response code details */
  refuse(reason: string): void {
    this.fail('protocol', reason, H2_ERROR.protocol);
  }

  /** The application has not processed the request: it is sent on another connection if nothing of its body was sent. */
  unprocessed(): void {
    const handler = this.#handler;
    const opening = this.#opening;
    if (handler === undefined) return;
    if (opening === undefined || this.#reopen === undefined) {
      this.fail('refused', '', undefined);
      return;
    }
    this.#handler = undefined;
    this.#opening = undefined;
    this.#successor = this.#reopen(opening.head, opening.request, handler);
    this.#successor.flush();
  }

  /** Reports that no (further) response will come. @param error resets the stream; undefined: it is closed already */
  fail(failure: UpstreamFailure, reason: string, error: H2Error | undefined): void {
    const handler = this.#handler;
    this.#handler = undefined;
    if (error !== undefined && !this.isOver) this.owner.writeReset(this, error);
    handler?.onUpstreamFailure(failure, reason);
  }

  override receiveData(buffer: Buffer, start: number, end: number): void {
    if (!this.#hasHead) {
      this.refuse(RESPONSE_FAULT.messaging);
      return;
    }
    if (this.#remaining !== UNKNOWN_LENGTH) {
      this.#remaining -= end - start;
      if (this.#remaining < 0) {
        this.refuse(RESPONSE_FAULT.contentLength);
        return;
      }
    }
    super.receiveData(buffer, start, end);
  }

  receiveEnd(trailers: HeaderList | undefined): void {
    if (!this.#hasHead) this.refuse(RESPONSE_FAULT.messaging);
    else if (this.#remaining > 0) this.refuse(RESPONSE_FAULT.contentLength);
    else {
      this.#trailers = trailers;
      this.#deliverEnd();
    }
  }

  receiveReset(error: H2Error | undefined): void {
    if (error === H2_ERROR.refusedStream && !this.#hasHead) this.unprocessed();
    else if (error === undefined) this.fail('termination', '', undefined);
    else this.fail(error === H2_ERROR.protocol ? 'protocol' : 'reset', '', undefined);
  }

  readDone(): void {
    this.#handler?.onResponseFlush();
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    if (this.#successor !== undefined) this.#successor.sendData(buffer, start, end);
    else if (end > start) {
      this.#opening = undefined;
      this.send(buffer, start, end);
    }
  }

  end(trailers?: HeaderList): void {
    if (this.#successor === undefined) this.endOutput(trailers);
    else this.#successor.end(trailers);
  }

  flush(): boolean {
    return this.#successor === undefined ? this.isOver || this.keepsUp() : this.#successor.flush();
  }

  pause(): void {
    this.isPaused = true;
    this.#successor?.pause();
  }

  resume(): void {
    this.isPaused = false;
    if (this.#successor === undefined) this.#resume();
    else this.#successor.resume();
  }

  reset(): void {
    this.#handler = undefined;
    if (this.#successor !== undefined) this.#successor.reset();
    else if (!this.isOver) this.owner.writeReset(this, H2_ERROR.cancel);
  }

  protected get wantsData(): boolean {
    return !this.isPaused;
  }

  protected get creditsHeldData(): boolean {
    return false;
  }

  protected deliver(buffer: Buffer, start: number, end: number): void {
    this.#handler?.onResponseData(buffer, start, end);
  }

  protected heldMore(): void {
    // What is held is delivered when the client reads again.
  }

  protected overloaded(): void {
    this.fail('termination', 'overload', H2_ERROR.enhanceYourCalm);
  }

  protected abort(error: H2Error): void {
    this.owner.writeReset(this, error);
    queueMicrotask(() => this.fail('termination', 'overload', undefined));
  }

  protected onOutputDrain(): void {
    this.#handler?.onUpstreamDrain();
  }

  protected onOutputEnded(): void {
    if (!this.isRemoteEnded || !this.#endDelivered) return;
    this.owner.onStreamOver(this);
    if (this.#isTunnel) queueMicrotask(() => this.fail('termination', '', undefined));
  }

  private endRemote(trailers: HeaderList | undefined): void {
    this.isRemoteEnded = true;
    this.receiveEnd(trailers);
  }

  #resume(): void {
    this.deliverHeld();
    this.#deliverEnd();
    this.#handler?.onResponseFlush();
  }

  #deliverEnd(): void {
    if (!this.isRemoteEnded || this.#endDelivered || this.isPaused) return;
    this.#endDelivered = true;
    const handler = this.#handler;
    if (this.#isTunnel) {
      handler?.onResponseEnd();
      if (this.isLocalEnded && !this.isOver) this.onOutputEnded();
      return;
    }
    this.#handler = undefined;
    handler?.onResponseEnd(this.#trailers);
    if (this.isOver) return;
    // The rest of the request is not wanted.
    if (this.isLocalEnded) this.owner.onStreamOver(this);
    else this.owner.writeReset(this, H2_ERROR.none);
  }
}
