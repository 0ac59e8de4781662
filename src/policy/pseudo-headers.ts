/*
 * Names under which `RequestFacts.headerValues` finds a value although the request has no header of that name.
 */

/** A pseudo header of HTTP/2, or `host`. */
export type PseudoHeader = ':path' | ':method' | ':authority' | ':scheme' | 'host';

const PSEUDO_HEADERS: ReadonlySet<string> = new Set<PseudoHeader>([':path', ':method', ':authority', ':scheme', 'host']);

/** Does a request have a value for `name` (lower case), even without a header of that name? */
export function isPseudoHeader(name: string): name is PseudoHeader {
  return PSEUDO_HEADERS.has(name);
}
