/*
 * The output of a connection and its streams: frames of one turn leave in one write, and flow control decides how much of a body does.
 */
import type { HeaderList } from '../../http/header-list.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedIdMap, BoundedList, BoundedSet } from '../../limits/containers.ts';
import { ControlCredit } from './control-credit.ts';
import { FrameWriter } from './frame-writer.ts';
import { DEFAULT_WINDOW, type H2Error, LARGEST_WINDOW, PAYLOAD_BYTES } from './frames.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import { type Ending, RecentStreams } from './recent-streams.ts';
import type { Http2Stream, StreamOwner } from './stream.ts';

/** The streams of a connection, and what is written for them. */
export abstract class ConnectionOutput implements StreamOwner {
  /** Too much waits in the socket. */
  isFull = false;
  protected readonly out: FrameWriter = new FrameWriter();
  protected readonly control: ControlCredit = new ControlCredit();
  readonly #streams: BoundedIdMap<Http2Stream>;
  readonly #blocked: BoundedSet<Http2Stream>;
  readonly #endings = new RecentStreams();
  /** Streams of which the read at hand has delivered something. */
  readonly #touched = new BoundedList<Http2Stream>(LIMITS.connectionStreams);
  #sendWindow = DEFAULT_WINDOW;
  #flushScheduled = false;

  constructor(maxStreams: number) {
    this.#streams = new BoundedIdMap(LIMITS.connectionStreams, maxStreams);
    this.#blocked = new BoundedSet(LIMITS.connectionStreams, maxStreams);
  }

  /** Open streams. */
  get streamCount(): number {
    return this.#streams.size;
  }

  writeData(stream: Http2Stream, buffer: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + Math.min(stream.sendWindow, this.#sendWindow));
    if (stop <= start) return 0;
    for (let at = start; at < stop; at += PAYLOAD_BYTES) {
      this.out.data(stream.id, buffer, at, Math.min(stop, at + PAYLOAD_BYTES));
      this.control.earn();
    }
    stream.sendWindow -= stop - start;
    this.#sendWindow -= stop - start;
    this.scheduleFlush();
    return stop - start;
  }

  writeEnd(stream: Http2Stream): void {
    this.out.end(stream.id);
    this.scheduleFlush();
  }

  writeBlock(stream: Http2Stream, encode: (out: ByteWriter) => void): void {
    if (stream.isOver) return;
    this.out.block(stream.id, encode);
    this.scheduleFlush();
  }

  writeFields(stream: Http2Stream, fields: HeaderList, endStream: boolean): void {
    this.out.fields(stream.id, fields);
    if (endStream) this.out.end(stream.id);
    this.scheduleFlush();
  }

  writeCredit(stream: Http2Stream, bytes: number): void {
    this.out.windowUpdate(stream.id, bytes);
    this.scheduleFlush();
  }

  writeReset(stream: Http2Stream, error: H2Error): void {
    this.refuseStream(stream.id, error);
    this.remove(stream, 'reset');
  }

  /** Refuses a stream that was not opened, or no longer exists. */
  protected refuseStream(streamId: number, error: H2Error): void {
    this.out.reset(streamId, error);
    if (this.#streams.get(streamId) === undefined) this.#endings.add(streamId, 'reset');
    this.scheduleFlush();
  }

  /** Sends what was written when the input and output at hand is handled. */
  protected scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flushOutput();
    });
  }

  /** The socket takes more. */
  protected outputDrained(): void {
    for (const stream of this.#streams.values()) stream.drained();
  }

  protected streamOf(streamId: number): Http2Stream | undefined {
    return this.#streams.get(streamId);
  }

  protected allStreams(): IterableIterator<Http2Stream> {
    return this.#streams.values();
  }

  /** The caller compares {@link streamCount} with the maximum before it opens a stream. */
  protected addStream(stream: Http2Stream): void {
    this.#streams.set(stream.id, stream);
  }

  onStreamOver(stream: Http2Stream): void {
    this.remove(stream, 'over');
  }

  setBlocked(stream: Http2Stream, blocked: boolean): void {
    if (blocked) this.#blocked.add(stream);
    else this.#blocked.delete(stream);
  }

  touch(stream: Http2Stream): void {
    stream.isTouched = this.#touched.push(stream);
    if (!stream.isTouched) stream.readDone();
  }

  /** Everything of one read has been delivered. */
  protected readDone(): void {
    for (let stream = this.#touched.pop(); stream !== undefined; stream = this.#touched.pop()) {
      stream.isTouched = false;
      stream.readDone();
    }
  }

  /** How a stream that was open lately ended; undefined: not known. */
  protected endingOf(streamId: number): Ending | undefined {
    return this.#endings.endingOf(streamId);
  }

  /** Removes a stream whose end is written or was received. */
  protected remove(stream: Http2Stream, ending: Ending): void {
    if (!this.#streams.delete(stream.id)) return;
    stream.dispose();
    this.#endings.add(stream.id, ending);
    this.onStreamRemoved(stream);
  }

  /** The window of the connection grew. @returns false: it is larger than allowed */
  protected growWindow(bytes: number): boolean {
    this.#sendWindow += bytes;
    if (this.#sendWindow > LARGEST_WINDOW) return false;
    this.#sendBlocked();
    return true;
  }

  /** The initial window of streams has changed. @returns false: the window of one is larger than allowed */
  protected resizeWindows(difference: number): boolean {
    if (difference === 0) return true;
    for (const stream of this.#streams.values()) if (!stream.receiveWindowUpdate(difference)) return false;
    return true;
  }

  /** Those that have waited longest first; each goes to the end of the queue if it still waits. */
  #sendBlocked(): void {
    for (let left = this.#blocked.size; left > 0 && this.#sendWindow > 0; left -= 1) {
      const stream = this.#blocked.oldest;
      if (stream === undefined) break;
      stream.sendHeld();
      if (this.#blocked.delete(stream)) this.#blocked.add(stream);
    }
    this.scheduleFlush();
  }

  /** Bytes of the stream that the connection holds. */
  abstract noteHeld(difference: number): void;
  abstract nowMs(): number;
  /** Hands what was written to the socket. */
  protected abstract flushOutput(): void;
  protected abstract onStreamRemoved(stream: Http2Stream): void;
}
