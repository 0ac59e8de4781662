/*
 * How many frames a peer may send that cost us work and bring no request: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty frames and unknown
 * ones. Time and our own DATA frames restore the credit.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

const CONTROL = LIMITS.controlFrames;
const EMPTY = LIMITS.emptyFrames;

/** WINDOW_UPDATE frames that one DATA frame of ours may cause. */
const EARNED = 2;

/** The credit of one peer. */
export class ControlCredit {
  #left = CONTROL.value;
  #empty = 0;

  /** Takes one frame. @returns false: there were too many */
  spend(): boolean {
    this.#left -= 1;
    if (this.#left >= 0) return true;
    CONTROL.hit();
    return false;
  }

  /** Takes a SETTINGS frame, which costs as much as the settings in it. @returns false: there were too many */
  spendOnSettings(count: number): boolean {
    this.#left -= count;
    return this.spend();
  }

  /** Takes a frame without payload that ends nothing. @returns false: there were too many in a row */
  spendOnEmpty(): boolean {
    this.#empty += 1;
    if (this.#empty <= EMPTY.value) return this.spend();
    EMPTY.hit();
    return false;
  }

  /** A frame had a payload. */
  filled(): void {
    this.#empty = 0;
  }

  /** We sent a DATA frame. */
  earn(): void {
    if (this.#left < CONTROL.value) this.#left += EARNED;
  }

  /** Time has passed. */
  restore(): void {
    this.#left = CONTROL.value;
  }
}
