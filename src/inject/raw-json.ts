/*
 * Reads unchecked JSON without throwing: values of the wrong type become empty. Users' objects stay raw in this package, because
 * a typed model of a pod would drop fields that it does not know.
 */

/** A JSON object with unchecked members. */
export type Raw = Readonly<Record<string, unknown>>;

/** Whether `value` is a JSON object. */
export function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is a JSON object, otherwise an empty object. */
export function rawOf(value: unknown): Raw {
  return isRaw(value) ? value : {};
}

/** The JSON objects in an array, in order; empty if `value` is not an array. */
export function rawListOf(value: unknown): readonly Raw[] {
  return Array.isArray(value) ? value.filter(isRaw) : [];
}

/** The value if it is a string, otherwise undefined. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The value if it is a valid TCP port number, otherwise undefined. */
export function portOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535 ? value : undefined;
}

/** A copy without the fields in `names`. */
export function without(raw: Raw, ...names: readonly string[]): Raw {
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !names.includes(name)));
}

/** Whether both values are equal, ignoring the order of keys. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, at) => isSame(item, other[at]));
  if (!isRaw(one) || !isRaw(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => key in other && isSame(one[key], other[key]));
}
