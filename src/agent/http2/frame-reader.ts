/*
 * Finds frames in the bytes of a connection. The payload of DATA frames is delivered as it arrives, without padding; every other frame is
 * delivered whole, and kept until then.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteCollector } from '../../limits/containers.ts';
import { INPUT_BUDGET } from '../net/paused-input.ts';
import { FLAG, FRAME, FRAME_HEAD_BYTES, H2_ERROR, type H2Error, PAYLOAD_BYTES } from './frames.ts';

/** A whole frame; the object and its bytes are valid during the call. */
export interface FrameView {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** Its payload is `buffer[start, end)`. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Receives frames. A fault ends the connection; nothing follows it. */
export interface FrameReceiver {
  /** A DATA frame begins. @param length of its payload with padding, which flow control counts */
  onDataFrame(streamId: number, length: number, endStream: boolean): void;
  /** Bytes of that frame; valid during the call. */
  onDataBytes(buffer: Buffer, start: number, end: number): void;
  /** That frame is complete. */
  onDataFrameEnd(): void;
  /** A frame of another type. */
  onFrame(frame: FrameView): void;
  /** The bytes are not HTTP/2. */
  onFrameFault(error: H2Error): void;
}

/** Reads the frames of one connection. */
export class FrameReader {
  /** Frames that were complete so far. */
  frames = 0;
  readonly #receiver: FrameReceiver;
  readonly #kept = new ByteCollector(LIMITS.frameBytes, FRAME_HEAD_BYTES + PAYLOAD_BYTES);
  #reserved = 0;
  /** Bytes of the DATA frame at hand that have not arrived: its length of padding, its data, its padding. */
  #dataLeft = 0;
  #paddingLeft = 0;
  #awaitsPadLength = false;
  #inData = false;
  #stopped = false;

  constructor(receiver: FrameReceiver) {
    this.#receiver = receiver;
  }

  /** A frame has begun and is not complete. */
  get isWithinFrame(): boolean {
    return this.#inData || this.#kept.length > 0;
  }

  /** That frame is a DATA frame. */
  get isWithinData(): boolean {
    return this.#inData;
  }

  /** Delivers what `buffer[start, end)` completes. @returns index behind the last byte that was taken: `end`, unless `pauses` returned true */
  read(buffer: Buffer, start: number, end: number, pauses: () => boolean): number {
    let at = start;
    while (at < end && !this.#stopped) {
      if (this.#inData) at = this.#readData(buffer, at, end);
      else if (this.#kept.length > 0) at = this.#readKept(buffer, at, end);
      else at = this.#readFrame(buffer, at, end);
      if (!this.#stopped && pauses()) return at;
    }
    return end;
  }

  /** Nothing more is read. */
  stop(): void {
    this.#stopped = true;
    this.#release();
    this.#kept.take();
  }

  #readFrame(buffer: Buffer, start: number, end: number): number {
    if (end - start < FRAME_HEAD_BYTES) return this.#keep(buffer, start, end);
    const length = lengthAt(buffer, start);
    if (length > PAYLOAD_BYTES) return this.#fail(H2_ERROR.frameSize, end);
    const type = buffer[start + 3] as number;
    const flags = buffer[start + 4] as number;
    const streamId = buffer.readUInt32BE(start + 5) & 0x7fff_ffff;
    const payload = start + FRAME_HEAD_BYTES;
    if (type === FRAME.data) {
      this.#startData(flags, streamId, length);
      return payload;
    }
    if (end - payload < length) return this.#keep(buffer, start, end);
    this.frames += 1;
    this.#receiver.onFrame({ type, flags, streamId, buffer, start: payload, end: payload + length });
    return payload + length;
  }

  /** Adds to a frame that has begun in an earlier read. */
  #readKept(buffer: Buffer, start: number, end: number): number {
    const kept = this.#kept;
    let at = start;
    if (kept.length < FRAME_HEAD_BYTES) {
      at = Math.min(end, start + FRAME_HEAD_BYTES - kept.length);
      kept.append(buffer, start, at);
      if (kept.length < FRAME_HEAD_BYTES) return end;
      const head = kept.bytes;
      if (lengthAt(head, 0) > PAYLOAD_BYTES) return this.#fail(H2_ERROR.frameSize, end);
      if (head[3] === FRAME.data) {
        const taken = this.#takeKept();
        this.#startData(taken[4] as number, taken.readUInt32BE(5) & 0x7fff_ffff, lengthAt(taken, 0));
        return at;
      }
    }
    const missing = FRAME_HEAD_BYTES + lengthAt(kept.bytes, 0) - kept.length;
    const stop = Math.min(end, at + missing);
    if (this.#keep(buffer, at, stop) === -1) return end;
    if (stop - at === missing) {
      const frame = this.#takeKept();
      const streamId = frame.readUInt32BE(5) & 0x7fff_ffff;
      this.frames += 1;
      const [type, flags] = [frame[3] as number, frame[4] as number];
      this.#receiver.onFrame({ type, flags, streamId, buffer: frame, start: FRAME_HEAD_BYTES, end: frame.length });
    }
    return stop;
  }

  #keep(buffer: Buffer, start: number, end: number): number {
    if (!INPUT_BUDGET.reserve(end - start)) return this.#fail(H2_ERROR.enhanceYourCalm, -1);
    this.#reserved += end - start;
    this.#kept.append(buffer, start, end);
    return end;
  }

  #takeKept(): Buffer {
    this.#release();
    return this.#kept.take();
  }

  #release(): void {
    INPUT_BUDGET.release(this.#reserved);
    this.#reserved = 0;
  }

  #startData(flags: number, streamId: number, length: number): void {
    const isPadded = (flags & FLAG.padded) !== 0;
    if (isPadded && length === 0) {
      this.#fail(H2_ERROR.frameSize, 0);
      return;
    }
    this.#inData = true;
    this.#awaitsPadLength = isPadded;
    this.#dataLeft = length;
    this.#paddingLeft = 0;
    this.#receiver.onDataFrame(streamId, length, (flags & FLAG.endStream) !== 0);
    if (length === 0) this.#endData();
  }

  #readData(buffer: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#awaitsPadLength) {
      this.#awaitsPadLength = false;
      this.#paddingLeft = buffer[at] as number;
      at += 1;
      this.#dataLeft -= 1 + this.#paddingLeft;
      if (this.#dataLeft < 0) return this.#fail(H2_ERROR.protocol, end);
    }
    const dataEnd = Math.min(end, at + this.#dataLeft);
    if (dataEnd > at) {
      this.#dataLeft -= dataEnd - at;
      this.#receiver.onDataBytes(buffer, at, dataEnd);
    }
    const stop = Math.min(end, dataEnd + this.#paddingLeft);
    if (this.#dataLeft === 0) {
      this.#paddingLeft -= stop - dataEnd;
      if (this.#paddingLeft === 0) this.#endData();
      return stop;
    }
    return dataEnd;
  }

  #endData(): void {
    this.#inData = false;
    this.frames += 1;
    if (!this.#stopped) this.#receiver.onDataFrameEnd();
  }

  #fail(error: H2Error, result: number): number {
    this.stop();
    this.#receiver.onFrameFault(error);
    return result;
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) << 16) | ((buffer[at + 1] as number) << 8) | (buffer[at + 2] as number);
}
