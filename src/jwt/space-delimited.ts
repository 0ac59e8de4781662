/*
 * Splits the claims that hold a list in one string, such as `scope`. In: a verified payload and the names. Out: the
 * payload as policies see it. Called once per verified token.
 */
import type { JsonObject } from './parse-json.ts';

/**
 * `claims` with each named top-level string replaced by its non-empty words. Only the single space splits; a string of
 * spaces alone stays as it is. The argument is not changed.
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
