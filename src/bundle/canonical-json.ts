/*
 * Canonical JSON: equal values give equal strings.
 */

/** Text of values that are part of many bundles. */
const keptTexts = new WeakMap<object, string>();

/**
 * The canonical form of a plain JSON value: members sorted by code unit, those that are array indices first, no whitespace. Members that are
 * `undefined` are omitted, as by JSON.stringify.
 *
 * @example canonicalJson({ b: 1, a: [true, null] }) // '{"a":[true,null],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

/**
 * Computes the canonical form of `value` once; {@link canonicalJsonOfParts} uses it for as long as `value` exists. `value` must never change.
 *
 * @returns the length of the text
 */
export function keepCanonicalJson(value: object): number {
  const text = keptTexts.get(value) ?? canonicalJson(value);
  keptTexts.set(value, text);
  return text.length;
}

/** The same as {@link canonicalJson}, quicker for a value of which parts were kept. */
export function canonicalJsonOfParts(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const kept = keptTexts.get(value);
  if (kept !== undefined) return kept;
  if (Array.isArray(value))
    return `[${value.map((item: unknown) => (item === undefined ? 'null' : canonicalJsonOfParts(item))).join(',')}]`;
  const members = value as Readonly<Record<string, unknown>>;
  const written = inOrder(Object.keys(members))
    .filter((key) => members[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}:${canonicalJsonOfParts(members[key])}`);
  return `{${written.join(',')}}`;
}

const INDEX = /^(?:0|[1-9][0-9]{0,9})$/;

/** The keys as {@link canonicalJson} writes them: those of JavaScript's array indices come first, whatever the order of their creation. */
function inOrder(keys: readonly string[]): readonly string[] {
  const byUnit = keys.toSorted();
  if (!byUnit.some((key) => INDEX.test(key))) return byUnit;
  const members = Object.create(null) as Record<string, true>;
  for (const key of byUnit) members[key] = true;
  return Object.keys(members);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  // Without a prototype, a member named `__proto__` is a member like any other.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).sort()) copy[key] = sorted((value as Record<string, unknown>)[key]);
  return copy;
}
