/*
 * The Date header's value, formatted once a second. In: wall clock. Out: IMF-fixdate text. Used for every response.
 */
import type { Clock } from '../../clock.ts';

export class HttpDate {
  readonly #clock: Clock;
  #second = -1;
  #text = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Now, e.g. `Mon, 23 Nov 2026 10:00:00 GMT`. */
  text(): string {
    const second = Math.floor(this.#clock.wallMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
