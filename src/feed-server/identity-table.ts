/*
 * Which pod an address belongs to, from the pods of this replica: an address counts when one running pod alone has had it for a while.
 * Everything else is unknown: shared addresses (of nodes, or of two pods while one takes over from the other), pods that start or end.
 */
import { createHash } from 'node:crypto';
import type { ObjectKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import type { Clock } from '../clock.ts';
import { type IdentityEntry, MAX_IDENTITIES } from '../feed/identities.ts';

/** The pods of this replica. */
export interface PodSource {
  readonly values: () => Iterable<SlimPod>;
  /** @returns ends the subscription */
  readonly subscribe: (
    listener: (change: { readonly key: ObjectKey; readonly before: SlimPod | undefined; readonly after: SlimPod | undefined }) => void,
  ) => () => void;
}

/** One change of the table. */
export interface IdentityChange {
  readonly from: number;
  readonly version: number;
  readonly put: readonly IdentityEntry[];
  readonly drop: readonly string[];
}

/** Parts of an {@link IdentityTable}. */
export interface IdentityTableOptions {
  readonly clock: Clock;
  readonly pods: PodSource;
  /** Called for each change, in order. */
  readonly onChange: (change: IdentityChange) => void;
  /** Time in which the next changes are collected, in milliseconds; absent: {@link COLLECT_MS}. */
  readonly collectMs?: () => number;
}

/** Time that a pod must have had its address alone, and between two pods whose order is known, in milliseconds. */
export const HOLD_MS = 5_000;
/** Shortest time in which changes are collected, in milliseconds: each is sent to every agent that asks. */
export const COLLECT_MS = 200;

interface Owner {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly entry: IdentityEntry;
  /** Running, not being deleted, not on the network of its node. */
  readonly isEligible: boolean;
  readonly seenMs: number;
  /** Another pod has got the address since: the object of this one is out of date, also when that other one has gone. */
  isSuperseded: boolean;
}

interface Address {
  readonly owners: Map<ObjectKey, Owner>;
  /** The eligible owner, if it is the only one. */
  sole: Owner | undefined;
  isKnown: boolean;
}

/** The table, which follows the pods from the start. */
export class IdentityTable {
  readonly #options: IdentityTableOptions;
  readonly #addresses = new Map<string, Address>();
  readonly #known = new Map<string, IdentityEntry>();
  /** In the order in which they are due: all wait equally long. */
  readonly #held: { readonly address: string; readonly owner: Owner; readonly dueMs: number }[] = [];
  readonly #changed = new Set<string>();
  readonly #unsubscribe: () => void;
  #version = 1;
  #cancelHold: (() => void) | undefined;
  #cancelFlush: (() => void) | undefined;

  constructor(options: IdentityTableOptions) {
    this.#options = options;
    this.#unsubscribe = options.pods.subscribe(({ key, before, after }) => this.#onPod(key, before, after));
    for (const pod of options.pods.values()) this.#onPod(`${pod.namespace}/${pod.name}` as ObjectKey, undefined, pod);
  }

  /** Number of addresses that count. */
  get size(): number {
    return this.#known.size;
  }

  /** Number of the last change that was reported. */
  get version(): number {
    return this.#version;
  }

  /** The whole table of this version. What is collected for the next one may already be part of it, and does no harm there twice. */
  entries(): readonly IdentityEntry[] {
    return [...this.#known.values()];
  }

  /** Follows the pods no longer. */
  stop(): void {
    this.#unsubscribe();
    this.#cancelHold?.();
    this.#cancelFlush?.();
  }

  #onPod(key: ObjectKey, before: SlimPod | undefined, after: SlimPod | undefined): void {
    const [old, owner] = [addressOf(before), addressOf(after)];
    if (old !== undefined && old !== owner) {
      this.#addresses.get(old)?.owners.delete(key);
      this.#decide(old);
    }
    if (owner === undefined || after === undefined) return;
    const address = this.#addresses.get(owner) ?? { owners: new Map(), sole: undefined, isKnown: false };
    this.#addresses.set(owner, address);
    this.#claim(address, ownerOf(key, after, { address: owner, nowMs: this.#options.clock.nowMs() }));
    this.#decide(owner);
  }

  #claim({ owners }: Address, owner: Owner): void {
    const before = owners.get(owner.key);
    if (before?.uid === owner.uid) {
      owners.set(owner.key, { ...owner, seenMs: before.seenMs, isSuperseded: before.isSuperseded });
      return;
    }
    for (const [key, other] of owners) {
      if (key === owner.key) continue;
      // Of two in one list it is not known which is the later one.
      owner.isSuperseded ||= other.isEligible && owner.seenMs - other.seenMs < HOLD_MS;
      other.isSuperseded = true;
    }
    owners.set(owner.key, owner);
  }

  #decide(name: string): void {
    const address = this.#addresses.get(name);
    if (address === undefined) return;
    const [first] = address.owners.values();
    const sole = address.owners.size === 1 && first?.isEligible === true && !first.isSuperseded ? first : undefined;
    if (address.owners.size === 0) this.#addresses.delete(name);
    // The same pod, however its object changed.
    if (sole !== undefined && address.sole?.uid === sole.uid && address.sole.key === sole.key) return;
    address.sole = sole;
    if (address.isKnown) {
      address.isKnown = false;
      this.#known.delete(name);
      this.#note(name);
    }
    if (sole !== undefined) this.#hold(name, sole);
  }

  #hold(address: string, owner: Owner): void {
    this.#held.push({ address, owner, dueMs: this.#options.clock.nowMs() + HOLD_MS });
    this.#cancelHold ??= this.#options.clock.after(HOLD_MS, () => this.#release());
  }

  #release(): void {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    this.#cancelHold = undefined;
    const due = this.#held.findIndex(({ dueMs }) => dueMs > nowMs);
    for (const { address: name, owner } of this.#held.splice(0, due === -1 ? this.#held.length : due)) {
      const address = this.#addresses.get(name);
      // It may have lost the address meanwhile, and have it again.
      if (address?.sole !== owner || address.isKnown || this.#known.size >= MAX_IDENTITIES) continue;
      address.isKnown = true;
      this.#known.set(name, owner.entry);
      this.#note(name);
    }
    const [next] = this.#held;
    if (next !== undefined) this.#cancelHold = clock.after(next.dueMs - nowMs, () => this.#release());
  }

  #note(address: string): void {
    this.#changed.add(address);
    const { clock, collectMs = () => COLLECT_MS } = this.#options;
    this.#cancelFlush ??= clock.after(collectMs(), () => this.#flush());
  }

  #flush(): void {
    this.#cancelFlush = undefined;
    const put: IdentityEntry[] = [];
    const drop: string[] = [];
    for (const address of this.#changed) {
      const entry = this.#known.get(address);
      if (entry === undefined) drop.push(address);
      else put.push(entry);
    }
    this.#changed.clear();
    const from = this.#version;
    this.#version += 1;
    this.#options.onChange({ from, version: this.#version, put, drop });
  }
}

/** The address that a pod occupies; undefined: none. A pod that has ended keeps one in its status. */
function addressOf(pod: SlimPod | undefined): string | undefined {
  return pod === undefined || isFinished(pod) ? undefined : pod.podIP;
}

function ownerOf(key: ObjectKey, pod: SlimPod, { address, nowMs }: { readonly address: string; readonly nowMs: number }): Owner {
  const { uid = '', namespace, serviceAccount = '', phase, deletionTimestamp, hostNetwork } = pod;
  return {
    key,
    uid,
    entry: [address, namespace, serviceAccount, createHash('sha256').update(uid).digest('base64url').slice(0, 12)],
    seenMs: nowMs,
    isSuperseded: false,
    isEligible: phase === 'Running' && deletionTimestamp === undefined && hostNetwork !== true && uid !== '' && serviceAccount !== '',
  };
}
