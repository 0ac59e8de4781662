/*
 * Sockets that are not read now. Each is looked at every few milliseconds, so that a client that goes away is noticed.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import { startInterval } from '../../limits/timers.ts';

/** A socket that is not read. */
export interface Stopped {
  /** Looks whether the peer is gone. */
  look(): void;
}

const LOOKS = LIMITS.stoppedSocketLooks.value;

/** The stopped sockets of the process. */
export class StoppedSockets {
  readonly #members = new BoundedSet<Stopped>(LIMITS.stoppedSockets);
  #stopTimer: (() => void) | undefined;

  add(socket: Stopped): void {
    this.#members.add(socket);
    this.#stopTimer ??= startInterval(LIMITS.stoppedSocketWatch, () => this.#look());
  }

  delete(socket: Stopped): void {
    this.#members.delete(socket);
  }

  /** Looks at a limited number, those first that were not looked at for the longest time. */
  #look(): void {
    if (this.#members.size === 0) {
      this.#stopTimer?.();
      this.#stopTimer = undefined;
    }
    const looks = Math.min(LOOKS, this.#members.size);
    for (let looked = 0; looked < looks; looked += 1) {
      const { oldest } = this.#members;
      if (oldest === undefined) return;
      this.#members.delete(oldest);
      this.#members.add(oldest);
      oldest.look();
    }
  }
}
