/*
 * Reads HEADERS and CONTINUATION frames (RFC 9113 sections 4.3, 6.2 and 6.10) into lists of fields.
 */
import type { HeaderList } from '../../http/header-list.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteCollector } from '../../limits/containers.ts';
import { INPUT_BUDGET } from '../net/paused-input.ts';
import type { ControlCredit } from './control-credit.ts';
import type { FrameView } from './frame-reader.ts';
import { FLAG, H2_ERROR, type H2Error, LARGEST_WINDOW } from './frames.ts';
import { type BlockFault, type DecoderLimits, HpackDecoder } from './hpack/decoder.ts';

/** Receives what header blocks contain. */
export interface FieldsReceiver {
  /** A block is complete: its fields, or why it has none. */
  onFields(streamId: number, fields: HeaderList | Exclude<BlockFault, 'compression'>, endStream: boolean): void;
  /** The connection cannot go on. */
  fail(error: H2Error): void;
  /** Monotonic milliseconds. */
  nowMs(): number;
}

/** The header blocks of one direction; at most one is incomplete. */
export class HeaderFrames {
  /** Stream of the block that is incomplete; 0: none. Until it is complete only its CONTINUATION frames may come. */
  streamId = 0;
  /** Monotonic milliseconds when it began. */
  sinceMs = 0;
  readonly #receiver: FieldsReceiver;
  readonly #control: ControlCredit;
  readonly #decoder: HpackDecoder;
  readonly #bytes = new ByteCollector(LIMITS.headerBlockBytes);
  #endStream = false;
  #reserved = 0;

  constructor(receiver: FieldsReceiver, control: ControlCredit, limits: DecoderLimits) {
    this.#receiver = receiver;
    this.#control = control;
    this.#decoder = new HpackDecoder(limits);
  }

  /** Takes a HEADERS frame. */
  headers(frame: FrameView): void {
    const { flags, streamId, buffer } = frame;
    let { start, end } = frame;
    if ((flags & FLAG.padded) !== 0) {
      end -= start < end ? (buffer[start] as number) : end;
      start += 1;
    }
    let isOwnParent = false;
    if ((flags & FLAG.priority) !== 0) {
      // A stream cannot depend on itself (RFC 7540 section 5.3.1).
      isOwnParent = end - start >= 5 && (buffer.readUInt32BE(start) & LARGEST_WINDOW) === streamId;
      start += 5;
    }
    const endStream = (flags & FLAG.endStream) !== 0;
    if (streamId === 0 || end < start || isOwnParent) this.#receiver.fail(H2_ERROR.protocol);
    else if ((flags & FLAG.endHeaders) !== 0) this.#decode(streamId, endStream, { buffer, start, end });
    else {
      this.streamId = streamId;
      this.sinceMs = this.#receiver.nowMs();
      this.#endStream = endStream;
      this.#add(buffer, start, end);
    }
  }

  /** Takes a CONTINUATION frame of the block at hand. */
  continuation({ flags, buffer, start, end }: FrameView): void {
    const isLast = (flags & FLAG.endHeaders) !== 0;
    if (end === start && !isLast && !this.#control.spendOnEmpty()) this.#receiver.fail(H2_ERROR.enhanceYourCalm);
    else if (this.#add(buffer, start, end) && isLast) {
      const { streamId } = this;
      const block = this.#bytes.take();
      this.clear();
      this.#decode(streamId, this.#endStream, { buffer: block, start: 0, end: block.length });
    }
  }

  /** Forgets the block at hand. */
  clear(): void {
    this.streamId = 0;
    this.#bytes.take();
    INPUT_BUDGET.release(this.#reserved);
    this.#reserved = 0;
  }

  #add(buffer: Buffer, start: number, end: number): boolean {
    const more = end - start;
    if (INPUT_BUDGET.reserve(more)) {
      this.#reserved += more;
      if (this.#bytes.append(buffer, start, end)) return true;
    }
    this.#receiver.fail(H2_ERROR.enhanceYourCalm);
    return false;
  }

  #decode(streamId: number, endStream: boolean, { buffer, start, end }: Pick<FrameView, 'buffer' | 'start' | 'end'>): void {
    const fields = this.#decoder.decode(buffer, start, end);
    if (fields === 'compression') this.#receiver.fail(H2_ERROR.compression);
    else this.#receiver.onFields(streamId, fields, endStream);
  }
}
