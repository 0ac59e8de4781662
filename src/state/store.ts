/*
 * A set of objects with named indexes. In: upserts, removals and whole replacements, from reflectors or a folder. Out:
 * look-ups by key and by index, and one event per object that really changed. The world is made of these.
 */
import type { ObjectKey } from '../api/kube/keys.ts';

/** One object that appeared (`before` undefined), changed or went away (`after` undefined). */
export interface Change<T> {
  readonly key: ObjectKey;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export interface StoreOptions<T, I extends string> {
  readonly keyOf: (value: T) => ObjectKey;
  /** Each index gives the values under which an object is found; several, one or none. */
  readonly indexes: Readonly<Record<I, (value: T) => readonly string[]>>;
  /** Do two versions of one object differ in nothing that anybody reads? Such an update is stored without an event. */
  readonly same: (before: T, after: T) => boolean;
}

/** What a source may do to a store; a reflector's sink has the same shape. */
export interface StoreInput<T> {
  readonly upsert: (value: T) => void;
  /** Removing what is not there is no event. */
  readonly remove: (key: ObjectKey) => void;
  /** Makes the store hold exactly `values`; only differences are told. */
  readonly replace: (values: Iterable<T>) => void;
}

export interface Store<T, I extends string = never> extends StoreInput<T> {
  readonly size: () => number;
  readonly get: (key: ObjectKey) => T | undefined;
  readonly values: () => IterableIterator<T>;
  /** Objects that the index has under `value`, in order of arrival. */
  readonly byIndex: (index: I, value: string) => readonly T[];
  /** Every value that the index has an object for. */
  readonly indexValues: (index: I) => IterableIterator<string>;
  /** Calls `listener` after each change, in the order of changes; returns the way to stop. Listeners must not throw. */
  readonly subscribe: (listener: (change: Change<T>) => void) => () => void;
}

/** An empty store. Look-ups cost O(1) plus the result; an update costs O(1) per index value. */
export function createStore<T, I extends string = never>(options: StoreOptions<T, I>): Store<T, I> {
  const objects = new Map<ObjectKey, T>();
  const indexNames = Object.keys(options.indexes) as I[];
  const indexes = new Map<I, Map<string, Map<ObjectKey, T>>>(indexNames.map((name) => [name, new Map()]));
  const listeners = new Set<(change: Change<T>) => void>();

  const put = (key: ObjectKey, before: T | undefined, after: T | undefined): void => {
    if (after === undefined) objects.delete(key);
    else objects.set(key, after);
    for (const name of indexNames) {
      const index = indexes.get(name);
      if (index !== undefined) reindex(index, { key, before, after }, options.indexes[name]);
    }
    if (before !== undefined && after !== undefined && options.same(before, after)) return;
    for (const listener of listeners) listener({ key, before, after });
  };
  const upsert = (value: T): void => {
    const key = options.keyOf(value);
    put(key, objects.get(key), value);
  };
  const remove = (key: ObjectKey): void => {
    const before = objects.get(key);
    if (before !== undefined) put(key, before, undefined);
  };

  return {
    upsert,
    remove,
    replace: (values) => {
      const gone = new Set(objects.keys());
      for (const value of values) {
        gone.delete(options.keyOf(value));
        upsert(value);
      }
      for (const key of gone) remove(key);
    },
    size: () => objects.size,
    get: (key) => objects.get(key),
    values: () => objects.values(),
    byIndex: (index, value) => [...(indexes.get(index)?.get(value)?.values() ?? [])],
    indexValues: (index) => (indexes.get(index) ?? new Map<string, never>()).keys(),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function reindex<T>(index: Map<string, Map<ObjectKey, T>>, change: Change<T>, valuesOf: (value: T) => readonly string[]): void {
  const wanted = new Set(change.after === undefined ? [] : valuesOf(change.after));
  for (const value of change.before === undefined ? [] : valuesOf(change.before)) {
    if (wanted.has(value)) continue;
    const bucket = index.get(value);
    bucket?.delete(change.key);
    if (bucket?.size === 0) index.delete(value);
  }
  if (change.after === undefined) return;
  for (const value of wanted) {
    const bucket = index.get(value);
    if (bucket === undefined) index.set(value, new Map([[change.key, change.after]]));
    else bucket.set(change.key, change.after);
  }
}
