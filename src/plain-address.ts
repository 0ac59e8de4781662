/*
 * Addresses of sockets as policies and pods have them.
 */

/** An address as policies see it: IPv4-mapped IPv6 as IPv4, without zone. */
export function plainAddress(address: string): string {
  const mapped = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  const zone = mapped.indexOf('%');
  return zone === -1 ? mapped : mapped.slice(0, zone);
}
