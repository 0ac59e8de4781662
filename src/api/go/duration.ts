/*
 * Parses durations such as `5s`, `1m30s` or `100ms` exactly like Go and CEL do, with Go's error texts.
 * @see https://pkg.go.dev/time#ParseDuration
 */

/** A parsed duration, or Go's error text. `ns` is exact: a fraction of a millisecond decides whether a duration is rejected. */
export type DurationResult = { readonly kind: 'ok'; readonly ns: bigint } | { readonly kind: 'error'; readonly message: string };

/** Nanoseconds of one millisecond. */
export const NS_PER_MS = 1_000_000n;

const NS_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', NS_PER_MS],
  ['s', 1_000n * NS_PER_MS],
  ['m', 60_000n * NS_PER_MS],
  ['h', 3_600_000n * NS_PER_MS],
]);
const PART = /(\d*)(\.\d*)?([^\d.]*)/y;
const LIMIT = 2n ** 63n;
/** More digits than any number below {@link LIMIT} has. */
const MAX_DIGITS = 19;

/** Parses a duration; a sign is allowed, the units are ns, us, ms, s, m and h. */
export function parseGoDuration(text: string): DurationResult {
  const isNegative = text.startsWith('-');
  const unsigned = isNegative || text.startsWith('+') ? text.slice(1) : text;
  const ns = unsigned === '0' ? 0n : sumOfParts(unsigned);
  if (typeof ns === 'string') return { kind: 'error', message: `time: ${ns} in duration ${quote(text)}` };
  if (ns === undefined || (ns === LIMIT && !isNegative)) return { kind: 'error', message: `time: invalid duration ${quote(text)}` };
  return { kind: 'ok', ns: isNegative ? -ns : ns };
}

/** Nanoseconds; a string if a unit is missing or unknown; undefined if the text is not a duration. */
function sumOfParts(text: string): bigint | string | undefined {
  let sum = 0n;
  PART.lastIndex = 0;
  do {
    const [, digits = '', fraction = '.', unit = ''] = PART.exec(text) ?? [];
    const whole = wholeNumber(digits);
    if (whole === undefined || (digits === '' && fraction === '.')) return undefined;
    if (unit === '') return 'missing unit';
    const factor = NS_PER_UNIT.get(unit);
    if (factor === undefined) return `unknown unit ${quote(unit)}`;
    if (whole > LIMIT / factor) return undefined;
    sum += whole * factor + fractionOf(fraction.slice(1), factor);
    if (sum > LIMIT) return undefined;
  } while (PART.lastIndex < text.length);
  return sum;
}

function wholeNumber(digits: string): bigint | undefined {
  const significant = digits.replace(/^0+/, '');
  if (significant.length > MAX_DIGITS) return undefined;
  const value = BigInt(significant === '' ? '0' : significant);
  return value > LIMIT ? undefined : value;
}

/** Go computes fractions in floating point and ignores digits that its integers cannot hold. */
function fractionOf(digits: string, factor: bigint): bigint {
  let kept = 0n;
  let scale = 1;
  for (const digit of digits.slice(0, MAX_DIGITS)) {
    const next = kept * 10n + BigInt(digit);
    if (kept > (LIMIT - 1n) / 10n || next > LIMIT) break;
    kept = next;
    scale *= 10;
  }
  return BigInt(Math.trunc(Number(kept) * (Number(factor) / scale)));
}

/** Quotes like Go's package time: every byte that is not printable ASCII in hexadecimal. */
function quote(text: string): string {
  const bytes = [...new TextEncoder().encode(text)].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte < 0x20 || byte >= 0x80 ? `\\x${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte);
  });
  return `"${bytes.join('')}"`;
}
