/*
 * Formats a claim as the value of a request header (`outputClaimToHeaders`).
 */
import type { Json } from '../policy/facts.ts';
import { formatJson } from './format-json.ts';
import { isJsonObject, type JsonObject } from './parse-json.ts';

const TWO_TO_THE_64 = 2 ** 64;
/** From this value on, `Number.prototype.toFixed` returns exponents. */
const FIXED_LIMIT = 1e21;

/**
 * The header value of the claim at `path`, one latin1 character per UTF-8 byte; `undefined` when the claim is absent, `null` or
 * `''`. The value may contain bytes that are not allowed in a header.
 * @param path names joined by dots; only objects are traversed
 */
export function claimHeader(claims: JsonObject, path: string): string | undefined {
  let value: Json | undefined = claims;
  for (const name of path.split('.')) {
    if (!isJsonObject(value)) {
      return undefined;
    }
    value = value[name];
  }
  const formatted = format(value);
  return formatted === '' ? undefined : Buffer.from(formatted, 'utf8').toString('latin1');
}

function format(value: Json | undefined): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return formatNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? '' : Buffer.from(formatJson(value), 'utf8').toString('base64');
    default:
      return '';
  }
}

/**
 * A number as C++ prints it: integers from 0 to 2^64 without decimals, everything else with six.
 * @example formatNumber(-5) // '-5.000000'
 */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && value >= 0 && value < TWO_TO_THE_64) {
    return BigInt(value).toString();
  }
  return Math.abs(value) >= FIXED_LIMIT ? `${BigInt(value)}.000000` : value.toFixed(6);
}
