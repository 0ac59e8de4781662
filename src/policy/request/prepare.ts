/*
 * Does to a request what Envoy does before its filters run: codec checks, host and path checks, path normalisation,
 * header clean-up, remote address. In: a raw head. Out: the working copy that is judged and forwarded, or a rejection.
 * Called by the judge first of all. The value for a missing `x-request-id` comes from the caller.
 */
import type { PathNormalization } from '../../api/mesh-config.ts';
import { removeHopByHopHeaders, removeNominatedHeaders, upgradeKind } from './connection-header.ts';
import { type CopiedHeaders, copyHeaders, joinValues } from './copy-headers.ts';
import { isHostAndPort, isValidReferer, parseHttpUrl } from './http-url.ts';
import {
  CLIENT_CERT,
  CONNECTION,
  CONTENT_TYPE,
  FORWARDED_FOR,
  FORWARDED_PROTO,
  REFERER,
  REQUEST_ID,
  TE,
  UPGRADE,
} from './inline-headers.ts';
import { normalizePath } from './normalize-path.ts';
import { PreparedRequest } from './prepared-request.ts';
import type { RawHead } from './raw-head.ts';
import { remoteAddress } from './remote-address.ts';

/** A request that never reaches the policies. */
export interface Rejection {
  readonly kind: 'reject';
  readonly status: number;
  readonly body: string;
  /** The connection must be closed after the reply. */
  readonly close: boolean;
  /** Envoy's response code details, e.g. `missing_host_header`. */
  readonly details: string;
}

export type Preparation = { readonly kind: 'ok'; readonly prepared: PreparedRequest } | Rejection;

const METHODS: ReadonlySet<string> = new Set(
  `ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY OPTIONS PATCH
   POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE`.split(/\s+/),
);

const CODEC_ERROR = badRequest('http1.codec_error');
const INVALID_URL = badRequest('http1.invalid_url');
const INVALID_SCHEME = badRequest('http1.invalid_scheme');
const CONNECTION_REFUSED = badRequest('http1.connection_header_rejected');
const INVALID_AUTHORITY = badRequest('http.invalid_authority');
const LOW_VERSION = reject(426, 'Upgrade Required', true, 'low_version');
const MISSING_HOST = reject(400, '', true, 'missing_host_header');
const QUERY_WITHOUT_TYPE = reject(400, '', true, 'query_missing_content_type');
const MISSING_PATH = reject(404, '', false, 'missing_path_rejected');
const ABSOLUTE_PATH = reject(404, '', false, 'absolute_path_rejected');
const BAD_PATH = reject(400, '', true, 'path_normalization_failed');
const UPGRADE_FAILED = reject(403, '', true, 'upgrade_failed');

function reject(status: number, body: string, close: boolean, details: string): Rejection {
  return Object.freeze({ kind: 'reject', status, body, close, details });
}

function badRequest(details: string): Rejection {
  return reject(400, 'Bad Request', true, details);
}

/**
 * Cleans one request as Envoy does before any filter. The order of the checks is Envoy's, so that a request with several
 * faults gets Envoy's answer.
 */
export function prepareRequest(raw: RawHead, normalization: PathNormalization): Preparation {
  if (raw.version !== '2' && !(METHODS.has(raw.method) && isPrintable(raw.target))) return CODEC_ERROR;
  const copied = copyHeaders(raw.headers);
  const request = new PreparedRequest(raw.method, copied.headers);
  const refused = takeTarget(request, raw) ?? takeConnectionHeaders(request, copied) ?? takeHost(request, raw, copied);
  if (refused !== undefined) return refused;
  const invalid = checkPath(request, raw, copied);
  if (invalid !== undefined) return invalid;
  if (request.method !== 'CONNECT') {
    const target = normalizePath(request.target, normalization);
    if (target === undefined) return BAD_PATH;
    request.target = target;
  }
  cleanHeaders(request, raw, copied);
  if (request.upgrade !== '' && request.upgrade !== 'websocket') return UPGRADE_FAILED;
  return { kind: 'ok', prepared: request };
}

function isPrintable(target: string): boolean {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 32 || code >= 127) return false;
  }
  return target !== '';
}

/** Origin form as it is; absolute form brings the host and the scheme with it; CONNECT has a host and no path. */
function takeTarget(request: PreparedRequest, raw: RawHead): Rejection | undefined {
  const { method, target } = raw;
  if (raw.version === '2') {
    request.target = target;
    request.scheme = raw.scheme ?? '';
    return undefined;
  }
  if (method === 'CONNECT') {
    request.host = target;
    return isHostAndPort(target) ? undefined : INVALID_URL;
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

function isHttpScheme(scheme: string): boolean {
  const lower = scheme.toLowerCase();
  return lower === 'http' || lower === 'https';
}

function has(copied: CopiedHeaders, slot: number): boolean {
  return (copied.seen & (1 << slot)) !== 0;
}

function takeConnectionHeaders(request: PreparedRequest, copied: CopiedHeaders): Rejection | undefined {
  if (!has(copied, CONNECTION)) return undefined;
  const kind = has(copied, UPGRADE) ? upgradeKind(request) : 'none';
  if (kind === 'other') {
    request.upgrade = (request.header('upgrade') ?? '').toLowerCase() || 'unknown';
    return undefined;
  }
  if (kind === 'h2c') {
    request.removeHeader('upgrade');
    request.removeHeader('http2-settings');
  }
  return removeNominatedHeaders(request) ? undefined : CONNECTION_REFUSED;
}

/** Host of the target beats Host; a Host that Connection names is gone. */
function takeHost(request: PreparedRequest, raw: RawHead, copied: CopiedHeaders): Rejection | undefined {
  let host = raw.authority ?? copied.host;
  if (raw.version !== '2' && request.host !== '') host = request.host;
  if (host !== undefined && request.upgrade === '' && has(copied, CONNECTION) && isHostNominated(raw.headers)) host = undefined;
  if (host !== undefined && !isAuthority(host)) return INVALID_AUTHORITY;
  if (raw.version === '1.0') return LOW_VERSION;
  if (host === undefined) return MISSING_HOST;
  request.host = host;
  return undefined;
}

function isHostNominated(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'connection') continue;
    const tokens = (headers[i + 1] ?? '').toLowerCase().split(',');
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

function checkPath(request: PreparedRequest, raw: RawHead, copied: CopiedHeaders): Rejection | undefined {
  if (raw.method === 'CONNECT') return undefined;
  if (raw.method === 'QUERY' && !has(copied, CONTENT_TYPE)) return QUERY_WITHOUT_TYPE;
  if (request.target === '') return MISSING_PATH;
  return request.target.charCodeAt(0) === 47 ? undefined : ABSOLUTE_PATH;
}

function cleanHeaders(request: PreparedRequest, raw: RawHead, copied: CopiedHeaders): void {
  const { connection } = raw;
  if (request.upgrade === '' && (has(copied, CONNECTION) || has(copied, UPGRADE) || has(copied, TE))) removeHopByHopHeaders(request);
  if (has(copied, REFERER) && !isValidReferer(request.header('referer') ?? '')) request.removeHeader('referer');
  if (has(copied, CLIENT_CERT) || connection.forwardedClientCert !== undefined) forwardClientCert(request, raw);
  request.remoteIp = remoteAddress(has(copied, FORWARDED_FOR) ? request.header('x-forwarded-for') : undefined, connection.sourceIp);
  const own = connection.tls ? 'https' : 'http';
  const forwarded = has(copied, FORWARDED_PROTO) ? request.header('x-forwarded-proto') : undefined;
  if (forwarded === undefined) request.appendHeader('x-forwarded-proto', own);
  if (request.scheme === '') request.scheme = forwarded !== undefined && isHttpScheme(forwarded) ? forwarded : own;
  request.scheme = request.scheme.toLowerCase();
  if (raw.requestId !== undefined && !hasRequestId(request, copied)) request.appendHeader('x-request-id', raw.requestId);
}

/** Connection may have named the header, so that it is gone again. */
function hasRequestId(request: PreparedRequest, copied: CopiedHeaders): boolean {
  return has(copied, REQUEST_ID) && request.header('x-request-id') !== undefined;
}

/** Without a client certificate the header is the client's invention; with one, this hop's element is added. */
function forwardClientCert(request: PreparedRequest, raw: RawHead): void {
  const { peer, forwardedClientCert } = raw.connection;
  const before = peer === undefined ? undefined : request.header('x-forwarded-client-cert');
  if (peer !== undefined && forwardedClientCert === undefined) return;
  request.removeHeader('x-forwarded-client-cert');
  if (peer === undefined || forwardedClientCert === undefined) return;
  request.appendHeader('x-forwarded-client-cert', joinValues(before ?? '', forwardedClientCert));
}
