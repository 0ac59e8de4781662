/*
 * Client side of HTTP/2: one connection to the application, with prior knowledge. It serves many exchanges at a time.
 */
import type { Clock } from '../../clock.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { ClientStream, ClientStreamHandler, StreamRequest, UpstreamFailure } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import { ConnectRetries } from '../net/connect-retries.ts';
import type { OutgoingSocket } from '../net/outgoing-socket.ts';
import { connectSocket, type OutgoingSocketEvents } from '../net/socket-events.ts';
import { AwaitedTunnel } from './awaited-tunnel.ts';
import { Http2ClientStream, type Reopen } from './client-stream.ts';
import { Http2Connection } from './connection.ts';
import { H2_ERROR, type H2Error, LARGEST_WINDOW, PREFACE, SETTING } from './frames.ts';
import { RESPONSE_FAULT } from './response-head.ts';
import { type Http2Stream, WAITING_BYTES } from './stream.ts';

/** One client that does not read must not stop the streams of others: the connection gets credit whatever is held. */
const WINDOWS = {
  stream: LIMITS.upstreamStreamWindow.value,
  connection: LIMITS.upstreamConnectionWindow.value,
  held: Number.POSITIVE_INFINITY,
};
const HEAD_LIMITS = { listBytes: LIMITS.responseHeadBytes.value, fields: LIMITS.responseHeaders.value };
const MAX_STREAMS = LIMITS.upstreamStreams.value;

/** The pool of a client connection. */
export interface Http2ConnectionOwner {
  readonly clock: Clock;
  /** Streams that the application allowed on a connection, as far as it has said so; what a new connection assumes until it says so again. */
  knownStreams: number;
  /** It is being established, maybe once more: its deadline begins again. */
  onConnecting(connection: Http2ClientConnection): void;
  /** Its last stream is over. */
  onConnectionIdle(connection: Http2ClientConnection): void;
  /** Called once, when the socket is closed. */
  onConnectionClosed(connection: Http2ClientConnection): void;
}

/** A connection to the application. */
export class Http2ClientConnection extends Http2Connection implements OutgoingSocketEvents {
  readonly isPassing = true;
  /** Monotonic milliseconds after which the pool calls `expire`; 0: none. */
  deadlineMs = 0;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #owner: Http2ConnectionOwner;
  readonly #retries = new ConnectRetries(() => this.#reconnect());
  #socket: OutgoingSocket;
  #isConnected = false;
  #isClosed = false;
  #nextStreamId = 1;
  /** Requests for tunnels that wait for the settings of the application; undefined: none did. */
  #awaited: BoundedSet<AwaitedTunnel> | undefined;
  /** Why the connection failed, for the streams that end with it. */
  #fault = '';

  constructor(address: { readonly host: string; readonly port: number }, owner: Http2ConnectionOwner) {
    super(WINDOWS, HEAD_LIMITS, MAX_STREAMS);
    this.#address = address;
    this.#owner = owner;
    this.out.raw(PREFACE);
    this.writeSettings([
      [SETTING.enablePush, 0],
      [SETTING.initialWindowSize, WINDOWS.stream],
      [SETTING.maxHeaderListSize, HEAD_LIMITS.listBytes],
    ]);
    this.#socket = this.#connect();
  }

  nowMs(): number {
    return this.#owner.clock.nowMs();
  }

  /** Another stream can be opened. */
  get canOpen(): boolean {
    const allowed = this.peer.isKnown ? Math.min(this.peer.maxStreams, MAX_STREAMS) : this.#owner.knownStreams;
    return !this.isEnding && !this.#isClosed && this.streamCount < allowed && this.#nextStreamId < LARGEST_WINDOW;
  }

  /** Starts an exchange by sending its head. @param reopen see {@link Reopen} */
  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, reopen: Reopen): ClientStream {
    return head.upgrade !== '' && !this.peer.isKnown
      ? this.#await(new AwaitedTunnel(head, request, handler))
      : this.#open(head, request, handler, reopen);
  }

  #open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, reopen: Reopen): ClientStream {
    if (this.#isConnected) this.deadlineMs = 0;
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const windows = { send: this.peer.streamWindow, receive: WINDOWS.stream, budget: WAITING_BYTES };
    const stream = new Http2ClientStream(id, this, windows, { reused: id > 1, reopen, takesTunnels: this.peer.enablesConnect });
    this.addStream(stream);
    stream.begin(head, request, handler);
    return stream;
  }

  /** The deadline has passed: it was not established in time, or idle for too long. */
  expire(): void {
    if (this.#isConnected && !this.#isAwaited) this.#end(H2_ERROR.none);
    else this.#drop('timeout');
  }

  /** Drops the connection and its streams. */
  destroy(): void {
    this.#drop('termination');
  }

  /** Allows the application more control frames, as time passes. */
  sweep(): void {
    this.control.restore();
  }

  onBytes(buffer: Buffer, length: number): void {
    this.reader.read(buffer, 0, length, never);
    this.readDone();
  }

  onEnd(): void {
    this.#drop('termination');
  }

  onDrain(): void {
    this.isFull = false;
    this.outputDrained();
  }

  onWriteFailed(): void {
    // A response may still be there to read; the connection ends with its input.
    this.isEnding = this.streamCount === 0;
  }

  onClose(): void {
    if (!this.#isConnected && !this.#isClosed && this.#retries.schedule()) return;
    this.#drop(this.#isConnected ? 'termination' : 'connect');
    this.#owner.onConnectionClosed(this);
  }

  protected flushOutput(): void {
    if (!this.#isConnected || this.#isClosed) return;
    this.out.send(this.#socket);
    this.isFull = this.#socket.writableNeedDrain;
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId >= this.#nextStreamId;
  }

  protected onNewStream(streamId: number): void {
    // We allow no pushed streams; what we have reset may still be answered.
    if (this.isIdle(streamId)) this.fail(H2_ERROR.protocol);
  }

  protected onMoreFields(stream: Http2Stream, fields: HeaderList, endStream: boolean): void {
    (stream as Http2ClientStream).receiveFields(fields, endStream);
  }

  protected onMalformed(streamId: number): void {
    const stream = this.streamOf(streamId);
    if (stream === undefined) return;
    (stream as Http2ClientStream).refuse(RESPONSE_FAULT.fields);
  }

  protected onStreamRemoved(): void {
    if (this.streamCount > 0 || this.#isClosed) return;
    if (this.isEnding || !this.canOpen) this.#end(H2_ERROR.none);
    else this.#owner.onConnectionIdle(this);
  }

  protected onPeerReset(): void {
    // Its stream has reported it.
  }

  protected override onPeerSettings(): void {
    this.#owner.knownStreams = Math.max(1, Math.min(this.peer.maxStreams, MAX_STREAMS));
    if (!this.#isAwaited) return;
    this.deadlineMs = 0;
    for (const tunnel of this.#takeAwaited()) {
      if (this.canOpen) tunnel.start((head, request, handler) => this.#open(head, request, handler, undefined));
      else tunnel.fail('refused', '');
    }
    if (this.streamCount === 0) this.#owner.onConnectionIdle(this);
  }

  protected override onGoaway(lastStreamId: number): void {
    this.#nextStreamId = LARGEST_WINDOW;
    for (const stream of this.allStreams() as IterableIterator<Http2ClientStream>) {
      if (stream.id <= lastStreamId) continue;
      this.onStreamOver(stream);
      stream.unprocessed();
    }
    if (this.streamCount === 0) this.#end(H2_ERROR.none);
  }

  fail(error: H2Error): void {
    if (this.isEnding) return;
    this.#fault = RESPONSE_FAULT.messaging;
    this.out.goaway(0, error);
    this.flushOutput();
    this.#drop('protocol');
  }

  #connect(): OutgoingSocket {
    this.#owner.onConnecting(this);
    const socket = connectSocket(this.#address, this);
    socket.once('connect', () => {
      this.#isConnected = true;
      this.deadlineMs = 0;
      this.flushOutput();
      if (this.#isAwaited) this.#owner.onConnecting(this);
      else if (this.streamCount === 0) this.#owner.onConnectionIdle(this);
    });
    return socket;
  }

  #reconnect(): void {
    this.#socket = this.#connect();
  }

  /** Requests wait for the settings of the application. */
  get #isAwaited(): boolean {
    return this.#awaited !== undefined && this.#awaited.size > 0;
  }

  #await(tunnel: AwaitedTunnel): AwaitedTunnel {
    this.#awaited ??= new BoundedSet(LIMITS.upstreamStreams);
    if (this.#isConnected && !this.#isAwaited) this.#owner.onConnecting(this);
    // The caller has no stream yet that could fail.
    if (!this.#awaited.add(tunnel)) queueMicrotask(() => tunnel.fail('refused', ''));
    return tunnel;
  }

  #takeAwaited(): Iterable<AwaitedTunnel> {
    const awaited = this.#awaited ?? [];
    this.#awaited = undefined;
    return awaited;
  }

  /** Closes the connection in good order. */
  #end(error: H2Error): void {
    if (this.#isClosed) return;
    this.out.goaway(0, error);
    this.flushOutput();
    this.#drop('termination');
  }

  #drop(failure: UpstreamFailure): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isEnding = true;
    this.reader.stop();
    this.headerFrames.clear();
    for (const stream of this.allStreams() as IterableIterator<Http2ClientStream>) {
      this.onStreamOver(stream);
      stream.fail(failure, this.#fault, undefined);
    }
    for (const tunnel of this.#takeAwaited()) tunnel.fail(failure, this.#fault);
    if (this.#retries.cancel()) this.#owner.onConnectionClosed(this);
    else this.#socket.destroy();
  }
}

function never(): boolean {
  return false;
}
