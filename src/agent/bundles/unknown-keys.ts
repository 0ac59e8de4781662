/*
 * Keys that tokens name and that the bundle lacks, on their way to the controller: one key of each source, and one message in a while,
 * whatever clients send.
 */
import { encodeUnknownKeys, FETCHED_KEY_SET, UNKNOWN_KEY_BYTES } from '../../feed/protocol.ts';
import type { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import { startTimer } from '../../limits/timers.ts';

/** Collects unknown keys, and sends them. */
export class UnknownKeys {
  readonly #limits: Pick<typeof LIMITS, 'unknownKeyBytes' | 'unknownKeyPause'>;
  readonly #send: (payload: Buffer) => void;
  /** By key set. */
  readonly #noted: BoundedMap<string, string>;
  /** Present: a message was sent a moment ago. */
  #cancel: (() => void) | undefined;

  /** @param send is called with the payload of a frame */
  constructor(limits: Pick<typeof LIMITS, 'unknownKeyBytes' | 'unknownKeyPause'>, send: (payload: Buffer) => void) {
    this.#limits = limits;
    this.#send = send;
    // Two bytes are those of the braces.
    this.#noted = new BoundedMap(limits.unknownKeyBytes, Math.floor((limits.unknownKeyBytes.value - 2) / UNKNOWN_KEY_BYTES));
  }

  /** Notes that a key set lacks a key. @param kid returns its hash; `''`: the token names no key. Not called when a key of the set is noted */
  note(keySet: string, kid: () => string): void {
    if (!FETCHED_KEY_SET.test(keySet) || this.#noted.get(keySet) !== undefined) return;
    const hash = kid();
    if (hash === '') return;
    this.#noted.set(keySet, hash);
    if (this.#cancel === undefined) this.#flush();
  }

  /** Forgets what was noted, and sends nothing more until the next {@link note}. */
  clear(): void {
    this.#noted.clear();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #flush(): void {
    this.#cancel = undefined;
    if (this.#noted.size === 0) return;
    const payload = encodeUnknownKeys(this.#noted.entries());
    this.#noted.clear();
    this.#cancel = startTimer(this.#limits.unknownKeyPause, () => this.#flush());
    this.#send(payload);
  }
}
