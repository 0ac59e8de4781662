/*
 * The address behind `remoteIpBlocks` and `remote.ip`. In: X-Forwarded-For as merged, and the peer's address. Out: an IP
 * text. Called once per request.
 */
import { isIpLiteral } from '../../policy/match/ip-block.ts';

const BLANK = new Set([' ', '\t', '\n', '\v', '\f', '\r']);

function trimmed(text: string, from: number): string {
  let start = from;
  let end = text.length;
  while (start < end && BLANK.has(text[start] as string)) start++;
  while (end > start && BLANK.has(text[end - 1] as string)) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

const MAX_ZONE = 2 ** 32 - 1;

/** An IPv6 address may name a link of the host by its number, for which no address block asks. */
function withoutZone(text: string): string {
  const percent = text.indexOf('%');
  if (percent === -1 || !text.slice(0, percent).includes(':')) return text;
  const zone = text.slice(percent + 1);
  return /^\d+$/.test(zone) && Number(zone) <= MAX_ZONE ? text.slice(0, percent) : text;
}

/**
 * The last element of X-Forwarded-For when it is a bare IP literal, else the peer.
 * A trailing comma leaves nothing to take, and the peer counts, as it does for ports, brackets and garbage.
 */
export function remoteAddress(forwardedFor: string | undefined, peer: string): string {
  if (forwardedFor === undefined) return peer;
  const last = withoutZone(trimmed(forwardedFor, forwardedFor.lastIndexOf(',') + 1));
  return isIpLiteral(last) ? last : peer;
}
