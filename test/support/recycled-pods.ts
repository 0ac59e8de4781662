/*
 * A cluster whose pods come and go, in the orders that kubelet, CNI and API server can produce: who has an address in truth, and what the
 * watch of the controller says about it, later. Time is that of a fake clock; everything is drawn from one seed.
 */
import type { SlimPod } from '../../src/api/kube/slim.ts';
import { createStore, type Store } from '../../src/state/store.ts';
import type { Random } from '../fuzz/random.ts';
import type { FakeClock } from './fake-clock.ts';

/** Longest times in milliseconds. */
export interface Lags {
  /** From what happens on a node to what its kubelet has written to the API server. */
  readonly kubeletMs: number;
  /** From a write to the event of the watch. */
  readonly watchMs: number;
}

/** A pod in truth. */
export interface TruePod {
  readonly name: string;
  readonly account: string;
  readonly uid: string;
}

/** How a pod loses its address. */
export const ENDINGS = ['deleted', 'completed', 'sandbox', 'forced', 'node-lost', 'same-name'] as const;
type Ending = (typeof ENDINGS)[number];

/** What happens later, in order of time. */
class Agenda {
  readonly #heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    this.#order += 1;
    heap.push({ atMs, order: this.#order, run });
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  next(): { readonly atMs: number; readonly run: () => void } | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && this.#isBefore(child, least)) least = child;
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [left, right] = [this.#heap[one], this.#heap[other]];
    if (left === undefined || right === undefined) return false;
    return left.atMs === right.atMs ? left.order < right.order : left.atMs < right.atMs;
  }

  #swap(one: number, other: number): void {
    const [left, right] = [this.#heap[one], this.#heap[other]];
    if (left === undefined || right === undefined) return;
    this.#heap[one] = right;
    this.#heap[other] = left;
  }
}

/** The cluster. */
export class RecycledPods {
  /** The pods as the controller's informer has them. */
  readonly pods: Store<SlimPod> = createStore<SlimPod, never>({
    keyOf: (pod) => `${pod.namespace}/${pod.name}` as never,
    indexes: {},
    same: (before, after) => JSON.stringify(before) === JSON.stringify(after),
  });
  /** Who has an address, and since when. */
  readonly truth: Map<string, { readonly pod: TruePod; readonly sinceMs: number }> = new Map();
  recycles = 0;
  readonly endings: Map<Ending, number> = new Map();
  /** While it is set, the watch of the controller brings nothing; then everything together. */
  isWatching = true;
  readonly #agenda = new Agenda();
  readonly #clock: FakeClock;
  readonly #random: Random;
  readonly #lags: Lags;
  readonly #unseen: (() => void)[] = [];
  #lastEventMs = 0;
  #uids = 0;
  #spare = 0;

  constructor(clock: FakeClock, random: Random, lags: Lags) {
    this.#clock = clock;
    this.#random = random;
    this.#lags = lags;
  }

  /** Does something after a time. */
  after(ms: number, run: () => void): void {
    this.#agenda.add(this.#clock.nowMs() + ms, run);
  }

  /** Runs until nothing is left to do, or `isOver`. */
  run(isOver: () => boolean): void {
    for (let next = this.#agenda.next(); next !== undefined && !isOver(); next = this.#agenda.next()) {
      this.#clock.advance(Math.max(0, next.atMs - this.#clock.nowMs()));
      next.run();
    }
  }

  /** The watch is back. */
  resumeWatch(): void {
    this.isWatching = true;
    for (const event of this.#unseen.splice(0)) event();
  }

  /** A first pod at an address, and others after it. @param lifeMs longest life of a pod */
  populate(address: string, lifeMs: number): void {
    this.#start(address, this.#newPod(), lifeMs);
  }

  #newPod(name?: string): TruePod {
    this.#uids += 1;
    return { name: name ?? `pod-${this.#uids}`, account: `account-${this.#random.below(5)}`, uid: `uid-${this.#uids}` };
  }

  /** CNI has given the address to the pod; its kubelet reports that later. */
  #start(address: string, pod: TruePod, lifeMs: number): void {
    const { kubeletMs } = this.#lags;
    this.truth.set(address, { pod, sinceMs: this.#clock.nowMs() });
    this.#written(this.#draw(kubeletMs), () => this.#put(pod, { podIP: address }));
    this.after(kubeletMs + this.#draw(lifeMs), () => this.#end(address, pod, lifeMs));
  }

  #end(address: string, pod: TruePod, lifeMs: number): void {
    const { kubeletMs } = this.#lags;
    const ending = this.#random.pick(ENDINGS);
    this.recycles += 1;
    this.endings.set(ending, (this.endings.get(ending) ?? 0) + 1);
    const next = this.#newPod(ending === 'same-name' ? pod.name : undefined);
    /** The address is free, and goes to the next pod, often immediately. */
    const hand = (ms: number): void =>
      this.after(ms, () => {
        this.truth.delete(address);
        this.after(this.#random.below(3) === 0 ? this.#draw(2_000) : 0, () => this.#start(address, next, lifeMs));
      });
    switch (ending) {
      case 'deleted': {
        // The API server knows first; its object goes before or after the next pod begins.
        this.#written(0, () => this.#put(pod, { podIP: address, deletionTimestamp: 'now' }));
        const graceMs = this.#lags.watchMs + this.#draw(30_000);
        hand(graceMs);
        this.#written(graceMs + this.#draw(kubeletMs), () => this.#remove(pod));
        break;
      }
      case 'completed':
        // A job ends by itself: the API server learns of it from its kubelet.
        hand(0);
        this.#written(this.#draw(kubeletMs), () => this.#put(pod, { podIP: address, phase: 'Succeeded' }));
        this.#written(kubeletMs + this.#draw(60_000), () => this.#remove(pod));
        break;
      case 'sandbox': {
        // The pod goes on with another address, which its kubelet reports later.
        hand(0);
        this.#spare += 1;
        const other = `10.99.${this.#spare >> 8}.${this.#spare & 255}`;
        this.#written(this.#draw(kubeletMs), () => this.#put(pod, { podIP: other }));
        this.#written(kubeletMs + this.#draw(60_000), () => this.#remove(pod));
        break;
      }
      case 'forced':
        // The object is gone while the containers still run.
        this.#written(0, () => this.#remove(pod));
        hand(this.#draw(20_000));
        break;
      case 'node-lost':
        // The kubelet reports nothing any more, and another node gets the address.
        hand(0);
        this.#written(kubeletMs + this.#draw(120_000), () => this.#put(pod, { podIP: address, deletionTimestamp: 'now' }));
        this.#written(kubeletMs + 120_000 + this.#draw(60_000), () => this.#remove(pod));
        break;
      case 'same-name':
        // A StatefulSet: the next pod has the same key.
        this.#written(0, () => this.#put(pod, { podIP: address, deletionTimestamp: 'now' }));
        hand(this.#lags.watchMs + this.#draw(10_000));
    }
  }

  /** A write to the API server, whose event the controller sees later; events keep their order. */
  #written(ms: number, change: () => void): void {
    this.after(ms, () => {
      this.#lastEventMs = Math.max(this.#lastEventMs, this.#clock.nowMs() + this.#draw(this.#lags.watchMs));
      this.#agenda.add(this.#lastEventMs, () => {
        if (this.isWatching) change();
        else this.#unseen.push(change);
      });
    });
  }

  #put(pod: TruePod, over: Partial<SlimPod>): void {
    // A late write of a pod that another one of its name has replaced does not exist at the API server.
    const known = this.pods.get(`shop/${pod.name}` as never);
    if (known?.uid !== undefined && Number(known.uid.slice(4)) > Number(pod.uid.slice(4))) return;
    const { name, account, uid } = pod;
    this.pods.upsert({ namespace: 'shop', name, uid, labels: {}, annotations: {}, phase: 'Running', serviceAccount: account, ...over });
  }

  #remove(pod: TruePod): void {
    if (this.pods.get(`shop/${pod.name}` as never)?.uid === pod.uid) this.pods.remove(`shop/${pod.name}` as never);
  }

  #draw(limitMs: number): number {
    return this.#random.below(limitMs + 1);
  }
}
