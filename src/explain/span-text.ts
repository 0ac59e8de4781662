/*
 * Spans of time in words. In: seconds. Out: `3 h`. Used where tokens are explained.
 */

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
];
/** From how many of a unit on it is the one to speak in: 47 h says more than 1 d. */
const ENOUGH = 2;

/**
 * A span in its largest telling unit, rounded down.
 * @param seconds not negative
 * @example spanText(10_800) // '3 h'
 */
export function spanText(seconds: number): string {
  for (const [size, name] of UNITS) {
    if (seconds >= size * ENOUGH) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** A moment as ISO 8601 in UTC without fractions; the bare number when no calendar reaches it. @param unixSeconds whole seconds */
export function momentText(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return Number.isNaN(date.getTime()) ? String(unixSeconds) : date.toISOString().replace('.000Z', 'Z');
}
