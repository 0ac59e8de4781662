/*
 * Applies the Connection, Upgrade and TE headers to a request: removes the headers that Connection nominates and the
 * hop-by-hop headers.
 */
import type { PreparedRequest } from './prepared-request.ts';

const MAX_NOMINATED = 10;
const MAX_NOMINATED_TE_BYTES = 256;

function tokensOf(value: string): readonly string[] {
  return value
    .split(',')
    .filter((token) => token !== '')
    .map((token) => token.trim().toLowerCase());
}

/**
 * The protocol that the request asks to upgrade to, in lower case; `undefined`: it asks for none. Both headers are required,
 * with `upgrade` as one of Connection's tokens.
 */
export function requestedUpgrade(upgrade: string | undefined, connection: string): string | undefined {
  return upgrade !== undefined && tokensOf(connection).includes('upgrade') ? upgrade.toLowerCase() : undefined;
}

/**
 * Removes the headers that Connection names.
 * @param connection all values of Connection, joined
 * @returns false when the request must be refused: too many names, or a name whose removal would hide the origin of the request
 */
export function removeNominatedHeaders(request: PreparedRequest, connection: string): boolean {
  const tokens = tokensOf(connection);
  if (tokens.length >= MAX_NOMINATED) return false;
  for (const token of tokens) {
    if (token.startsWith(':') || token === 'x-forwarded-for' || token === 'x-forwarded-host' || token === 'x-forwarded-proto') return false;
    if (!removeNominated(request, token)) return false;
  }
  return true;
}

function removeNominated(request: PreparedRequest, name: string): boolean {
  switch (name) {
    case 'close':
    case 'http2-settings':
    case 'keep-alive':
    case 'upgrade':
    case 'connection':
      return true;
    // The codec frames the body by it, so a client cannot remove it.
    case 'content-length':
      return true;
    case 'te':
      return removeNominatedTe(request);
    default:
      request.removeHeader(name);
      return true;
  }
}

function removeNominatedTe(request: PreparedRequest): boolean {
  const te = request.header('te');
  if (te === undefined) return true;
  if (te.length >= MAX_NOMINATED_TE_BYTES) return false;
  request.removeHeader('te');
  if (tokensOf(te).includes('trailers')) request.appendHeader('te', 'trailers');
  return true;
}

/** Removes the headers of the client's connection from a request that is not an upgrade. TE is kept only as `trailers`. */
export function removeHopByHopHeaders(request: PreparedRequest): void {
  request.removeHeader('connection');
  request.removeHeader('upgrade');
  const te = request.header('te');
  if (te === undefined || te === '' || te === 'trailers') return;
  request.removeHeader('te');
  if (te.split(',').some((token) => token.trim() === 'trailers')) request.appendHeader('te', 'trailers');
}
