/*
 * What both sides of an HTTP/2 connection have in common (RFC 9113): frames in, settings, flow control, header blocks, and the limits on
 * what a peer may make us do. A subclass knows which streams there are.
 */
import type { HeaderList } from '../../http/header-list.ts';
import { ConnectionOutput } from './connection-output.ts';
import { takePing, takePriority } from './control-frames.ts';
import { FrameReader, type FrameReceiver, type FrameView } from './frame-reader.ts';
import { DEFAULT_WINDOW, FLAG, FRAME, H2_ERROR, type H2Error, LARGEST_WINDOW } from './frames.ts';
import { type FieldsReceiver, HeaderFrames } from './header-frames.ts';
import type { BlockFault, DecoderLimits } from './hpack/decoder.ts';
import { PeerSettings } from './peer-settings.ts';
import type { Http2Stream } from './stream.ts';

/** What a connection announces about its receive windows. */
export interface ConnectionWindows {
  /** Initial window of a stream. */
  readonly stream: number;
  /** Window of the connection. */
  readonly connection: number;
  /** The peer gets credit for the connection only while it has made us hold less than this. */
  readonly held: number;
}

/** One side of a connection. */
export abstract class Http2Connection extends ConnectionOutput implements FrameReceiver, FieldsReceiver {
  protected readonly peer: PeerSettings = new PeerSettings();
  protected readonly reader: FrameReader = new FrameReader(this);
  protected readonly headerFrames: HeaderFrames;
  /** The highest id of a stream that the peer opened. */
  protected lastPeerStreamId = 0;
  /** It was closed, or is being closed: no frame is read any longer. */
  protected isEnding = false;
  readonly #windows: ConnectionWindows;
  #receiveWindow: number;
  #credit = 0;
  #held = 0;
  /** The DATA frame at hand: its stream (undefined: ignored), its length without the data so far, and END_STREAM. */
  #dataStream: Http2Stream | undefined;
  #dataOverhead = 0;
  #dataEnds = false;

  constructor(windows: ConnectionWindows, limits: DecoderLimits, maxStreams: number) {
    super(maxStreams);
    this.#windows = windows;
    this.#receiveWindow = windows.connection;
    this.headerFrames = new HeaderFrames(this, this.control, limits);
  }

  /** Settings that differ from the defaults, and the window of the connection. */
  protected writeSettings(settings: readonly (readonly [setting: number, value: number])[]): void {
    this.out.settings(settings);
    if (this.#windows.connection > DEFAULT_WINDOW) this.out.windowUpdate(0, this.#windows.connection - DEFAULT_WINDOW);
  }

  noteHeld(difference: number): void {
    this.#held += difference;
    if (difference < 0) this.#returnCredit();
  }

  /** The connection is gone, or given up. */
  protected dropStreams(): void {
    this.reader.stop();
    this.headerFrames.clear();
    for (const stream of this.allStreams()) {
      this.remove(stream, 'over');
      stream.receiveReset(undefined);
    }
  }

  onDataFrame(streamId: number, length: number, endStream: boolean): void {
    if (!this.#isInOrder(FRAME.data, streamId) || !this.#isForStream(streamId)) return;
    this.#dataEnds = endStream;
    this.#dataOverhead = length;
    this.#receiveWindow -= length;
    const stream = this.streamOf(streamId);
    this.#dataStream = undefined;
    if (this.#receiveWindow < 0) this.fail(H2_ERROR.flowControl);
    else if (length === 0 && !endStream && !this.control.spendOnEmpty()) this.fail(H2_ERROR.enhanceYourCalm);
    else if (stream === undefined) this.#onDataOfClosed(streamId);
    else if (stream.isRemoteEnded) this.resetStream(stream, H2_ERROR.streamClosed);
    else {
      stream.receiveWindow -= length;
      if (stream.receiveWindow < 0) this.resetStream(stream, H2_ERROR.flowControl);
      else this.#dataStream = stream;
    }
    if (length > 0) this.control.filled();
  }

  onDataBytes(buffer: Buffer, start: number, end: number): void {
    this.#dataOverhead -= end - start;
    this.#credit += end - start;
    const stream = this.#dataStream;
    if (stream !== undefined && !stream.isOver) stream.receiveData(buffer, start, end);
  }

  onDataFrameEnd(): void {
    const stream = this.#dataStream;
    const overhead = this.#dataOverhead;
    this.#dataStream = undefined;
    this.#credit += overhead;
    this.#returnCredit();
    if (stream === undefined || stream.isOver) return;
    if (this.#dataEnds) this.endRemote(stream, undefined);
    else if (overhead > 0) stream.returnCredit(overhead);
  }

  onFrame(frame: FrameView): void {
    if (!this.#isInOrder(frame.type, frame.streamId)) return;
    switch (frame.type) {
      case FRAME.headers:
        this.headerFrames.headers(frame);
        return;
      case FRAME.continuation:
        this.headerFrames.continuation(frame);
        return;
      case FRAME.windowUpdate:
        this.#onWindowUpdate(frame);
        return;
      case FRAME.rstStream:
        this.#onRstStream(frame);
        return;
      case FRAME.settings:
        this.#onSettings(frame);
        return;
      case FRAME.ping:
        this.#failUnlessNone(takePing(frame, this.control, this.out));
        this.scheduleFlush();
        return;
      case FRAME.goaway:
        this.#onGoaway(frame);
        return;
      case FRAME.priority:
        this.#failUnlessNone(takePriority(frame, this.control));
        return;
      case FRAME.pushPromise:
        this.fail(H2_ERROR.protocol);
        return;
      default:
        if (!this.control.spend()) this.fail(H2_ERROR.enhanceYourCalm);
    }
  }

  #failUnlessNone(error: H2Error): void {
    if (error !== H2_ERROR.none) this.fail(error);
  }

  #onGoaway({ streamId, buffer, start, end }: FrameView): void {
    if (streamId !== 0) this.fail(H2_ERROR.protocol);
    else if (end - start < 8) this.fail(H2_ERROR.frameSize);
    else this.onGoaway(buffer.readUInt32BE(start) & LARGEST_WINDOW, buffer.readUInt32BE(start + 4));
  }

  onFrameFault(error: H2Error): void {
    this.fail(error);
  }

  /** Ends a stream for a fault of the peer. */
  protected resetStream(stream: Http2Stream, error: H2Error): void {
    this.writeReset(stream, error);
    stream.receiveReset(error);
    this.scheduleFlush();
  }

  /** The peer has ended its side. */
  protected endRemote(stream: Http2Stream, trailers: HeaderList | undefined): void {
    stream.isRemoteEnded = true;
    if (!stream.isTouched) this.touch(stream);
    stream.receiveEnd(trailers);
  }

  /** Between the frames of a header block nothing else may come, and settings come first (RFC 9113 sections 3.4 and 4.3). */
  #isInOrder(type: number, streamId: number): boolean {
    if (this.isEnding) return false;
    const expected = this.headerFrames.streamId;
    const isBlocked = expected !== 0 && (type !== FRAME.continuation || streamId !== expected);
    if (!isBlocked && (expected !== 0 || type !== FRAME.continuation) && (this.peer.isKnown || type === FRAME.settings)) return true;
    this.fail(H2_ERROR.protocol);
    return false;
  }

  /** Frames of a stream have an id, and not one of a stream that was never opened. */
  #isForStream(streamId: number): boolean {
    if (streamId !== 0 && !this.isIdle(streamId)) return true;
    this.fail(H2_ERROR.protocol);
    return false;
  }

  #onDataOfClosed(streamId: number): void {
    // What was on its way when we reset the stream is ignored.
    if (this.endingOf(streamId) === 'reset') return;
    this.refuseStream(streamId, H2_ERROR.streamClosed);
  }

  onFields(streamId: number, fields: HeaderList | Exclude<BlockFault, 'compression'>, endStream: boolean): void {
    if (fields === 'field') {
      this.onMalformed(streamId);
      return;
    }
    const stream = this.streamOf(streamId);
    if (stream === undefined) {
      const ending = this.endingOf(streamId);
      if (ending === 'reset') return;
      if (ending === 'over') this.fail(H2_ERROR.streamClosed);
      else this.onNewStream(streamId, fields, endStream);
    } else if (stream.isRemoteEnded) this.fail(H2_ERROR.streamClosed);
    else if (typeof fields === 'string') this.resetStream(stream, H2_ERROR.internal);
    else this.onMoreFields(stream, fields as HeaderList, endStream);
  }

  #onWindowUpdate({ streamId, buffer, start, end }: FrameView): void {
    if (end - start !== 4) {
      this.fail(H2_ERROR.frameSize);
      return;
    }
    if (!this.control.spend()) {
      this.fail(H2_ERROR.enhanceYourCalm);
      return;
    }
    const bytes = buffer.readUInt32BE(start) & LARGEST_WINDOW;
    if (streamId === 0) {
      if (bytes === 0) this.fail(H2_ERROR.protocol);
      else if (!this.growWindow(bytes)) this.fail(H2_ERROR.flowControl);
    } else if (this.#isForStream(streamId)) {
      const stream = this.streamOf(streamId);
      if (stream === undefined) return;
      if (bytes === 0) this.resetStream(stream, H2_ERROR.protocol);
      else if (!stream.receiveWindowUpdate(bytes)) this.resetStream(stream, H2_ERROR.flowControl);
      this.scheduleFlush();
    }
  }

  #onRstStream({ streamId, buffer, start, end }: FrameView): void {
    if (end - start !== 4) {
      this.fail(H2_ERROR.frameSize);
      return;
    }
    if (!this.#isForStream(streamId)) return;
    const stream = this.streamOf(streamId);
    if (stream === undefined) {
      if (!this.control.spend()) this.fail(H2_ERROR.enhanceYourCalm);
      return;
    }
    this.remove(stream, 'over');
    stream.receiveReset(buffer.readUInt32BE(start));
    this.onPeerReset(stream);
  }

  #onSettings({ flags, streamId, buffer, start, end }: FrameView): void {
    const isAck = (flags & FLAG.ack) !== 0;
    const isCalm = this.control.spendOnSettings(Math.ceil((end - start) / 6));
    const before = this.peer.streamWindow;
    if (streamId !== 0) this.fail(H2_ERROR.protocol);
    else if (!isCalm) this.fail(H2_ERROR.enhanceYourCalm);
    else if (isAck) {
      if (end !== start) this.fail(H2_ERROR.frameSize);
    } else {
      const error = this.peer.apply(buffer, start, end);
      if (error !== H2_ERROR.none) this.fail(error);
      else if (!this.resizeWindows(this.peer.streamWindow - before)) this.fail(H2_ERROR.flowControl);
      else {
        this.out.settingsAck();
        this.scheduleFlush();
        this.onPeerSettings();
      }
    }
  }

  #returnCredit(): void {
    if (this.isEnding || this.#held > this.#windows.held || this.#credit * 2 < this.#windows.connection) return;
    this.#receiveWindow += this.#credit;
    this.out.windowUpdate(0, this.#credit);
    this.scheduleFlush();
    this.#credit = 0;
  }

  /** No stream with this id was opened so far, by either side. */
  protected abstract isIdle(streamId: number): boolean;
  /** A header block of a stream that is not open. */
  protected abstract onNewStream(streamId: number, fields: HeaderList | 'size' | 'count', endStream: boolean): void;
  /** A further header block of an open stream. */
  protected abstract onMoreFields(stream: Http2Stream, fields: HeaderList, endStream: boolean): void;
  /** A header block breaks the rules of RFC 9113 section 8. */
  protected abstract onMalformed(streamId: number): void;
  /** The peer has reset a stream. */
  protected abstract onPeerReset(stream: Http2Stream): void;
  protected onPeerSettings(): void {
    // A server reads them when it opens a stream.
  }
  /** A client that goes away closes the connection itself when it has all responses. */
  protected onGoaway(_lastStreamId: number, _error: H2Error): void {}
  /** Ends the connection for a fault of the peer. */
  abstract fail(error: H2Error): void;
}
