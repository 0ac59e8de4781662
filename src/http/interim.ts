/*
 * Which interim responses of an application are passed on.
 */

/** As in Envoy; other 1xx are dropped. */
const STATUSES: readonly number[] = [100, 102, 103, 104];

/** The interim responses of one exchange: one of each status at most. */
export class InterimResponses {
  /** A bit for each of {@link STATUSES} that was passed on. */
  #seen = 0;

  /** A new exchange begins. */
  reset(): void {
    this.#seen = 0;
  }

  /** Is a response with this status to be passed on? Not for the second time. */
  isNew(status: number): boolean {
    const at = STATUSES.indexOf(status);
    if (at === -1 || (this.#seen & (1 << at)) !== 0) return false;
    this.#seen |= 1 << at;
    return true;
  }
}
