/*
 * Value of the Date header, formatted once a second.
 */

/** Unix time in milliseconds. */
interface WallClock {
  wallMs(): number;
}

/** Formats the clock's time. */
export class HttpDate {
  readonly #clock: WallClock;
  #second = -1;
  #value = '';

  constructor(clock: WallClock) {
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
