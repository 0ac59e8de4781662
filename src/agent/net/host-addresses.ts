/*
 * The addresses of the agent's network namespace.
 */
import { networkInterfaces } from 'node:os';

/** An address of this host. */
export interface HostAddress {
  readonly address: string;
  /** What to connect to: a link-local address needs the zone of its interface. */
  readonly host: string;
}

/** All addresses but loopback ones. */
export function addressesOfHost(): readonly HostAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries
      .filter(({ address }) => address !== '::1' && !address.startsWith('127.'))
      .map(({ address }) => ({ address, host: address.startsWith('fe80:') ? `${address}%${name}` : address })),
  );
}
