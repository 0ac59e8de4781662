/*
 * Reads the unchecked JSON of a Kubernetes object without throwing: values of the wrong type become empty.
 */

/** A JSON object with unchecked members. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value if it is a JSON object, otherwise an empty object. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The members of an array as JSON objects; empty if `value` is not an array. */
export function itemsOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

/** The strings in an array; empty if `value` is not an array. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** The numbers in ascending order, each once. */
export function ascending(numbers: Iterable<number>): readonly number[] {
  return [...new Set(numbers)].sort((one, other) => one - other);
}
