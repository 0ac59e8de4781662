/*
 * How far a run is.
 */

/** `5 of 1505, 1.2 a second, 21 min left`, after `done` of `total` mutants took `ms`. */
export function progressOf(done: number, total: number, ms: number): string {
  const perSecond = (1000 * done) / Math.max(1, ms);
  const minutes = Math.ceil((total - done) / Math.max(perSecond, 1e-6) / 60);
  return `${done} of ${total}, ${perSecond.toFixed(2)} a second, ${minutes} min left`;
}
