/*
 * Containers that cannot grow beyond a declared limit. Each counts what it refuses or drops. They add one comparison to the
 * built-in container, so that they may be used for every connection.
 */
import type { Limit } from './limit.ts';

/** A set with a limited number of members. */
export class BoundedSet<T> {
  readonly #limit: Limit;
  readonly #max: number;
  readonly #members = new Set<T>();

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  get size(): number {
    return this.#members.size;
  }

  /** The member that was added first; undefined: the set is empty. */
  get oldest(): T | undefined {
    return this.#members.values().next().value;
  }

  /** @returns false: the set is full, which is counted, and does not hold `member` */
  add(member: T): boolean {
    if (this.#members.size >= this.#max && !this.#members.has(member)) {
      this.#limit.hit();
      return false;
    }
    this.#members.add(member);
    return true;
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  /** @returns false: there was no such member */
  delete(member: T): boolean {
    return this.#members.delete(member);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.values();
  }
}

/** A map with a limited number of keys; a further key takes the place of the one that was added first. */
export class BoundedMap<K, V> {
  readonly #limit: Limit;
  readonly #max: number;
  readonly #values = new Map<K, V>();
  readonly #onEvicted: ((value: V) => void) | undefined;

  /** @param onEvicted receives a value whose key gave way to another */
  constructor(limit: Limit, max: number = limit.value, onEvicted?: (value: V) => void) {
    this.#limit = limit;
    this.#max = max;
    this.#onEvicted = onEvicted;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  /** Sets the value of `key`; a new key beyond the limit drops the oldest key, which is counted. */
  set(key: K, value: V): void {
    if (this.#values.size >= this.#max && !this.#values.has(key)) this.#evict();
    this.#values.set(key, value);
  }

  delete(key: K): boolean {
    return this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
  }

  entries(): IterableIterator<[K, V]> {
    return this.#values.entries();
  }

  values(): IterableIterator<V> {
    return this.#values.values();
  }

  #evict(): void {
    for (const [key, value] of this.#values) {
      this.#values.delete(key);
      this.#limit.hit();
      this.#onEvicted?.(value);
      return;
    }
  }
}

/** Slots of a new {@link BoundedIdMap}. */
const FEW_SLOTS = 8;
/** Slots that an empty one keeps. */
const KEPT_SLOTS = 128;

/**
 * A map with a limited number of keys that are non-negative integers below 2^31, for keys that are added and removed all the time, such as stream
 * IDs. A built-in `Map` allocates a new table again and again while keys come and go, and V8 links each old table to the next one: after an old
 * table is promoted to the old generation, everything that later tables held stays alive until the next full garbage collection. This map reuses
 * its slots, and a table that it replaces does not refer to the next one.
 */
export class BoundedIdMap<V extends object> {
  readonly #limit: Limit;
  readonly #max: number;
  #keys: number[] = emptySlots(FEW_SLOTS, 0);
  /** The number of slots is a power of two. The search for a key begins at slot `key & (slots - 1)` and ends at an empty slot. */
  #values: (V | undefined)[] = emptySlots(FEW_SLOTS, undefined);
  #size = 0;

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  get(key: number): V | undefined {
    return this.#values[this.#slotOf(key)];
  }

  /** @returns false: the map is full, which is counted, and does not have `key` */
  set(key: number, value: V): boolean {
    let at = this.#slotOf(key);
    if (this.#values[at] === undefined) {
      if (this.#size >= this.#max) {
        this.#limit.hit();
        return false;
      }
      if (this.#size * 2 >= this.#values.length) {
        this.#resize(this.#values.length * 2);
        at = this.#slotOf(key);
      }
      this.#size += 1;
    }
    this.#keys[at] = key;
    this.#values[at] = value;
    return true;
  }

  /** @returns false: there was no such key */
  delete(key: number): boolean {
    const mask = this.#values.length - 1;
    let free = this.#slotOf(key);
    if (this.#values[free] === undefined) return false;
    for (let at = (free + 1) & mask; this.#values[at] !== undefined; at = (at + 1) & mask) {
      const other = this.#keys[at] as number;
      // The search for it does not pass the free slot.
      if (((at - other) & mask) < ((at - free) & mask)) continue;
      this.#keys[free] = other;
      this.#values[free] = this.#values[at];
      free = at;
    }
    this.#values[free] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && mask >= KEPT_SLOTS) this.#resize(FEW_SLOTS);
    return true;
  }

  /** The values at the start of the iteration, in ascending order of keys; skips those that are deleted during it. */
  *values(): IterableIterator<V> {
    const entries = this.#entries().toSorted(([one], [other]) => one - other);
    for (const [key, value] of entries) if (this.get(key) === value) yield value;
  }

  #entries(): (readonly [key: number, value: V])[] {
    return this.#values.flatMap((value, at) => (value === undefined ? [] : [[this.#keys[at] as number, value] as const]));
  }

  /** The slot of `key`; the empty slot for it when the map does not have it. */
  #slotOf(key: number): number {
    const mask = this.#values.length - 1;
    let at = key & mask;
    while (this.#values[at] !== undefined && this.#keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  #resize(slots: number): void {
    const entries = this.#entries();
    this.#keys = emptySlots(slots, 0);
    this.#values = emptySlots(slots, undefined);
    for (const [key, value] of entries) {
      const at = this.#slotOf(key);
      this.#keys[at] = key;
      this.#values[at] = value;
    }
  }
}

function emptySlots<T>(length: number, content: T): T[] {
  return Array.from({ length }, () => content);
}

/** An array with a limited length: a stack by `pop`, a queue by `shift`. */
export class BoundedList<T> {
  readonly #limit: Limit;
  readonly #max: number;
  readonly #items: T[] = [];

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  get length(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** @returns false: the array is full, which is counted */
  push(item: T): boolean {
    if (this.#items.length >= this.#max) {
      this.#limit.hit();
      return false;
    }
    this.#items.push(item);
    return true;
  }

  pop(): T | undefined {
    return this.#items.pop();
  }

  shift(): T | undefined {
    return this.#items.shift();
  }

  /** Removes the first occurrence of `item`. @returns false: it is absent */
  remove(item: T): boolean {
    const at = this.#items.indexOf(item);
    if (at !== -1) this.#items.splice(at, 1);
    return at !== -1;
  }
}

const NO_PARTS: readonly Buffer[] = [];

/** Byte strings in order, limited by their sum. Costs an idle owner no array. */
export class ByteParts {
  readonly #limit: Limit;
  readonly #max: number;
  #parts: Buffer[] | undefined;
  #bytes = 0;

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  /** Sum of the lengths. */
  get bytes(): number {
    return this.#bytes;
  }

  /** In the order of `push`. */
  get parts(): readonly Buffer[] {
    return this.#parts ?? NO_PARTS;
  }

  /** Appends `part`, whatever its length. @returns false: the sum is now beyond the limit, which is counted; stop reading or give up */
  push(part: Buffer): boolean {
    (this.#parts ??= []).push(part);
    this.#bytes += part.length;
    if (this.#bytes <= this.#max) return true;
    this.#limit.hit();
    return false;
  }

  /** All bytes in one buffer, which now belongs to the caller; undefined: nothing was pushed. */
  take(): Buffer | undefined {
    const parts = this.#parts;
    if (parts === undefined) return undefined;
    this.#parts = undefined;
    this.#bytes = 0;
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
}

const NO_BYTES = Buffer.alloc(0);

/** Bytes in one buffer that grows, for pieces that may be as small as one byte. Costs an idle owner no buffer. */
export class ByteCollector {
  readonly #limit: Limit;
  readonly #max: number;
  #bytes: Buffer = NO_BYTES;
  #length = 0;

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  /** What was collected so far; valid until the next `append`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Appends a copy of `buffer[start, end)` as far as it fits. @returns false: a part was left out, which is counted */
  append(buffer: Buffer, start: number, end: number): boolean {
    const stop = Math.min(end, start + this.#max - this.#length);
    const length = this.#length + stop - start;
    if (length > this.#bytes.length) this.#grow(length);
    buffer.copy(this.#bytes, this.#length, start, stop);
    this.#length = length;
    if (stop === end) return true;
    this.#limit.hit();
    return false;
  }

  /** What was collected; it now belongs to the caller. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = NO_BYTES;
    this.#length = 0;
    return bytes;
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#max, Math.max(length, this.#bytes.length * 2)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Memory that several owners share. */
export class ByteBudget {
  readonly #limit: Limit;
  readonly #max: number;
  #used = 0;

  /** @param max replaces the limit's default */
  constructor(limit: Limit, max: number = limit.value) {
    this.#limit = limit;
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  get max(): number {
    return this.#max;
  }

  /** @returns false: not enough is left, which is counted; nothing is reserved then */
  reserve(bytes: number): boolean {
    if (this.#used + bytes > this.#max) {
      this.#limit.hit();
      return false;
    }
    this.#used += bytes;
    return true;
  }

  /** Gives back bytes of an earlier `reserve`. */
  release(bytes: number): void {
    this.#used -= bytes;
  }
}
