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
  const text = canonicalJsonOfParts(value);
  keptTexts.set(value, text);
  return text.length;
}

/** The same as {@link canonicalJson}, quicker for a value of which parts were kept. */
export function canonicalJsonOfParts(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const kept = keptTexts.get(value);
  if (kept !== undefined) return kept;
  let text = '';
  let separator = '';
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) {
      text += item === undefined ? `${separator}null` : separator + canonicalJsonOfParts(item);
      separator = ',';
    }
    return `[${text}]`;
  }
  const members = value as Readonly<Record<string, unknown>>;
  for (const key of inOrder(Object.keys(members))) {
    const member = members[key];
    if (member === undefined) continue;
    text += `${separator}${JSON.stringify(key)}:${canonicalJsonOfParts(member)}`;
    separator = ',';
  }
  return `{${text}}`;
}

/** Whether a key may be an array index, which has at most ten digits. */
const INDEX = /^[0-9]{1,10}$/;

/** The keys as {@link canonicalJson} writes them: those of JavaScript's array indices come first, whatever the order of their creation. */
function inOrder(keys: readonly string[]): readonly string[] {
  const byUnit = isSorted(keys) ? keys : keys.toSorted();
  if (!byUnit.some((key) => INDEX.test(key))) return byUnit;
  const members = Object.create(null) as Record<string, true>;
  for (const key of byUnit) members[key] = true;
  return Object.keys(members);
}

function isSorted(keys: readonly string[]): boolean {
  for (let at = 1; at < keys.length; at += 1) if ((keys[at - 1] ?? '') > (keys[at] ?? '')) return false;
  return true;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  // Without a prototype, a member named `__proto__` is a member like any other.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).sort()) copy[key] = sorted((value as Record<string, unknown>)[key]);
  return copy;
}
