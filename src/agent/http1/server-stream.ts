/*
 * The requests of one HTTP/1.1 client connection as a server stream: delivers bodies on demand and writes responses. The same
 * object carries every request of its connection, one after the other.
 */
import type { LocalReply } from '../../http/local-reply.ts';
import type { ConnectionFacts, ResponseHead, ServerStream, ServerStreamHandler } from '../../http/stream.ts';
import type { MessageWriter } from '../net/message-writer.ts';
import type { PausedInput } from '../net/paused-input.ts';
import { BodyPrefixReader } from './body-prefix.ts';
import { BodyReader } from './body-reader.ts';
import { CODEC_ERROR, REQUEST_TIMEOUT } from './codec-replies.ts';
import type { Http1Request } from './request-head.ts';
import { ResponseWriter } from './response-writer.ts';
import type { ServerHost } from './server-host.ts';

/** The connection of a stream. */
export interface StreamConnection {
  readonly facts: ConnectionFacts;
  readonly input: PausedInput;
  readonly out: MessageWriter;
  /** Calls `expire` after `ms` milliseconds unless it is set again; 0: never. */
  setDeadline(ms: number): void;
  /** Continues with the bytes that were kept in `input`. */
  takeRest(): void;
  /** The request at hand is over. */
  onRequestOver(): void;
  /** Sends no more. */
  endOutput(): void;
  /** Sends no more, and drops the connection after a moment. */
  closeSoon(): void;
  destroy(): void;
}

/**
 * held: nothing more is wanted of the request; prefix: the handler wants bytes of the body first; body: the body passes;
 * upgrade: waiting for the response to an upgrade; tunnel: protocol switched.
 */
type Phase = 'held' | 'prefix' | 'body' | 'upgrade' | 'tunnel';

/** Made and driven by its connection. */
export class Http1ServerStream implements ServerStream {
  readonly connection: ConnectionFacts;
  startMs = 0;
  /** Close the connection after the request at hand. */
  isClosing = false;
  readonly #handler: ServerStreamHandler;
  readonly #owner: StreamConnection;
  readonly #input: PausedInput;
  readonly #out: MessageWriter;
  readonly #response: ResponseWriter;
  readonly #bodyTimeoutMs: number;
  readonly #body = new BodyReader(false);
  #prefix: BodyPrefixReader | undefined;
  #phase: Phase = 'held';
  /** The request at hand has a body that is not read to its end. */
  #unread = false;
  #isHead = false;
  #expectsContinue = false;

  constructor(owner: StreamConnection, host: ServerHost) {
    this.connection = owner.facts;
    this.#owner = owner;
    this.#input = owner.input;
    this.#out = owner.out;
    this.#response = new ResponseWriter(owner.out, host.date);
    this.#bodyTimeoutMs = host.timeouts.bodyTimeoutMs;
    this.#handler = host.createHandler(this);
  }

  /** Delivers a request head. */
  begin(request: Http1Request): void {
    this.#phase = 'held';
    this.isClosing ||= request.close;
    this.#isHead = request.method === 'HEAD';
    this.#expectsContinue = request.expectContinue;
    this.#unread = request.body !== 0;
    this.#body.start(request.body);
    this.#handler.onRequestHead(request);
  }

  /** Delivers that a head cannot be read. */
  fault(reply: LocalReply): void {
    this.#handler.onRequestFault(reply);
  }

  /** Takes bytes that arrived behind the head. @returns index behind the last byte that was taken */
  read(buffer: Buffer, start: number, end: number): number {
    switch (this.#phase) {
      case 'body':
        return this.#readBody(buffer, start, end);
      case 'prefix':
        this.#readPrefix(this.#prefix, this.#input.collect(buffer, start, end));
        return end;
      case 'tunnel':
        this.#handler.onRequestData(buffer, start, end);
        return end;
      default:
        this.#input.keep(buffer, start, end);
        return end;
    }
  }

  /** Everything of one read has been delivered. */
  readDone(): void {
    this.#handler.onRequestFlush();
  }

  /** The client sends no more. */
  inputEnded(): void {
    // In the phase `held` the connection is half-closed: the client still reads.
    if (this.#phase === 'held') this.isClosing = true;
    else if (this.#phase === 'tunnel') this.#handler.onRequestEnd();
    else this.#owner.destroy();
  }

  /** The client has read what was queued. */
  drained(): void {
    this.#handler.onStreamDrain();
  }

  /** The deadline has passed. */
  expired(): void {
    if (this.#phase === 'prefix' || this.#phase === 'body') this.#handler.onRequestFault(REQUEST_TIMEOUT);
    else this.#owner.destroy();
  }

  /** The connection is gone within a request. */
  gone(): void {
    this.#handler.onStreamReset();
  }

  readPrefix(bytes: number): void {
    const prefix = new BodyPrefixReader(this.#body.length, bytes);
    this.#prefix = prefix;
    this.#phase = 'prefix';
    for (const part of this.#input.parts) if (this.#prefix === prefix) this.#readPrefix(prefix, part);
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
    this.#phase = 'upgrade';
  }

  sendInterim(head: ResponseHead): void {
    if (head.status === 100) {
      if (!this.#expectsContinue) return;
      this.#expectsContinue = false;
    }
    this.#response.interim(head);
  }

  sendHead(head: ResponseHead): void {
    this.#endUpgrade();
    this.isClosing ||= this.#unread;
    this.#response.head(head, this.isClosing);
  }

  switchProtocols(head: ResponseHead, protocol: string): void {
    this.#phase = 'tunnel';
    this.#response.switchProtocols(head, protocol);
    this.#out.flush();
    if (this.#input.isHolding) this.#owner.takeRest();
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.#response.data(buffer, start, end);
  }

  end(): void {
    this.#response.end();
    this.#out.flush();
    if (this.#phase === 'tunnel') this.#owner.endOutput();
    else this.#over(this.#unread);
  }

  reply(reply: LocalReply): void {
    this.#endUpgrade();
    this.isClosing ||= reply.close || this.#unread;
    this.#response.reply(reply, this.#isHead, this.isClosing);
    this.#out.flush();
    this.#over(false);
  }

  flush(): boolean {
    return this.#out.flush();
  }

  pause(): void {
    this.#input.pause();
  }

  resume(): void {
    this.#input.resume();
  }

  close(): void {
    this.#owner.closeSoon();
  }

  reset(): void {
    this.#owner.destroy();
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const state = this.#body.read(buffer, start, end);
    const { next } = this.#body;
    if (state === 'bad') {
      this.#handler.onRequestFault(CODEC_ERROR);
      return end;
    }
    this.#handler.onRequestData(buffer, start, this.#body.dataEnd);
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
      this.#handler.onRequestFault(CODEC_ERROR);
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
    this.#out.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.#out.flush();
  }

  /** What follows a refused upgrade cannot be distinguished from a next request. */
  #endUpgrade(): void {
    if (this.#phase !== 'upgrade') return;
    this.#phase = 'held';
    this.isClosing = true;
  }

  #over(close: boolean): void {
    this.isClosing ||= close;
    this.startMs = 0;
    this.#unread = false;
    this.#isHead = false;
    this.#prefix = undefined;
    this.#owner.onRequestOver();
  }
}
