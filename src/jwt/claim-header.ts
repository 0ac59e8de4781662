/*
 * Writes a claim as the value of a request header. In: a verified payload and a dotted claim path. Out: header bytes as
 * a latin1 string, or nothing. Called once per verified token and `outputClaimToHeaders` entry.
 */
import type { Json } from '../policy/facts.ts';
import { jsonText } from './json-text.ts';
import { isJsonObject, type JsonObject } from './parse-json.ts';

const TWO_TO_THE_64 = 2 ** 64;
/** From here on `Number.prototype.toFixed` gives exponents. */
const FIXED_LIMIT = 1e21;

/**
 * The header value of the claim at `path`, which may hold what no header can carry; `undefined` when there is nothing to
 * say: no such claim, `null` or `''`.
 * @param path names joined by dots, looked up through objects only
 */
export function claimHeader(claims: JsonObject, path: string): string | undefined {
  let value: Json | undefined = claims;
  for (const name of path.split('.')) {
    if (!isJsonObject(value)) {
      return undefined;
    }
    value = value[name];
  }
  const text = textOf(value);
  return text === '' ? undefined : Buffer.from(text, 'utf8').toString('latin1');
}

function textOf(value: Json | undefined): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return numberText(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? '' : Buffer.from(jsonText(value), 'utf8').toString('base64');
    default:
      return '';
  }
}

/**
 * A number as C++ would print it: integers from 0 to 2^64 plainly, everything else with six decimals.
 * @example numberText(-5) // '-5.000000'
 */
export function numberText(value: number): string {
  if (Number.isInteger(value) && value >= 0 && value < TWO_TO_THE_64) {
    return BigInt(value).toString();
  }
  return Math.abs(value) >= FIXED_LIMIT ? `${BigInt(value)}.000000` : value.toFixed(6);
}
