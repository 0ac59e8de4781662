/*
 * Value of the Date header, formatted once a second.
 */
import type { Clock } from '../clock.ts';

/** Formats the clock's time. */
export class HttpDate {
  readonly #clock: Clock;
  #second = -1;
  #value = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The current time as IMF-fixdate, e.g. `Mon, 23 Nov 2026 10:00:00 GMT`. */
  value(): string {
    const second = Math.floor(this.#clock.wallMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#value = new Date(second * 1000).toUTCString();
    }
    return this.#value;
  }
}
