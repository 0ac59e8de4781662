/*
 * Looks up the host names of ext_authz servers, each at most once at a time. A lookup occupies a thread of the pool that also reads
 * bundles, for many seconds while DNS does not respond, and nothing can abort it: one for each check would keep the pool busy for hours.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';

/** The addresses of a host. @throws the system's error */
export type LookUp = (host: string) => Promise<readonly LookupAddress[]>;

const lookUpBySystem: LookUp = (host) => lookup(host, { all: true });

/** The lookups of one client. */
export class HostNames {
  readonly #lookUp: LookUp;
  readonly #running = new BoundedMap<string, Promise<readonly LookupAddress[]>>(LIMITS.checkLookups);

  /** @param lookUp absent: as the system does */
  constructor(lookUp: LookUp = lookUpBySystem) {
    this.#lookUp = lookUp;
  }

  /** The addresses of `host`, from a lookup that may have begun before. @throws the system's error */
  addressesOf(host: string): Promise<readonly LookupAddress[]> {
    const running = this.#running.get(host);
    if (running !== undefined) return running;
    const started = this.#lookUp(host).finally(() => this.#running.delete(host));
    this.#running.set(host, started);
    return started;
  }

  /** The same for sockets. */
  readonly forSocket: LookupFunction = (host, options, callback) => {
    this.addressesOf(host).then(
      (found) => {
        const [first] = found;
        if (options.all === true) callback(null, [...found]);
        else callback(null, first?.address ?? '', first?.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
}
