/*
 * Matches on claims of a verified payload. A claim is a string, or an array of which one string has to match.
 */
import type { Claims, Json } from '../facts.ts';
import type { StringTest } from './string-match.ts';

/** The value at `path`, through own members of objects only; `undefined`: absent. */
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

/** Does the claim, or one element of it, pass `test`? Numbers, booleans, null and objects never match; arrays are not flattened. */
export function matchesClaim(value: Json | undefined, test: StringTest): boolean {
  if (typeof value === 'string') return test(value);
  if (!Array.isArray(value)) return false;
  for (const element of value) {
    if (typeof element === 'string' && test(element)) return true;
  }
  return false;
}
