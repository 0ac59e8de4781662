/*
 * Does what Envoy's connection manager does to a request before its filters run: codec checks, host and path checks, path
 * normalization, header clean-up, remote address.
 */
import type { PathNormalization } from '../../api/mesh-config.ts';
import type { RawRequest } from '../heads.ts';
import { isGrpc, type LocalReply } from '../local-reply.ts';
import { METHODS } from '../methods.ts';
import { removeHopByHopHeaders, removeNominatedHeaders, requestedUpgrade } from './connection-header.ts';
import { type CopiedHeaders, copyHeaders, has, joinCookies, joinValues } from './copy-headers.ts';
import { isValidReferer } from './http-url.ts';
import { CLIENT_CERT, CONNECTION, CONTENT_TYPE, FORWARDED_FOR, FORWARDED_PROTO, REFERER, TE, UPGRADE } from './inline-headers.ts';
import { normalizePath } from './normalize-path.ts';
import { PreparedRequest } from './prepared-request.ts';
import { BAD_PATH, CODEC_ERROR, CONNECTION_REFUSED, LOW_VERSION, UPGRADE_FAILED } from './rejections.ts';
import { LOOPBACK_ONLY, remoteAddress } from './remote-address.ts';
import { checkTargetPath, isHttpScheme, isPrintable, takeHost, takeTarget } from './target-and-host.ts';

/** The working copy of the request, or the reply that refuses it. */
export type Preparation = { readonly kind: 'ok'; readonly prepared: PreparedRequest } | LocalReply;

/**
 * Normalizes one request. The order of the checks is Envoy's, so that a request with several faults gets the same reply as from
 * Envoy.
 * @param interfaces names of this host's network interfaces, see {@link remoteAddress}
 */
export function prepareRequest(
  raw: RawRequest,
  normalization: PathNormalization,
  interfaces: ReadonlySet<string> = LOOPBACK_ONLY,
): Preparation {
  if (raw.version !== '2' && !(METHODS.has(raw.method) && isPrintable(raw.target))) return CODEC_ERROR;
  const copied = copyHeaders(raw.headers);
  if (raw.version === '2') joinCookies(copied.headers);
  const request = new PreparedRequest(raw.method, copied.headers);
  const refused = takeConnectionHeaders(request, raw.version, copied) ?? takeTarget(request, raw) ?? takeHost(request, raw, copied);
  if (refused !== undefined) return refused;
  const invalid = checkTargetPath(request, raw, copied);
  if (invalid !== undefined) return invalid;
  if (request.method !== 'CONNECT') {
    const target = normalizePath(request.target, normalization);
    if (target === undefined) return BAD_PATH;
    request.target = target;
  }
  cleanHeaders(request, raw, copied, interfaces);
  request.isGrpc = has(copied, CONTENT_TYPE) && request.method !== 'CONNECT' && isGrpc(request.headers);
  // The route decides whether the upgrade is allowed; a request without a route continues to the policies.
  if (request.hasRoute && request.upgrade !== '' && request.upgrade !== 'websocket') return UPGRADE_FAILED;
  return { kind: 'ok', prepared: request };
}

/**
 * The reply to a request of a version before HTTP/1.1. Envoy reports a fault of Connection or of the target first, if there is
 * one that it refuses in every version.
 */
export function refuseOldVersion(method: string, target: string, headers: readonly string[]): LocalReply {
  const copied = copyHeaders(headers);
  const request = new PreparedRequest(method, copied.headers);
  return takeConnectionHeaders(request, '1.1', copied) ?? takeTarget(request, { version: '1.1', method, target }) ?? LOW_VERSION;
}

function takeConnectionHeaders(request: PreparedRequest, version: RawRequest['version'], copied: CopiedHeaders): LocalReply | undefined {
  const connection = has(copied, CONNECTION) ? request.header('connection') : undefined;
  if (connection === undefined) return undefined;
  const upgrade = requestedUpgrade(request.header('upgrade'), connection);
  // Over HTTP/2 it is a protocol like any other, and refused like any other.
  if (upgrade !== undefined && (upgrade !== 'h2c' || version === '2')) {
    request.upgrade = upgrade || 'unknown';
    return undefined;
  }
  // An upgrade to h2c is never accepted: the request continues as if it had not asked for it.
  if (upgrade === 'h2c') {
    request.removeHeader('upgrade');
    request.removeHeader('http2-settings');
  }
  // A tunnel keeps its headers.
  return request.method === 'CONNECT' || removeNominatedHeaders(request, connection) ? undefined : CONNECTION_REFUSED;
}

function cleanHeaders(request: PreparedRequest, raw: RawRequest, copied: CopiedHeaders, interfaces: ReadonlySet<string>): void {
  const { connection } = raw;
  if (request.upgrade === '' && (has(copied, CONNECTION) || has(copied, UPGRADE) || has(copied, TE))) removeHopByHopHeaders(request);
  if (has(copied, REFERER) && !isValidReferer(request.header('referer') ?? '')) request.removeHeader('referer');
  if (has(copied, CLIENT_CERT) || connection.forwardedClientCert !== undefined) forwardClientCert(request, raw);
  const forwardedFor = has(copied, FORWARDED_FOR) ? request.header('x-forwarded-for') : undefined;
  request.remoteIp = remoteAddress(forwardedFor, connection.sourceIp, interfaces);
  const own = connection.tls ? 'https' : 'http';
  const forwarded = has(copied, FORWARDED_PROTO) ? request.header('x-forwarded-proto') : undefined;
  request.hasRoute = request.method !== 'CONNECT' && forwarded !== '';
  if (forwarded === undefined) request.appendHeader('x-forwarded-proto', own);
  if (request.scheme === '') request.scheme = forwarded !== undefined && isHttpScheme(forwarded) ? forwarded : own;
  request.scheme = request.scheme.toLowerCase();
  if (raw.requestId !== undefined) addRequestId(request, raw.requestId);
}

/** An empty id, or one that Connection names, counts as absent: the application gets the id that the agent logs. */
function addRequestId(request: PreparedRequest, requestId: string): void {
  const before = request.header('x-request-id');
  if (before !== undefined && before !== '') return;
  if (before === '') request.removeHeader('x-request-id');
  request.appendHeader('x-request-id', requestId);
}

/** Without a client certificate the header comes from the client and is removed; with one, the element of this hop is added. */
function forwardClientCert(request: PreparedRequest, raw: RawRequest): void {
  const { peer, forwardedClientCert } = raw.connection;
  const before = peer === undefined ? undefined : request.header('x-forwarded-client-cert');
  if (peer !== undefined && forwardedClientCert === undefined) return;
  request.removeHeader('x-forwarded-client-cert');
  if (peer === undefined || forwardedClientCert === undefined) return;
  request.appendHeader('x-forwarded-client-cert', joinValues(before ?? '', forwardedClientCert));
}
