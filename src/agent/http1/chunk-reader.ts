/*
 * Incremental reader of chunked bodies (RFC 9112 section 7.1), for requests and responses. As in Envoy, extensions are removed, and
 * trailer fields are validated and dropped: the policies have not evaluated them.
 */
import { isTokenByte } from '../../http/field-syntax.ts';
import { LIMITS } from '../../limits/agent-limits.ts';

/** What one call of {@link ChunkReader.read} found. */
export type ChunkState = 'more' | 'done' | 'bad';

const STEP = {
  size: 0,
  extension: 1,
  sizeLf: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  trailerStart: 6,
  trailerName: 7,
  trailer: 8,
  trailerLf: 9,
  lastLf: 10,
} as const;
type Step = (typeof STEP)[keyof typeof STEP];

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
/** Most bytes of extensions and trailers in one body; Envoy's limit for trailers. */
const MAX_NOISE_BYTES = LIMITS.chunkNoiseBytes.value;

/** Reads chunked bodies one after the other; call {@link reset} between them. */
export class ChunkReader {
  /** After `read`: index behind the last byte that may be passed on verbatim. */
  forwardEnd = 0;
  /** After `read`: index behind the last byte that belongs to the body. */
  consumedEnd = 0;
  #step: Step = STEP.size;
  #size = 0;
  #digits = 0;
  #noise = 0;
  #trailers = false;
  readonly #lenient: boolean;
  readonly #onPayload: ((buffer: Buffer, start: number, end: number) => void) | undefined;

  /**
   * @param lenient accept what Envoy accepts of a response: whitespace behind a size, and folded or LF-ended lines behind the last chunk
   * @param onPayload receives the payload without its framing; valid during the call
   */
  constructor(lenient: boolean, onPayload?: (buffer: Buffer, start: number, end: number) => void) {
    this.#lenient = lenient;
    this.#onPayload = onPayload;
  }

  /** Starts a new body. */
  reset(): void {
    this.#step = STEP.size;
    this.#size = 0;
    this.#digits = 0;
    this.#noise = 0;
    this.#trailers = false;
  }

  /**
   * Reads `buffer[start, end)`. The bytes `[start, forwardEnd)` are chunks to pass on as they are; after `done` the caller writes the
   * final CR LF. After `more` with `consumedEnd` before `end`, an extension was left out: call again with `start` = `consumedEnd`.
   */
  read(buffer: Buffer, start: number, end: number): ChunkState {
    let at = start;
    this.forwardEnd = start;
    while (at < end) {
      if (this.#step === STEP.data) {
        const taken = Math.min(this.#size, end - at);
        this.#size -= taken;
        this.#onPayload?.(buffer, at, at + taken);
        at += taken;
        if (this.#size === 0) this.#step = STEP.dataCr;
        this.forwardEnd = at;
        continue;
      }
      const byte = buffer[at] ?? 0;
      if (this.#step === STEP.extension && byte === CR && this.forwardEnd < at) break;
      const passed = this.#step < STEP.trailerStart;
      const state = this.#readByte(byte);
      at += 1;
      if (passed && this.#step !== STEP.extension) this.forwardEnd = at;
      if (state !== 'more') {
        this.consumedEnd = at;
        return state;
      }
    }
    this.consumedEnd = at;
    return 'more';
  }

  #readByte(byte: number): ChunkState {
    switch (this.#step) {
      case STEP.size:
        return this.#readSize(byte);
      case STEP.extension:
        return this.#readNoise(byte, STEP.sizeLf);
      case STEP.sizeLf:
        return this.#expect(byte, LF, this.#size === 0 ? STEP.trailerStart : STEP.data);
      case STEP.dataCr:
        return this.#expect(byte, CR, STEP.dataLf);
      case STEP.dataLf:
        this.#digits = 0;
        return this.#expect(byte, LF, STEP.size);
      case STEP.trailerStart:
        return this.#startTrailer(byte);
      case STEP.trailerName:
        return this.#readTrailerName(byte);
      case STEP.trailer:
        if (this.#lenient && byte === LF) return this.#go(STEP.trailerStart);
        return this.#readNoise(byte, STEP.trailerLf);
      case STEP.trailerLf:
        return this.#expect(byte, LF, STEP.trailerStart);
      case STEP.lastLf:
        return byte === LF ? 'done' : 'bad';
      default:
        return 'bad';
    }
  }

  #readSize(byte: number): ChunkState {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      this.#digits += 1;
      if (this.#digits > 12) return 'bad';
      this.#size = this.#size * 16 + digit;
      return 'more';
    }
    if (this.#digits === 0) return 'bad';
    if (byte === CR) return this.#go(STEP.sizeLf);
    return byte === SEMICOLON || (this.#lenient && isBlank(byte)) ? this.#go(STEP.extension) : 'bad';
  }

  #startTrailer(byte: number): ChunkState {
    if (byte === CR) return this.#go(STEP.lastLf);
    if (this.#lenient && byte === LF) return 'done';
    if (this.#lenient && this.#trailers && isBlank(byte)) return this.#go(STEP.trailer);
    this.#trailers = true;
    this.#step = STEP.trailerName;
    return isTokenByte(byte) ? this.#readTrailerName(byte) : 'bad';
  }

  #readTrailerName(byte: number): ChunkState {
    this.#noise += 1;
    if (byte === COLON) return this.#go(STEP.trailer);
    return isTokenByte(byte) && this.#noise <= MAX_NOISE_BYTES ? 'more' : 'bad';
  }

  /** One byte of an extension or a trailer: visible, whitespace or obs-text, up to its CR. */
  #readNoise(byte: number, afterCr: Step): ChunkState {
    if (byte === CR) return this.#go(afterCr);
    this.#noise += 1;
    const legal = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
    return legal && this.#noise <= MAX_NOISE_BYTES ? 'more' : 'bad';
  }

  #expect(byte: number, wanted: number, next: Step): ChunkState {
    return byte === wanted ? this.#go(next) : 'bad';
  }

  #go(next: Step): ChunkState {
    this.#step = next;
    return 'more';
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
