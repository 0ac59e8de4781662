/*
 * Reading JSON that nobody has checked. In: any value. Out: a record, a list or a text, empty when it is something else.
 * Objects of users pass through this room as they are: a typed model of a pod would drop the fields it does not know.
 */

/** A JSON object with whatever is in it. */
export type Raw = Readonly<Record<string, unknown>>;

export function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value when it is a JSON object, else an empty one. */
export function rawOf(value: unknown): Raw {
  return isRaw(value) ? value : {};
}

/** The JSON objects of a list, in order; nothing when it is no list. */
export function rawListOf(value: unknown): readonly Raw[] {
  return Array.isArray(value) ? value.filter(isRaw) : [];
}

/** The value when it is a text, else undefined. */
export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The value when it is a whole number that a TCP port can have, else undefined. */
export function portOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535 ? value : undefined;
}

/** A copy without the fields of `names`. */
export function without(raw: Raw, ...names: readonly string[]): Raw {
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !names.includes(name)));
}

/** Equal but for the order of keys. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, at) => isSame(item, other[at]));
  if (!isRaw(one) || !isRaw(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => key in other && isSame(one[key], other[key]));
}
