/*
 * The window that a stream grants its peer. It grows while bytes pass as they arrive, because with a small one both sides wait for credit most of
 * the time; once bytes have to be held, it goes back to its first size.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteBudget } from '../../limits/containers.ts';

/** What windows have grown; of the whole process. */
const GROWTH = new ByteBudget(LIMITS.streamWindowGrowth);

/** The window of one stream. */
export class ReceiveWindow {
  #bytes: number;
  /** How much of it has grown. */
  #growth = 0;
  /** Bytes that the peer has sent and may send again once the credit is worth a frame. */
  #credit = 0;
  #isShrinking = false;

  /** @param bytes what was announced */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Bytes had to be held: when they are taken, the window does not grow, and it loses what it has grown. */
  shrink(): void {
    this.#isShrinking = true;
  }

  /** Takes bytes that the peer may send again. @param mayGrow nothing is held @returns what to grant to the peer; 0: nothing yet */
  take(bytes: number, mayGrow: boolean): number {
    this.#credit += bytes;
    const isShrinking = this.#isShrinking;
    if (isShrinking) this.#giveBack(Math.min(this.#growth, this.#credit));
    if (this.#credit * 2 < this.#bytes) return 0;
    if (mayGrow && !isShrinking) this.#grow();
    const granted = this.#credit;
    this.#credit = 0;
    return granted;
  }

  /** The stream is gone. */
  dispose(): void {
    GROWTH.release(this.#growth);
    this.#growth = 0;
  }

  #grow(): void {
    const more = this.#bytes;
    if (more * 2 > LIMITS.largestStreamWindow.value || !GROWTH.reserve(more)) return;
    this.#growth += more;
    this.#bytes += more;
    this.#credit += more;
  }

  /** Not before there is credit to keep: what the peer was granted cannot be taken back, and may have to be held. */
  #giveBack(bytes: number): void {
    GROWTH.release(bytes);
    this.#growth -= bytes;
    this.#bytes -= bytes;
    this.#credit -= bytes;
    this.#isShrinking = this.#growth > 0;
  }
}
