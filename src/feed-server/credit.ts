/*
 * How many frames a client may send: some in a row, and a few a second after that.
 */
import type { Clock } from '../clock.ts';

/** The credit of one client. */
export class Credit {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#atMs = clock.nowMs();
  }

  /** Adds to what may be sent in a row, up to the burst. */
  add(count: number): void {
    this.#left = Math.min(this.#burst, this.#left + count);
  }

  /** @returns false: the client has sent too much */
  take(): boolean {
    const nowMs = this.#clock.nowMs();
    this.add(((nowMs - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    this.#left -= 1;
    return this.#left >= 0;
  }
}
