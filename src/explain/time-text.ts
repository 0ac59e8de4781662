/*
 * Durations and times in words.
 */

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
];
/** A unit is used from this count on: 47 h is more precise than 1 d. */
const MIN_COUNT = 2;

/**
 * A duration in its largest suitable unit, rounded down.
 * @param seconds not negative
 * @example durationText(10_800) // '3 h'
 */
export function durationText(seconds: number): string {
  for (const [size, name] of UNITS) {
    if (seconds >= size * MIN_COUNT) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** A time in ISO 8601, UTC, without fractions; the number itself beyond the range of dates. @param unixSeconds whole seconds */
export function timeText(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return Number.isNaN(date.getTime()) ? String(unixSeconds) : date.toISOString().replace('.000Z', 'Z');
}
