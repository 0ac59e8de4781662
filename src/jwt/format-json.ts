/*
 * Compact JSON in the format of protobuf's JSON printer, which is what Envoy writes into claim headers.
 */
import type { Json } from '../policy/facts.ts';
import { withoutTrailing } from '../text.ts';

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);
// Control and formatting characters, and those that are dangerous inside HTML.
const ESCAPED =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- a set of single characters
  /["\\<>\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]/g;

/** `value` as JSON without whitespace; members keep the order of the payload. Recursion is bounded by the depth limit of the parser. */
export function formatJson(value: Json): string {
  if (typeof value === 'string') {
    return quoted(value);
  }
  if (typeof value === 'number') {
    return shortestNumber(value);
  }
  if (value === null || typeof value === 'boolean') {
    return String(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map((item: Json) => formatJson(item)).join(',')}]`;
  }
  return `{${Object.entries(value)
    .map(([name, member]) => `${quoted(name)}:${formatJson(member)}`)
    .join(',')}}`;
}

function quoted(value: string): string {
  return `"${value.replace(ESCAPED, (character) => SHORT_ESCAPES.get(character) ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

/** C's `%.15g`, or `%.17g` where 15 digits do not round-trip. */
function shortestNumber(value: number): string {
  if (value === 0) {
    return Object.is(value, -0) ? '-0' : '0';
  }
  const precision = Number(value.toPrecision(15)) === value ? 15 : 17;
  const [mantissa = '', power = ''] = value.toExponential(precision - 1).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < precision) {
    return withoutTrailingZeros(value.toFixed(precision - 1 - exponent));
  }
  const digits = String(Math.abs(exponent)).padStart(2, '0');
  return `${withoutTrailingZeros(mantissa)}e${exponent < 0 ? '-' : '+'}${digits}`;
}

function withoutTrailingZeros(digits: string): string {
  return digits.includes('.') ? withoutTrailing(withoutTrailing(digits, '0'), '.') : digits;
}
