/*
 * Objects by key, with named indexes and one event per object that changed. Cluster state consists of stores.
 */
import type { ObjectKey } from '../api/kube/keys.ts';

/** One object that was added (`before` undefined), changed or was removed (`after` undefined). */
export interface StoreChange<T> {
  readonly key: ObjectKey;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** How a store identifies, indexes and compares its objects. */
export interface StoreOptions<T, I extends string> {
  /** The key of an object; two objects of one key replace each other. */
  readonly keyOf: (value: T) => ObjectKey;
  /** By name of the index: the values under which an object is found, possibly none. */
  readonly indexes: Readonly<Record<I, (value: T) => readonly string[]>>;
  /** Whether two versions of one object are equal in everything that a subscriber reads. An update between equal versions is stored without an event. */
  readonly same: (before: T, after: T) => boolean;
}

/** The write side of a store; the sink of a reflector has the same shape. */
export interface StoreInput<T> {
  /** Adds the object or replaces the one with its key. */
  readonly upsert: (value: T) => void;
  /** Removes an object; without an event when it does not exist. */
  readonly remove: (key: ObjectKey) => void;
  /** Makes `values` the only objects of the store; events report the differences. */
  readonly replace: (values: Iterable<T>) => void;
}

/** A store of objects with the indexes `I`. */
export interface Store<T, I extends string = never> extends StoreInput<T> {
  readonly size: () => number;
  readonly get: (key: ObjectKey) => T | undefined;
  readonly values: () => IterableIterator<T>;
  /** Objects that the index holds under `value`, in order of their addition. */
  readonly byIndex: (index: I, value: string) => readonly T[];
  /** Every value under which the index holds an object. */
  readonly indexValues: (index: I) => IterableIterator<string>;
  /** Calls `listener` after each change, in order; returns a function that ends the subscription. Listeners must not throw. */
  readonly subscribe: (listener: (change: StoreChange<T>) => void) => () => void;
}

/** An empty store. A lookup costs O(1) plus its result; an update costs O(1) per index value. */
export function createStore<T, I extends string = never>(options: StoreOptions<T, I>): Store<T, I> {
  const objects = new Map<ObjectKey, T>();
  const indexNames = Object.keys(options.indexes) as I[];
  const indexes = new Map<I, Map<string, Map<ObjectKey, T>>>(indexNames.map((name) => [name, new Map()]));
  const listeners = new Set<(change: StoreChange<T>) => void>();

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

function reindex<T>(index: Map<string, Map<ObjectKey, T>>, change: StoreChange<T>, valuesOf: (value: T) => readonly string[]): void {
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
