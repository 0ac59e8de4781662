/*
 * Sets and removes query parameters as an ext_authz server requests. The query is rewritten as Envoy writes it: sorted by name,
 * each parameter with `=`.
 */
import { compareBytes } from '../policy/lower/order.ts';

/** Nothing is encoded or decoded. */
export interface QueryChanges {
  /** Name, value …; each replaces all parameters of the name. */
  readonly set: readonly string[];
  /** Names; applied after `set`. */
  readonly remove: readonly string[];
}

/** `target` (path with query) after the changes; without changes, `target` itself. */
export function changeQuery(target: string, { set, remove }: QueryChanges): string {
  if (set.length === 0 && remove.length === 0) return target;
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const valuesByName = mark === -1 ? new Map<string, string[]>() : parseQuery(target.slice(mark + 1));
  for (let index = 0; index < set.length; index += 2) valuesByName.set(set[index] ?? '', [set[index + 1] ?? '']);
  for (const name of remove) valuesByName.delete(name);
  const names = [...valuesByName.keys()].sort(compareBytes);
  const query = names.flatMap((name) => (valuesByName.get(name) ?? []).map((value) => `${name}=${value}`)).join('&');
  return query === '' ? path : `${path}?${query}`;
}

function parseQuery(query: string): Map<string, string[]> {
  const valuesByName = new Map<string, string[]>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = equals === -1 ? part : part.slice(0, equals);
    const value = equals === -1 ? '' : part.slice(equals + 1);
    const values = valuesByName.get(name);
    if (values === undefined) valuesByName.set(name, [value]);
    else values.push(value);
  }
  return valuesByName;
}
