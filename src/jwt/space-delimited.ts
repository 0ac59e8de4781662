/*
 * Splits claims that contain a space-delimited list, such as `scope`.
 */
import type { JsonObject } from './parse-json.ts';

/**
 * `claims` with each named top-level string replaced by the array of its non-empty words. Only U+0020 splits; a string that
 * consists of spaces is kept. The argument is not modified.
 * @param names literal names of top-level claims; a dot is part of a name
 */
export function splitSpaceDelimited(claims: JsonObject, names: readonly string[]): JsonObject {
  let copy: JsonObject | undefined;
  for (const name of names) {
    const value = claims[name];
    if (typeof value !== 'string') {
      continue;
    }
    const words = value.split(' ').filter((word) => word !== '');
    if (words.length > 0) {
      copy ??= Object.assign(Object.create(null) as JsonObject, claims);
      copy[name] = words;
    }
  }
  return copy ?? claims;
}
