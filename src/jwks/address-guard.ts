/*
 * Decides which addresses a key fetch may dial. The fetch checks the address of every connection, never a host name.
 */
import ipaddr from 'ipaddr.js';
import { RefusedError } from '../errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number, string];

/** Cloud providers serve instance metadata here; identity providers never use these addresses. */
const ALWAYS: readonly Range[] = [
  range('169.254.0.0/16', 'link-local'),
  range('fe80::/10', 'link-local'),
  range('100.100.100.200/32', 'metadata service'),
  range('fd00:ec2::/32', 'metadata service'),
];

/** Why `address` must not be dialled; `undefined`: it may be dialled. A string that is not an IP address must not be dialled. */
export type AddressGuard = (address: string) => string | undefined;

/**
 * A guard that forbids link-local and metadata addresses, also in IPv4-mapped, NAT64 and 6to4 form, and `extraCidrs`.
 *
 * @param extraCidrs CIDR blocks or single addresses
 * @throws RefusedError SP_CONFIG if one of them is neither
 */
export function createAddressGuard(extraCidrs: readonly string[]): AddressGuard {
  const ranges = [...ALWAYS, ...extraCidrs.map((cidr) => range(cidr, `in blocked range ${cidr}`))];
  return (candidate) => {
    if (!ipaddr.isValid(candidate)) return 'not an IP address';
    for (const address of formsOf(ipaddr.parse(candidate))) {
      for (const [network, bits, reason] of ranges) {
        if (network.kind() === address.kind() && address.match(network, bits)) return reason;
      }
    }
    return undefined;
  };
}

function range(cidr: string, reason: string): Range {
  try {
    const [address, bits] = ipaddr.parseCIDR(cidr.includes('/') ? cidr : `${cidr}/${ipaddr.parse(cidr).kind() === 'ipv4' ? 32 : 128}`);
    return [address, bits, reason];
  } catch (cause) {
    throw new RefusedError('SP_CONFIG', `"${cidr}" is not a CIDR block or IP address`, { cause });
  }
}

/** The address and every IPv4 address that a router may translate it to. */
function formsOf(address: Address): readonly Address[] {
  if (address instanceof ipaddr.IPv4) return [address];
  const bytes = address.toByteArray();
  const embedded = (at: number): Address => new ipaddr.IPv4(bytes.slice(at, at + 4));
  if (address.isIPv4MappedAddress()) return [address, address.toIPv4Address()];
  if (address.match(ipaddr.IPv6.parse('64:ff9b::'), 96) || address.match(ipaddr.IPv6.parse('::'), 96)) return [address, embedded(12)];
  if (address.match(ipaddr.IPv6.parse('2002::'), 16)) return [address, embedded(2)];
  return [address];
}
