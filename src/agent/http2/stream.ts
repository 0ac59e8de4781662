/*
 * One stream of a connection, for both sides: flow control in both directions, the end of each side, and what waits for the window.
 */
import type { HeaderList } from '../../http/header-list.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet, ByteBudget } from '../../limits/containers.ts';
import { INPUT_BUDGET } from '../net/paused-input.ts';
import { H2_ERROR, type H2Error, LARGEST_WINDOW } from './frames.ts';
import { HeldBytes } from './held-bytes.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import { ReceiveWindow } from './receive-window.ts';

/** Bytes of requests that wait for the application, and their limit. */
export const REQUEST_BYTES: ByteBudget = INPUT_BUDGET;
/** Bytes that wait for the flow-control windows of peers, and those of responses that wait for them; of the whole process. */
export const WAITING_BYTES: ByteBudget = new ByteBudget(LIMITS.streamOutputBudget);
/** Streams of which {@link WAITING_BYTES} are held, those first whose peers have taken nothing for the longest time. */
const WAITING = new BoundedSet<Http2Stream>(LIMITS.streams, LIMITS.streams.value * 2);

/** Windows of a new stream. */
export interface StreamWindows {
  /** What the peer allows. */
  readonly send: number;
  /** What this side announced. */
  readonly receive: number;
  /** Limits what is held of what the peer sends. */
  readonly budget: ByteBudget;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** Writes as much of `buffer[start, end)` as both windows allow, in DATA frames. @returns number of bytes written */
  writeData(stream: Http2Stream, buffer: Buffer, start: number, end: number): number;
  /** Ends this side: sets END_STREAM on what the stream wrote last, or writes an empty frame. */
  writeEnd(stream: Http2Stream): void;
  /** Writes the header block that `encode` writes. */
  writeBlock(stream: Http2Stream, encode: (out: ByteWriter) => void): void;
  /** Writes a header block with these fields. */
  writeFields(stream: Http2Stream, fields: HeaderList, endStream: boolean): void;
  /** Returns flow-control credit of the stream to the peer. */
  writeCredit(stream: Http2Stream, bytes: number): void;
  /** Ends the stream with RST_STREAM. */
  writeReset(stream: Http2Stream, error: H2Error): void;
  /** The stream waits for a window, or does so no longer. */
  setBlocked(stream: Http2Stream, blocked: boolean): void;
  /** Bytes of the stream that the connection holds. */
  noteHeld(difference: number): void;
  /** Both sides have ended, or it was reset. */
  onStreamOver(stream: Http2Stream): void;
  /** The read at hand has delivered something of the stream: `readDone` follows. */
  touch(stream: Http2Stream): void;
  /** Too much waits in the socket. */
  readonly isFull: boolean;
  /** Monotonic milliseconds. */
  nowMs(): number;
}

/** A stream; its connection calls what begins with `receive`. */
export abstract class Http2Stream {
  readonly id: number;
  /** How much the peer allows to be sent. */
  sendWindow: number;
  /** How much the peer may still send. */
  receiveWindow: number;
  /** Monotonic milliseconds since when output waits for a window; 0: none does. */
  blockedSinceMs = 0;
  /** The peer sends no more. */
  isRemoteEnded = false;
  /** This side sends no more. */
  isLocalEnded = false;
  /** It was reset, or both sides have ended. */
  isOver = false;
  protected readonly owner: StreamOwner;
  /** The read at hand has delivered something. */
  isTouched = false;
  /** Nothing is delivered. */
  protected isPaused = false;
  /** Made when bytes have to wait for the first time, as are those of the other direction. */
  #input: HeldBytes | undefined;
  #output: HeldBytes | undefined;
  readonly #window: ReceiveWindow;
  readonly #budget: ByteBudget;
  /** Bytes that are held and give no credit yet. */
  #uncredited = 0;
  #ending = false;
  #trailers: HeaderList | undefined;
  /** `flush` has returned false. */
  #isStalled = false;

  constructor(id: number, owner: StreamOwner, windows: StreamWindows) {
    this.id = id;
    this.owner = owner;
    this.sendWindow = windows.send;
    this.receiveWindow = windows.receive;
    this.#window = new ReceiveWindow(windows.receive);
    this.#budget = windows.budget;
  }

  /** Bytes of a DATA frame, without padding. */
  receiveData(buffer: Buffer, start: number, end: number): void {
    if (this.isOver) return;
    if (!this.isTouched) this.owner.touch(this);
    if (this.wantsData && this.heldLength === 0) {
      this.deliver(buffer, start, end);
      if (this.wantsData) this.returnCredit(end - start);
      else this.#uncredited += end - start;
      return;
    }
    this.#input ??= new HeldBytes(this.#budget);
    if (!this.#hold(this.#input, buffer, start, end)) {
      this.overloaded();
      return;
    }
    if (this.#isStalling) WAITING.add(this);
    this.#window.shrink();
    this.owner.noteHeld(end - start);
    if (this.creditsHeldData) this.returnCredit(end - start);
    else this.#uncredited += end - start;
    this.heldMore();
  }

  /** The window grew. @returns false: it is larger than allowed */
  receiveWindowUpdate(bytes: number): boolean {
    this.sendWindow += bytes;
    if (this.sendWindow > LARGEST_WINDOW) return false;
    this.sendHeld();
    return true;
  }

  /** Sends what waits for the window, as far as it allows. */
  sendHeld(): void {
    const output = this.#output;
    if (this.isOver || output === undefined || output.length === 0) return;
    const { bytes } = output;
    const written = this.owner.writeData(this, bytes, 0, bytes.length);
    if (written === 0) return;
    output.drop(written);
    this.#requeue();
    this.blockedSinceMs = this.owner.nowMs();
    if (output.length > 0) return;
    this.blockedSinceMs = 0;
    this.owner.setBlocked(this, false);
    if (this.#ending) this.#finish();
    else this.drained();
  }

  /** The socket takes more, or the window does. */
  drained(): void {
    if (!this.#isStalled || this.isOver || this.#waits || this.owner.isFull) return;
    this.#isStalled = false;
    this.onOutputDrain();
  }

  /** The stream is gone: forgets what waits. */
  dispose(): void {
    this.isOver = true;
    this.#window.dispose();
    if (this.#input !== undefined) {
      WAITING.delete(this);
      this.owner.noteHeld(-this.#input.length);
      this.#input.clear();
    }
    if (this.#output === undefined) return;
    WAITING.delete(this);
    this.#output.clear();
    this.owner.setBlocked(this, false);
  }

  /** Gives bytes that the peer has sent back to its window. */
  returnCredit(bytes: number): void {
    if (this.isRemoteEnded || this.isOver) return;
    const granted = this.#window.take(bytes, this.heldLength === 0);
    if (granted === 0) return;
    this.receiveWindow += granted;
    this.owner.writeCredit(this, granted);
  }

  /** Number of bytes of the peer that are held. */
  protected get heldLength(): number {
    return this.#input === undefined ? 0 : this.#input.length;
  }

  /** A copy of the first `count` bytes that are held, or of all. */
  protected heldPrefix(count: number): Buffer {
    return Buffer.from(this.#input === undefined ? '' : this.#input.bytes.subarray(0, count));
  }

  /** Delivers what is held, while data is wanted. */
  protected deliverHeld(): void {
    const input = this.#input;
    if (input !== undefined && input.length > 0 && this.wantsData) {
      const { length } = input;
      const bytes = input.take();
      if (this.#budget === WAITING_BYTES) this.#requeue();
      this.owner.noteHeld(-length);
      this.deliver(bytes, 0, length);
    }
    if (this.wantsData && this.#uncredited > 0) {
      const bytes = this.#uncredited;
      this.#uncredited = 0;
      this.returnCredit(bytes);
    }
  }

  protected send(buffer: Buffer, start: number, end: number): void {
    if (this.isOver || this.isLocalEnded || this.#ending) return;
    const written = this.#waits ? 0 : this.owner.writeData(this, buffer, start, end);
    if (start + written === end) return;
    this.#output ??= new HeldBytes(WAITING_BYTES);
    if (!this.#hold(this.#output, buffer, start + written, end)) {
      this.abort(H2_ERROR.enhanceYourCalm);
      return;
    }
    WAITING.add(this);
    if (this.blockedSinceMs === 0) this.blockedSinceMs = this.owner.nowMs();
    this.owner.setBlocked(this, true);
  }

  /** Ends this side behind what waits. */
  protected endOutput(trailers: HeaderList | undefined): void {
    if (this.isOver || this.isLocalEnded || this.#ending) return;
    this.#ending = true;
    this.#trailers = trailers;
    if (!this.#waits) this.#finish();
  }

  /** @returns false: the peer does not keep up */
  protected keepsUp(): boolean {
    if (!this.#waits && !this.owner.isFull) return true;
    this.#isStalled = true;
    return false;
  }

  /** Holds a copy; where others wait for their peers for longer, they give way. @returns false: it is not allowed to hold more */
  #hold(held: HeldBytes, buffer: Buffer, start: number, end: number): boolean {
    while (!held.append(buffer, start, end)) {
      const longest = WAITING.oldest;
      if (longest === undefined || longest === this || held.budget !== WAITING_BYTES) return false;
      WAITING.delete(longest);
      longest.abort(H2_ERROR.enhanceYourCalm);
    }
    return true;
  }

  /** Puts the stream behind all others that wait, if it still does. */
  #requeue(): void {
    WAITING.delete(this);
    if (this.#waits || this.#isStalling) WAITING.add(this);
  }

  /** Bytes for a peer that does not read, such as those of a response, are held. */
  get #isStalling(): boolean {
    return this.#budget === WAITING_BYTES && this.heldLength > 0;
  }

  /** Output waits for a window. */
  get #waits(): boolean {
    return this.#output !== undefined && this.#output.length > 0;
  }

  #finish(): void {
    this.isLocalEnded = true;
    if (this.#trailers === undefined || this.#trailers.length === 0) this.owner.writeEnd(this);
    else this.owner.writeFields(this, this.#trailers, true);
    this.onOutputEnded();
  }

  /** Data is passed on as it arrives. */
  protected abstract get wantsData(): boolean;
  /** Data that is held gives credit all the same: a part of the body is wanted as a whole. */
  protected abstract get creditsHeldData(): boolean;
  protected abstract deliver(buffer: Buffer, start: number, end: number): void;
  /** More data is held. */
  protected abstract heldMore(): void;
  /** The process holds too much for its peers. */
  protected abstract overloaded(): void;
  /** Ends the stream because of this side. */
  protected abstract abort(error: H2Error): void;
  protected abstract onOutputDrain(): void;
  /** This side's end is written. */
  protected abstract onOutputEnded(): void;
  /** Everything of one read has been delivered. */
  abstract readDone(): void;
  /** The peer has ended its side. */
  abstract receiveEnd(trailers: HeaderList | undefined): void;
  /** The peer has reset the stream, or the connection is gone. @param error undefined: the connection */
  abstract receiveReset(error: H2Error | undefined): void;
}
