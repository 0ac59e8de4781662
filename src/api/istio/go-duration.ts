/*
 * Duration text as Go and CEL read it, e.g. `5s`, `1m30s`, `100ms`. Text in, milliseconds or Go's error text out. Called by
 * the decoder and by the CRD rule on `timeout`.
 * @see https://pkg.go.dev/time#ParseDuration
 */

/** `ms` may have a fraction. */
export type DurationResult = { readonly kind: 'ok'; readonly ms: number } | { readonly kind: 'error'; readonly message: string };

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /^(\d*)(\.\d*)?([^\d.]*)/;
/** Largest duration of Go: 2^63 - 1 nanoseconds. */
const MAX_MS = 9_223_372_036_854.775;

/** Reads a duration; a sign is allowed, the units are ns, us, ms, s, m and h. */
export function parseGoDuration(text: string): DurationResult {
  const isNegative = text.startsWith('-');
  const unsigned = isNegative || text.startsWith('+') ? text.slice(1) : text;
  const ms = unsigned === '0' ? 0 : sumOfParts(unsigned);
  if (typeof ms === 'string') return { kind: 'error', message: `time: ${ms} in duration ${JSON.stringify(text)}` };
  if (ms === undefined || ms > MAX_MS) return { kind: 'error', message: `time: invalid duration ${JSON.stringify(text)}` };
  return { kind: 'ok', ms: isNegative ? -ms : ms };
}

/** Milliseconds; or what is wrong with a unit; or undefined when it is no duration at all. */
function sumOfParts(text: string): number | string | undefined {
  let rest = text;
  let ms = 0;
  do {
    const [whole = '', digits = '', fraction = '.', unit = ''] = PART.exec(rest) ?? [];
    if (digits === '' && fraction === '.') return undefined;
    if (unit === '') return 'missing unit';
    const factor = Object.hasOwn(MS_PER_UNIT, unit) ? MS_PER_UNIT[unit] : undefined;
    if (factor === undefined) return `unknown unit ${JSON.stringify(unit)}`;
    ms += Number(`${digits}${fraction}`) * factor;
    rest = rest.slice(whole.length);
  } while (rest !== '');
  return ms;
}
