/*
 * Finds the end of one message body after the other, by length, by chunks or by the end of the connection.
 */
import { type BodyLength, RAW_CHUNKS, UNKNOWN_LENGTH } from '../../http/stream.ts';
import { ChunkReader, type ChunkState } from './chunk-reader.ts';

/** Receives bytes that are valid during the call. */
export type PayloadReceiver = (buffer: Buffer, start: number, end: number) => void;

/** Reads the bodies of one direction of a connection. */
export class BodyReader {
  /** Length of the body at hand. */
  length: BodyLength = 0;
  /** After `read`: index behind the last byte to pass on. */
  dataEnd = 0;
  /** After `read`: index behind the last byte of the body. */
  next = 0;
  readonly #lenient: boolean;
  readonly #onPayload: PayloadReceiver;
  readonly #framed: ChunkReader;
  /** Made with the first body that needs it. */
  #payload: ChunkReader | undefined;
  #chunks: ChunkReader;
  #remaining = 0;

  /**
   * @param lenient see {@link ChunkReader}
   * @param onPayload receives the payload of chunks that are not passed on as they are
   */
  constructor(lenient: boolean, onPayload: PayloadReceiver = () => {}) {
    this.#lenient = lenient;
    this.#onPayload = onPayload;
    this.#framed = new ChunkReader(lenient);
    this.#chunks = this.#framed;
  }

  /** Expects a body of this length next. @param keepsFraming chunks are passed on as they are */
  start(length: BodyLength, keepsFraming = true): void {
    this.length = length;
    this.#remaining = length;
    if (length !== RAW_CHUNKS) return;
    if (!keepsFraming) this.#payload ??= new ChunkReader(this.#lenient, this.#onPayload);
    this.#chunks = keepsFraming || this.#payload === undefined ? this.#framed : this.#payload;
    this.#chunks.reset();
  }

  /**
   * Reads `buffer[start, end)`: `buffer[start, dataEnd)` is to be passed on, and what begins at `next` is to be read next, also when
   * more is to come. A body of unknown length is never `done`.
   */
  read(buffer: Buffer, start: number, end: number): ChunkState {
    if (this.length === RAW_CHUNKS) {
      const state = this.#chunks.read(buffer, start, end);
      this.dataEnd = this.#chunks === this.#framed ? this.#chunks.forwardEnd : start;
      this.next = this.#chunks.consumedEnd;
      return state;
    }
    const stop = this.length === UNKNOWN_LENGTH ? end : Math.min(end, start + this.#remaining);
    this.#remaining -= stop - start;
    this.dataEnd = stop;
    this.next = stop;
    return this.#remaining === 0 ? 'done' : 'more';
  }
}
