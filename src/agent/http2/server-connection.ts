/*
 * Server side of HTTP/2: one client connection. Opens a stream for each request, keeps the deadlines, and closes the connection.
 */
import type { Socket } from 'node:net';
import type { HeaderList } from '../../http/header-list.ts';
import type { ConnectionFacts } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { nextTurn } from '../../limits/timers.ts';
import { ClientOutput } from '../net/client-output.ts';
import { LINGER_MS, LingeringClose } from '../net/lingering-close.ts';
import { PausedInput } from '../net/paused-input.ts';
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';
import { HEADERS_TOO_LARGE, MALFORMED, TOO_MANY_HEADERS } from './codec-replies.ts';
import { Http2Connection } from './connection.ts';
import { FrameDeadline } from './frame-deadline.ts';
import { H2_ERROR, type H2Error, LARGEST_WINDOW } from './frames.ts';
import { areTrailers } from './message-fields.ts';
import { parseRequestHead } from './request-head.ts';
import { ResetRate } from './reset-rate.ts';
import type { Http2CloseReason, Http2ServerHost } from './server-host.ts';
import { HEAD_LIMITS, MAX_STREAMS, SETTINGS, WINDOWS } from './server-settings.ts';
import { Http2ServerStream } from './server-stream.ts';
import { type Http2Stream, REQUEST_BYTES } from './stream.ts';
import { releaseStream, takeStream } from './stream-shares.ts';

const REQUESTS_PER_TURN = LIMITS.requestsPerTurn.value;

/** open: requests are served; draining: GOAWAY was sent; drain: this side is closed, input is discarded. */
type Phase = 'open' | 'draining' | 'drain' | 'closed';

/** A client connection; the listener sweeps its deadlines. */
export class Http2ServerConnection extends Http2Connection implements SocketEvents {
  readonly facts: ConnectionFacts;
  readonly isPassing = true;
  readonly #host: Http2ServerHost;
  readonly #socket: Socket;
  readonly #input: PausedInput;
  readonly #output: ClientOutput;
  readonly #lingering = new LingeringClose();
  readonly #resets = new ResetRate();
  readonly #frameDeadline: FrameDeadline;
  #phase: Phase = 'open';
  #reason: Http2CloseReason | undefined;
  /** Monotonic milliseconds since when no stream is open; 0: one is. */
  #idleSinceMs: number;
  /** Monotonic milliseconds of the last GOAWAY; 0: none was sent. */
  #goawaySinceMs = 0;
  /** Streams that the client opens now are refused. */
  #isGoawayFinal = false;
  #requestsInTurn = 0;
  #isWaitingForTurn = false;

  /** The preface of the client has been read. */
  constructor(accepted: AcceptedSocket, facts: ConnectionFacts, host: Http2ServerHost) {
    super(WINDOWS, HEAD_LIMITS, MAX_STREAMS);
    this.facts = facts;
    this.#host = host;
    this.#socket = accepted.attach(this);
    this.#input = new PausedInput(this.#socket);
    this.#output = new ClientOutput(this.#socket, () => this.onDrain());
    this.#idleSinceMs = this.nowMs();
    this.#frameDeadline = new FrameDeadline(this.reader, this.headerFrames, this.#idleSinceMs);
    this.writeSettings(SETTINGS);
    this.scheduleFlush();
  }

  nowMs(): number {
    return this.#host.clock.nowMs();
  }

  /** Asks the client to open no more streams here; those that are on their way are served. */
  finish(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    this.#goawaySinceMs = this.nowMs();
    this.out.goaway(LARGEST_WINDOW, H2_ERROR.none);
    this.scheduleFlush();
  }

  /** Ends a connection without a stream, and refuses further ones. */
  shutDown(): void {
    this.#reason ??= 'shutdown';
    this.#refuseMore();
    for (const stream of this.allStreams() as IterableIterator<Http2ServerStream>) stream.shutDown();
  }

  /** Drops the connection. */
  destroy(reason: Http2CloseReason): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Ends what has passed its deadline. */
  sweep(nowMs: number): void {
    const { headTimeoutMs, idleTimeoutMs, unreadTimeoutMs } = this.#host.timeouts;
    this.control.restore();
    if (this.#phase === 'closed') return;
    if (this.#output.isUnread(nowMs, unreadTimeoutMs)) this.destroy('unread');
    else if (this.#phase === 'drain') {
      if (nowMs - this.#goawaySinceMs >= LINGER_MS && this.#socket.writableLength === 0) this.destroy('client');
    } else if (!this.#input.isPaused && this.#frameDeadline.isOver(nowMs, headTimeoutMs)) this.#timeOut('timeout');
    else if (this.#idleSinceMs !== 0 && nowMs - this.#idleSinceMs >= idleTimeoutMs) this.#timeOut('idle');
    else {
      if (this.#phase === 'draining' && nowMs - this.#goawaySinceMs >= LINGER_MS) this.#refuseMore();
      this.#sweepStreams(nowMs, unreadTimeoutMs);
    }
  }

  onBytes(buffer: Buffer, length: number): void {
    this.#consume(buffer, 0, length);
  }

  onEnd(): void {
    this.#reason ??= 'client';
    this.#close();
  }

  onDrain(): void {
    if (!this.#output.update() || this.#phase === 'closed') return;
    this.isFull = false;
    this.outputDrained();
    if (this.#input.isPaused && !this.#isWaitingForTurn) this.#takeRest();
  }

  onClose(): void {
    this.#phase = 'closed';
    this.isEnding = true;
    this.#input.close();
    this.#output.release();
    this.dropStreams();
    this.#host.onConnectionClosed(this, this.#reason ?? 'client');
  }

  protected flushOutput(): void {
    if (this.#phase === 'closed' || !this.#socket.writable) return;
    this.out.send(this.#socket);
    this.isFull = !this.#output.update();
    // Replies to frames must not pile up either: a client that does not read is not read.
    if (this.isFull) this.#input.pause();
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.lastPeerStreamId;
  }

  protected onNewStream(streamId: number, fields: HeaderList | 'size' | 'count', endStream: boolean): void {
    if (!this.isIdle(streamId) || streamId % 2 === 0) {
      this.fail(H2_ERROR.protocol);
      return;
    }
    this.lastPeerStreamId = streamId;
    if (this.#phase === 'drain') return;
    if (this.#isGoawayFinal || this.streamCount >= MAX_STREAMS || !takeStream(this.streamCount)) {
      this.refuseStream(streamId, H2_ERROR.refusedStream);
      if (!this.#resets.resetEarly()) this.fail(H2_ERROR.enhanceYourCalm);
      return;
    }
    this.#requestsInTurn += 1;
    this.#idleSinceMs = 0;
    const stream = this.#open(streamId);
    const request = typeof fields === 'string' ? undefined : parseRequestHead(fields, endStream);
    if (request !== undefined) {
      this.touch(stream);
      stream.begin(request, endStream);
      return;
    }
    stream.refuse(fields === 'size' ? HEADERS_TOO_LARGE : fields === 'count' ? TOO_MANY_HEADERS : MALFORMED);
    if (typeof fields === 'string') this.writeReset(stream, H2_ERROR.internal);
    else {
      this.onStreamOver(stream);
      this.fail(H2_ERROR.protocol);
    }
  }

  protected onMoreFields(stream: Http2Stream, fields: HeaderList, endStream: boolean): void {
    // RFC 9113 section 8.5.
    if ((stream as Http2ServerStream).isTunnel) this.resetStream(stream, H2_ERROR.protocol);
    else if (endStream && areTrailers(fields)) this.endRemote(stream, fields);
    else this.onMalformed(stream.id);
  }

  protected onMalformed(streamId: number): void {
    if (this.streamOf(streamId) === undefined && this.isIdle(streamId) && this.#phase !== 'drain' && takeStream(this.streamCount)) {
      this.lastPeerStreamId = streamId;
      const stream = this.#open(streamId);
      stream.refuse(MALFORMED);
      this.onStreamOver(stream);
    }
    this.fail(H2_ERROR.protocol);
  }

  protected onStreamRemoved(): void {
    releaseStream();
    this.#resets.ended();
    if (this.streamCount > 0) return;
    this.#idleSinceMs = this.nowMs();
    if (this.#isGoawayFinal && this.#phase === 'draining') this.#close();
  }

  protected onPeerReset(): void {
    if (!this.#resets.resetEarly()) this.fail(H2_ERROR.enhanceYourCalm);
  }

  fail(error: H2Error): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.#reason ??= error === H2_ERROR.enhanceYourCalm ? 'overload' : 'refused';
    this.out.goaway(this.lastPeerStreamId, error);
    this.dropStreams();
    this.#close();
  }

  #refuseMore(): void {
    if (this.#isGoawayFinal || this.#phase === 'drain' || this.#phase === 'closed') return;
    this.#phase = 'draining';
    this.#isGoawayFinal = true;
    this.out.goaway(this.lastPeerStreamId, H2_ERROR.none);
    this.scheduleFlush();
    if (this.streamCount === 0) this.#close();
  }

  /** Sends what is left, and discards for a moment what the client still sends: a reset would destroy our last frames on their way. */
  #close(): void {
    if (this.#phase === 'drain' || this.#phase === 'closed') return;
    this.flushOutput();
    this.#phase = 'drain';
    this.isEnding = true;
    this.#goawaySinceMs = this.nowMs();
    this.dropStreams();
    this.#input.release();
    this.#socket.end();
  }

  #timeOut(reason: Http2CloseReason): void {
    this.#reason ??= reason;
    this.out.goaway(this.lastPeerStreamId, H2_ERROR.none);
    this.#close();
  }

  #open(streamId: number): Http2ServerStream {
    const windows = { send: this.peer.streamWindow, receive: WINDOWS.stream, budget: REQUEST_BYTES };
    const stream = new Http2ServerStream(streamId, this, this.#host, windows);
    this.addStream(stream);
    return stream;
  }

  #sweepStreams(nowMs: number, unreadTimeoutMs: number): void {
    for (const stream of this.allStreams() as IterableIterator<Http2ServerStream>) {
      if (!stream.sweep(nowMs, unreadTimeoutMs)) this.resetStream(stream, H2_ERROR.cancel);
    }
  }

  #consume(buffer: Buffer, start: number, end: number): void {
    if (this.#phase === 'drain') {
      if (!this.#lingering.discard(end - start, this.nowMs())) this.destroy('client');
      return;
    }
    if (this.#input.isPaused) {
      if (!this.#input.keep(buffer, start, end)) this.destroy('overload');
      return;
    }
    const next = this.reader.read(buffer, start, end, this.#pauses);
    this.readDone();
    if (next === end) this.#requestsInTurn = 0;
    else if (this.#phase === 'open' || this.#phase === 'draining') this.#waitForTurn(buffer, next, end);
    this.#frameDeadline.update(this.nowMs());
  }

  readonly #pauses = (): boolean => this.#requestsInTurn >= REQUESTS_PER_TURN;

  /** Other connections are served before the rest of these requests. */
  #waitForTurn(buffer: Buffer, start: number, end: number): void {
    this.#input.pause();
    if (!this.#input.keep(buffer, start, end)) {
      this.destroy('overload');
      return;
    }
    if (this.#isWaitingForTurn) return;
    this.#isWaitingForTurn = true;
    nextTurn(() => {
      this.#isWaitingForTurn = false;
      this.#requestsInTurn = 0;
      if (!this.isFull) this.#takeRest();
    });
  }

  #takeRest(): void {
    if (this.#phase === 'closed' || this.#phase === 'drain') return;
    const rest = this.#input.release();
    if (rest !== undefined) this.#consume(rest, 0, rest.length);
  }
}
