/*
 * How long a client has taken to send the frame or header block at hand.
 */
import type { FrameReader } from './frame-reader.ts';
import type { HeaderFrames } from './header-frames.ts';

/** The deadline of one client; its time begins with the connection, since the client has to send its settings. */
export class FrameDeadline {
  readonly #reader: FrameReader;
  readonly #blocks: HeaderFrames;
  #sinceMs: number;
  #frames = 0;

  constructor(reader: FrameReader, blocks: HeaderFrames, nowMs: number) {
    this.#reader = reader;
    this.#blocks = blocks;
    this.#sinceMs = nowMs;
  }

  /** Takes note of a read: bytes of a body count as progress, bytes of any other frame only when it is complete. */
  update(nowMs: number): void {
    const { isWithinFrame, isWithinData, frames } = this.#reader;
    if (!isWithinFrame) this.#sinceMs = 0;
    else if (this.#sinceMs === 0 || isWithinData || frames !== this.#frames) this.#sinceMs = nowMs;
    this.#frames = frames;
  }

  /** Is something incomplete for as long as `limitMs`? */
  isOver(nowMs: number, limitMs: number): boolean {
    const { streamId, sinceMs } = this.#blocks;
    return (this.#sinceMs !== 0 && nowMs - this.#sinceMs >= limitMs) || (streamId !== 0 && nowMs - sinceMs >= limitMs);
  }
}
