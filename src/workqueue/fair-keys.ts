/*
 * The keys that wait in a work queue, in the order in which they are handed out: groups take turns, the keys of one group
 * keep their order, and keys of low priority come after all others, except for one in five.
 */

/** `low`: work on very many keys, initial, periodic or after a change that concerns them all, which must not delay other changes. */
export type Priority = 'normal' | 'low';

/** A key that is handed out, and since when it waited. */
export interface WaitingKey {
  readonly key: string;
  readonly priority: Priority;
  readonly sinceMs: number;
}

/** An ordered set of waiting keys. */
export interface FairKeys {
  /** Adds a key that does not wait yet. */
  readonly push: (key: string, sinceMs: number, priority: Priority) => void;
  /** Moves a waiting key of low priority to normal priority; does nothing for other keys. */
  readonly promote: (key: string) => void;
  /** Removes and returns the next key; undefined: none waits. */
  readonly pop: () => WaitingKey | undefined;
  readonly size: () => number;
}

/** Keys of low priority must not wait forever while changes keep coming. */
const NORMAL_IN_A_ROW = 4;

type Groups = Map<string, Map<string, number>>;

/** No keys. @param groupOf the group that a key takes turns as part of; every operation is O(1) */
export function createFairKeys(groupOf: (key: string) => string): FairKeys {
  const groups: Readonly<Record<Priority, Groups>> = { normal: new Map(), low: new Map() };
  let size = 0;
  let normalInARow = 0;

  const push = (key: string, sinceMs: number, priority: Priority): void => {
    const group = groupOf(key);
    const keys = groups[priority].get(group);
    if (keys === undefined) groups[priority].set(group, new Map([[key, sinceMs]]));
    else keys.set(key, sinceMs);
    size += 1;
  };

  return {
    push,
    promote: (key) => {
      const group = groupOf(key);
      const keys = groups.low.get(group);
      const sinceMs = keys?.get(key);
      if (keys === undefined || sinceMs === undefined) return;
      keys.delete(key);
      if (keys.size === 0) groups.low.delete(group);
      size -= 1;
      push(key, sinceMs, 'normal');
    },
    pop: () => {
      const order: readonly Priority[] = normalInARow < NORMAL_IN_A_ROW ? ['normal', 'low'] : ['low', 'normal'];
      for (const priority of order) {
        const next = popNext(groups[priority], priority);
        if (next === undefined) continue;
        size -= 1;
        normalInARow = priority === 'normal' ? normalInARow + 1 : 0;
        return next;
      }
      return undefined;
    },
    size: () => size,
  };
}

/** Takes the first key of the first group and moves the group to the end. */
function popNext(groups: Groups, priority: Priority): WaitingKey | undefined {
  for (const [group, keys] of groups) {
    groups.delete(group);
    for (const [key, sinceMs] of keys) {
      keys.delete(key);
      if (keys.size > 0) groups.set(group, keys);
      return { key, sinceMs, priority };
    }
  }
  return undefined;
}
