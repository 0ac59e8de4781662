/*
 * Matches on claims of a verified payload. In: the path of a claim and compiled tests on strings. Out: whether the claim
 * matches; a claim is a string, or a list of which one string will do. Used by decide.
 */
import type { Claims, Json } from '../facts.ts';
import type { StringTest } from './string-match.ts';

/** Value at `path`, through objects only; `undefined`: not there. Only own members count. */
export function lookUpClaim(claims: Claims | undefined, path: readonly string[]): Json | undefined {
  let value: Json | undefined = claims;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function isObject(value: Json | undefined): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Numbers, booleans, null and objects never match; lists are not flattened. */
export function matchesClaim(value: Json | undefined, test: StringTest): boolean {
  if (typeof value === 'string') return test(value);
  if (!Array.isArray(value)) return false;
  for (const element of value) {
    if (typeof element === 'string' && test(element)) return true;
  }
  return false;
}
