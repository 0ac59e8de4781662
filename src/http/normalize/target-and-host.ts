/*
 * Target and host of a request: origin form, absolute form and CONNECT; Host and `:authority`. Steps of `prepareRequest`; each
 * fills in the working copy, or returns the reply that refuses the request.
 */

import type { RawRequest } from '../heads.ts';
import type { LocalReply } from '../local-reply.ts';
import { type CopiedHeaders, has } from './copy-headers.ts';
import { isHostAndPort, parseHttpUrl } from './http-url.ts';
import { CONNECTION, CONTENT_TYPE } from './inline-headers.ts';
import type { PreparedRequest } from './prepared-request.ts';
import {
  ABSOLUTE_PATH,
  INVALID_AUTHORITY,
  INVALID_SCHEME,
  INVALID_URL,
  MISSING_HOST,
  MISSING_PATH,
  QUERY_WITHOUT_TYPE,
} from './rejections.ts';

/** Does `target` contain only bytes that the HTTP/1 codec accepts: no space, control or non-ASCII byte, and at least one? */
export function isPrintable(target: string): boolean {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 32 || code >= 127) return false;
  }
  return target !== '';
}

/** Takes path, host and scheme from the target: the absolute form contains all three, CONNECT a host and no path. */
export function takeTarget(
  request: PreparedRequest,
  raw: Pick<RawRequest, 'version' | 'method' | 'target' | 'scheme'>,
): LocalReply | undefined {
  const { method, target } = raw;
  if (raw.version === '2') {
    request.target = target;
    request.scheme = raw.scheme ?? '';
    return undefined;
  }
  if (method === 'CONNECT') {
    request.host = target;
    return isHostAndPort(target) && !target.endsWith(']') && target.includes(':') ? undefined : INVALID_URL;
  }
  if (target.charCodeAt(0) === 47 || (method === 'OPTIONS' && target.startsWith('*'))) {
    request.target = target;
    return undefined;
  }
  const url = parseHttpUrl(target);
  if (url === undefined) return INVALID_URL;
  if (!isHttpScheme(url.scheme)) return INVALID_SCHEME;
  request.host = url.authority;
  request.scheme = url.scheme;
  request.target = url.pathAndQuery;
  return undefined;
}

/** Is `scheme` `http` or `https`, in any case? */
export function isHttpScheme(scheme: string): boolean {
  const lower = scheme.toLowerCase();
  return lower === 'http' || lower === 'https';
}

/** Takes the host: the host of the target wins over Host, and a Host that Connection names is ignored. */
export function takeHost(request: PreparedRequest, raw: RawRequest, copied: CopiedHeaders): LocalReply | undefined {
  let host = raw.authority ?? copied.host;
  if (host !== undefined && request.upgrade === '' && has(copied, CONNECTION) && isHostNominated(raw.headers)) host = undefined;
  if (raw.version !== '2' && request.host !== '') host = request.host;
  if (host !== undefined && !isAuthority(host)) return INVALID_AUTHORITY;
  if (host === undefined) return MISSING_HOST;
  request.host = host;
  return undefined;
}

function isHostNominated(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'connection') continue;
    const tokens = (headers[i + 1] as string).toLowerCase().split(',');
    if (tokens.some((token) => token.trim() === 'host')) return true;
  }
  return false;
}

const AUTHORITY: Uint8Array = buildAuthorityTable();

function buildAuthorityTable(): Uint8Array {
  const table = new Uint8Array(256);
  const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$%&'()*+,-.:;=@[]_~";
  for (const character of allowed) table[character.charCodeAt(0)] = 1;
  return table;
}

function isAuthority(host: string): boolean {
  for (let i = 0; i < host.length; i++) {
    if (AUTHORITY[host.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** Except for CONNECT, the path must not be empty and must begin with a slash; QUERY must have a content type. */
export function checkTargetPath(request: PreparedRequest, raw: RawRequest, copied: CopiedHeaders): LocalReply | undefined {
  if (raw.method === 'CONNECT') return undefined;
  if (request.target === '') return MISSING_PATH;
  if (request.target.charCodeAt(0) !== 47) return ABSOLUTE_PATH;
  if (raw.method !== 'QUERY' || (has(copied, CONTENT_TYPE) && request.header('content-type') !== '')) return undefined;
  return QUERY_WITHOUT_TYPE;
}
