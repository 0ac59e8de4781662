/*
 * Turns the fields of a header block into the head of a request (RFC 9113 section 8.3.1). What Envoy's codec refuses is malformed: the request is
 * not answered, and its connection ends. An extended CONNECT (RFC 8441) becomes the GET with Upgrade and Connection that Envoy makes of it.
 */
import { isToken } from '../../http/field-syntax.ts';
import type { HeaderList } from '../../http/header-list.ts';
import { joinValues } from '../../http/normalize/copy-headers.ts';
import { type StreamRequest, UNKNOWN_LENGTH } from '../../http/stream.ts';
import { isForbiddenField, NO_LENGTH, readContentLength } from './message-fields.ts';

/** A request head without faults of syntax. */
export interface Http2Request extends StreamRequest {
  /** `Expect: 100-continue` was sent. */
  readonly expectContinue: boolean;
  /** An extended CONNECT: what follows the head are bytes of the protocol that it asks for. */
  readonly isTunnel: boolean;
}

/** What the fields have said so far. */
interface Walk {
  method: string | undefined;
  scheme: string | undefined;
  path: string | undefined;
  authority: string | undefined;
  protocol: string | undefined;
  host: string | undefined;
  contentLength: number;
  expectContinue: boolean;
  requestId: string;
  grpcTimeout: string;
  readonly headers: string[];
}

const COLON = 0x3a;
/** Space, control characters and DEL. Bytes above are left to path normalization. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const INVALID_IN_PATH = /[\0-\x20\x7f]/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;
const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=:%[\]]+$/;

/** @param endStream the request has no body @returns undefined: it is malformed */
export function parseRequestHead(fields: HeaderList, endStream: boolean): Http2Request | undefined {
  const walk: Walk = {
    method: undefined,
    scheme: undefined,
    path: undefined,
    authority: undefined,
    protocol: undefined,
    host: undefined,
    contentLength: NO_LENGTH,
    expectContinue: false,
    requestId: '',
    grpcTimeout: '',
    headers: [],
  };
  let at = 0;
  for (; at < fields.length && (fields[at] as string).charCodeAt(0) === COLON; at += 2) {
    if (!takePseudo(walk, fields[at] as string, fields[at + 1] as string)) return undefined;
  }
  for (; at < fields.length; at += 2) if (!takeField(walk, fields[at] as string, fields[at + 1] as string)) return undefined;
  const { method, contentLength, protocol } = walk;
  if (method === undefined || !isToken(method, 0, method.length) || !hasValidTarget(walk, method)) return undefined;
  if (protocol !== undefined) return tunnelRequest(walk, protocol);
  // A length without a body; the other way round the body is compared with it as it arrives.
  if (endStream && contentLength > 0) return undefined;
  const body = endStream ? 0 : contentLength === NO_LENGTH ? UNKNOWN_LENGTH : contentLength;
  const { path = '', authority, scheme = '', headers, requestId, grpcTimeout, expectContinue } = walk;
  const lengthGiven = contentLength !== NO_LENGTH;
  const request: Http2Request = {
    version: '2',
    method,
    target: path,
    scheme,
    headers,
    hasBody: !endStream,
    body,
    lengthGiven,
    clientRequestId: requestId,
    grpcTimeout,
    expectContinue,
    isTunnel: false,
  };
  return authority === undefined ? request : { ...request, authority };
}

/** Whether the stream has ended does not matter: this is no body. */
function tunnelRequest({ path = '', authority = '', scheme = '', contentLength, headers, ...walk }: Walk, protocol: string): Http2Request {
  return {
    version: '2',
    method: 'GET',
    target: path,
    scheme,
    authority,
    headers: [...headers, 'upgrade', protocol, 'connection', 'upgrade'],
    hasBody: contentLength > 0,
    body: Math.max(0, contentLength),
    lengthGiven: false,
    clientRequestId: walk.requestId,
    grpcTimeout: walk.grpcTimeout,
    expectContinue: false,
    isTunnel: true,
  };
}

/** @returns false: the name is not one of a request, or stands twice */
function takePseudo(walk: Walk, name: string, value: string): boolean {
  switch (name) {
    case ':method':
      if (walk.method !== undefined) return false;
      walk.method = value;
      return true;
    case ':scheme':
      if (walk.scheme !== undefined) return false;
      walk.scheme = value;
      return true;
    case ':path':
      if (walk.path !== undefined) return false;
      walk.path = value;
      return true;
    case ':authority':
      if (walk.authority !== undefined) return false;
      walk.authority = value;
      return true;
    case ':protocol':
      if (walk.protocol !== undefined) return false;
      walk.protocol = value;
      return true;
    default:
      return false;
  }
}

/**
 * CONNECT has an authority alone, and with a protocol all of a request; every other request has all but the authority, which Host may replace,
 * and no protocol.
 */
function hasValidTarget({ scheme, path, authority, host, protocol }: Walk, method: string): boolean {
  const hosted = authority ?? host;
  if (hosted === undefined || !AUTHORITY.test(hosted)) return false;
  if (method !== 'CONNECT') {
    if (protocol !== undefined) return false;
  } else if (authority === undefined || protocol === '') return false;
  else if (protocol === undefined) return scheme === undefined && path === undefined;
  if (scheme === undefined || !SCHEME.test(scheme) || path === undefined || INVALID_IN_PATH.test(path)) return false;
  return path.charCodeAt(0) === 0x2f || (path === '*' && method === 'OPTIONS');
}

/** Reads the few fields that concern the message; the length of the name excludes most others cheaply. */
function takeField(walk: Walk, name: string, value: string): boolean {
  if (name.charCodeAt(0) === COLON || isForbiddenField(name, value)) return false;
  switch (name.length) {
    case 4:
      if (name === 'host') {
        if (walk.host !== undefined) return false;
        walk.host = value;
        // The authority takes precedence, and only one of them is passed on.
        if (walk.authority !== undefined) return true;
      }
      break;
    case 6:
      if (name === 'expect' && value.toLowerCase() === '100-continue') walk.expectContinue = true;
      break;
    case 12:
      if (name === 'x-request-id') walk.requestId = walk.requestId === '' ? value : `${walk.requestId},${value}`;
      else if (name === 'grpc-timeout') walk.grpcTimeout = joinValues(walk.grpcTimeout, value);
      break;
    case 14:
      if (name !== 'content-length') break;
      if (walk.contentLength !== NO_LENGTH) return false;
      walk.contentLength = readContentLength(value);
      if (walk.contentLength === NO_LENGTH) return false;
      break;
    default:
  }
  walk.headers.push(name, value);
  return true;
}
