/*
 * The address that `remoteIpBlocks` and `remote.ip` match.
 */
import { isIpLiteral, parseIp } from '../../policy/match/ip-block.ts';

const WHITESPACE = new Set([' ', '\t', '\n', '\v', '\f', '\r']);

function trimmed(value: string, from: number): string {
  let start = from;
  let end = value.length;
  while (start < end && WHITESPACE.has(value[start] as string)) start++;
  while (end > start && WHITESPACE.has(value[end - 1] as string)) end--;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

const MAX_ZONE = 2 ** 32 - 1;
/** `IFNAMSIZ` of Linux without the terminating zero. */
const MAX_INTERFACE_NAME = 15;

/** Interfaces whose names are valid as zones where the caller knows no others: every network namespace has `lo`. */
export const LOOPBACK_ONLY: ReadonlySet<string> = new Set(['lo']);

/** `address` without its IPv6 zone, which no address block matches; `address` itself if it has none or an invalid one. */
function withoutZone(address: string, interfaces: ReadonlySet<string>): string {
  const percent = address.indexOf('%');
  if (percent === -1 || !address.slice(0, percent).includes(':')) return address;
  const bare = address.slice(0, percent);
  const zone = address.slice(percent + 1);
  const isNumber = /^\d+$/.test(zone) && Number(zone) <= MAX_ZONE;
  return isNumber || (isInterface(zone, interfaces) && hasNamedZones(bare)) ? bare : address;
}

/** Does the kernel find an interface by `name`? It ignores a label after a colon, as in `eth0:1`. */
function isInterface(name: string, interfaces: ReadonlySet<string>): boolean {
  const colon = name.indexOf(':');
  return name.length <= MAX_INTERFACE_NAME && interfaces.has(colon === -1 ? name : name.slice(0, colon));
}

/** Is it a link-local unicast address, or a multicast address of interface or link scope? Only there the C library accepts names. */
function hasNamedZones(address: string): boolean {
  const first = (parseIp(address)?.[0] ?? 0) >>> 16;
  return (first & 0xffc0) === 0xfe80 || (first & 0xff0f) === 0xff01 || (first & 0xff0f) === 0xff02;
}

/**
 * The last element of X-Forwarded-For when it is a bare IP literal, else `peer`. After a trailing comma the last element is
 * empty, so the peer counts, as it does for elements with a port, with brackets, or that are not addresses. A zone is ignored if
 * it is a number, or the name of an interface of this host; otherwise the element is not an address.
 * @param forwardedFor all values of the header, joined; `undefined`: absent
 * @param peer address of the TCP peer
 * @param interfaces names of this host's network interfaces
 */
export function remoteAddress(forwardedFor: string | undefined, peer: string, interfaces: ReadonlySet<string> = LOOPBACK_ONLY): string {
  if (forwardedFor === undefined) return peer;
  const last = withoutZone(trimmed(forwardedFor, forwardedFor.lastIndexOf(',') + 1), interfaces);
  return isIpLiteral(last) ? last : peer;
}
