/*
 * The request header grpc-timeout, as Envoy reads it.
 */

/** Milliseconds per unit. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** A number as absl::SimpleAtoi takes it, which is more than gRPC allows: with whitespace, a sign and leading zeros. */
const VALUE = /^[ \t]*([+-]?)0*([0-9]{1,8})[ \t]*([HMSmun])$/;

/** Whole milliseconds of `value`, rounded up; undefined: no valid value, which sets no deadline. */
export function grpcTimeoutMs(value: string): number | undefined {
  const [, sign, digits = '', unit = ''] = VALUE.exec(value) ?? [];
  const factor = UNITS[unit];
  if (factor === undefined || (sign === '-' && Number(digits) !== 0)) return undefined;
  return factor < 1 ? Math.ceil(Number(digits) / Math.round(1 / factor)) : Number(digits) * factor;
}
