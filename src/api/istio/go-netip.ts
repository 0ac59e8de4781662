/*
 * Addresses and CIDR blocks as Go's net/netip accepts them. Text in, Go's error text out, or undefined when it is good.
 * Called by check-values; matching addresses is the policy room's matter.
 * @see https://pkg.go.dev/net/netip#ParseAddr
 */
import { isIPv6 } from 'node:net';

/** Why `text` is no address; undefined: it is one. A zone (`%eth0`) is allowed for IPv6. */
export function parseGoAddress(text: string): string | undefined {
  const kind = /[.:%]/.exec(text)?.[0];
  if (kind === '.') return ipv4Error(text);
  if (kind === ':') return isIPv6(text) ? undefined : `ParseAddr(${JSON.stringify(text)}): each colon-separated field must be valid`;
  if (kind === '%') return `ParseAddr(${JSON.stringify(text)}): missing IPv6 address`;
  return `ParseAddr(${JSON.stringify(text)}): unable to parse IP`;
}

/** Why `text`, which holds a slash, is no CIDR block; undefined: it is one. Bits beyond the prefix may be set. */
export function parseGoPrefix(text: string): string | undefined {
  const slash = text.lastIndexOf('/');
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const fail = (reason: string): string => `netip.ParsePrefix(${JSON.stringify(text)}): ${reason}`;
  const addressError = parseGoAddress(address);
  if (addressError !== undefined) return fail(addressError);
  if (address.includes('%')) return fail('IPv6 zones cannot be present in a prefix');
  if (!/^(0|[1-9]\d*)$/.test(bits)) return fail(`bad bits after slash: ${JSON.stringify(bits)}`);
  return Number(bits) > (address.includes(':') ? 128 : 32) ? fail('prefix length out of range') : undefined;
}

function ipv4Error(text: string): string | undefined {
  const fail = (reason: string): string => `ParseAddr(${JSON.stringify(text)}): ${reason}`;
  const fields = text.split('.');
  for (const field of fields) {
    if (!/^\d*$/.test(field)) return fail('unexpected character');
    if (field === '') return fail('IPv4 field must have at least one digit');
    if (field.length > 1 && field.startsWith('0')) return fail('IPv4 field has octet with leading zero');
    if (Number(field) > 255) return fail('IPv4 field has value >255');
  }
  if (fields.length > 4) return fail('IPv4 address too long');
  return fields.length < 4 ? fail('IPv4 address too short') : undefined;
}
