/*
 * The addresses of this pod that clients can connect to.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import { addressesOfHost, type HostAddress } from '../net/host-addresses.ts';

const LOOKUP_MS = LIMITS.ownAddressLookup.value;

/** Looks the addresses up again for an unknown one, at most once in a period. */
export class OwnAddresses {
  readonly #lookUp: () => readonly HostAddress[];
  readonly #known = new BoundedMap<string, string>(LIMITS.ownAddresses);
  #nextMs = 0;

  /** @param lookUp see {@link addressesOfHost} */
  constructor(lookUp: () => readonly HostAddress[] = addressesOfHost) {
    this.#lookUp = lookUp;
  }

  /** How to connect to `address`, with a zone where it needs one; undefined: not an address of this pod, or a loopback address. */
  connectable(address: string, nowMs: number): string | undefined {
    const known = this.#known.get(address);
    if (known !== undefined || nowMs < this.#nextMs) return known;
    this.#nextMs = nowMs + LOOKUP_MS;
    this.#known.clear();
    for (const { address: own, host } of this.#lookUp()) this.#known.set(own, host);
    return this.#known.get(address);
  }
}
