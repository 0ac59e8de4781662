/*
 * Which addresses a key fetch may dial. In: the address a socket is about to connect to (never a host name) and extra
 * CIDRs from the configuration. Out: a reason when it is forbidden. Called by the fetch for every hop.
 */
import ipaddr from 'ipaddr.js';
import { RefusedError } from '../errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number, string];

/** Instance metadata lives here on every large cloud; no identity provider does. */
const ALWAYS: readonly Range[] = [
  range('169.254.0.0/16', 'link-local'),
  range('fe80::/10', 'link-local'),
  range('100.100.100.200/32', 'metadata service'),
  range('fd00:ec2::/32', 'metadata service'),
];

/** Says why `address` (textual IP) may not be dialled; undefined when it may. Anything that is not an IP address is forbidden. */
export type AddressGuard = (address: string) => string | undefined;

/**
 * A guard that always forbids link-local and metadata addresses, also in IPv4-mapped, NAT64 and 6to4 form, and `extraCidrs` besides.
 *
 * @param extraCidrs CIDR text or single addresses
 * @throws RefusedError SP_CONFIG when one of them is neither
 */
export function createAddressGuard(extraCidrs: readonly string[]): AddressGuard {
  const ranges = [...ALWAYS, ...extraCidrs.map((cidr) => range(cidr, `in blocked range ${cidr}`))];
  return (text) => {
    if (!ipaddr.isValid(text)) return 'not an IP address';
    for (const address of formsOf(ipaddr.parse(text))) {
      for (const [network, bits, reason] of ranges) {
        if (network.kind() === address.kind() && address.match(network, bits)) return reason;
      }
    }
    return undefined;
  };
}

function range(text: string, reason: string): Range {
  try {
    const [address, bits] = ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${ipaddr.parse(text).kind() === 'ipv4' ? 32 : 128}`);
    return [address, bits, reason];
  } catch (cause) {
    throw new RefusedError('SP_CONFIG', `not an address range: ${text}`, { cause });
  }
}

/** The address itself and every IPv4 address that a router on the way may make of it. */
function formsOf(address: Address): readonly Address[] {
  if (address instanceof ipaddr.IPv4) return [address];
  const bytes = address.toByteArray();
  const embedded = (at: number): Address => new ipaddr.IPv4(bytes.slice(at, at + 4));
  if (address.isIPv4MappedAddress()) return [address, address.toIPv4Address()];
  if (address.match(ipaddr.IPv6.parse('64:ff9b::'), 96) || address.match(ipaddr.IPv6.parse('::'), 96)) return [address, embedded(12)];
  if (address.match(ipaddr.IPv6.parse('2002::'), 16)) return [address, embedded(2)];
  return [address];
}
