/*
 * The address that `remoteIpBlocks` and `remote.ip` match.
 */
import { isIpLiteral } from '../../policy/match/ip-block.ts';

const WHITESPACE = new Set([' ', '\t', '\n', '\v', '\f', '\r']);

function trimmed(value: string, from: number): string {
  let start = from;
  let end = value.length;
  while (start < end && WHITESPACE.has(value[start] as string)) start++;
  while (end > start && WHITESPACE.has(value[end - 1] as string)) end--;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

const MAX_ZONE = 2 ** 32 - 1;

/** `address` without the number of an IPv6 zone, which no address block matches. */
function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  if (percent === -1 || !address.slice(0, percent).includes(':')) return address;
  const zone = address.slice(percent + 1);
  return /^\d+$/.test(zone) && Number(zone) <= MAX_ZONE ? address.slice(0, percent) : address;
}

/**
 * The last element of X-Forwarded-For when it is a bare IP literal, else `peer`. After a trailing comma the last element is
 * empty, so the peer counts, as it does for elements with a port, with brackets, or that are not addresses.
 * @param forwardedFor all values of the header, joined; `undefined`: absent
 * @param peer address of the TCP peer
 */
export function remoteAddress(forwardedFor: string | undefined, peer: string): string {
  if (forwardedFor === undefined) return peer;
  const last = withoutZone(trimmed(forwardedFor, forwardedFor.lastIndexOf(',') + 1));
  return isIpLiteral(last) ? last : peer;
}
