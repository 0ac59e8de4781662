/*
 * Strict parser of HTTP/1.1 request heads.
 */
import { isToken } from '../../http/field-syntax.ts';
import { codecReply, type LocalReply } from '../../http/local-reply.ts';
import { METHODS } from '../../http/methods.ts';
import { joinValues } from '../../http/normalize/copy-headers.ts';
import { refuseOldVersion } from '../../http/normalize/prepare.ts';
import { RAW_CHUNKS, type StreamRequest } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { copyOf, hasControlCharacter, hasIllegalByte, isWhitespace, listContains, trimWhitespace } from './bytes.ts';
import {
  CODEC_ERROR,
  CONNECT_WITH_LENGTH,
  INVALID_CHARACTERS,
  LENGTH_AND_CHUNKED,
  TOO_MANY_HEADERS,
  UNKNOWN_ENCODING,
} from './codec-replies.ts';
import { type FramingFault, noFraming, noteContentLength, noteTransferEncoding } from './framing.ts';

/** Largest head in bytes, request line and empty line included. */
export const MAX_HEAD_BYTES: number = LIMITS.requestHeadBytes.value;
/** Most header fields of one message. */
export const MAX_HEADERS: number = LIMITS.requestHeaders.value;

/** A request head without faults of syntax. */
export interface Http1Request extends StreamRequest {
  readonly kind: 'request';
  /** The connection closes after the response: the client asked for it, or what follows cannot be another request (CONNECT). */
  readonly close: boolean;
  /** It asks for an upgrade: unless it is forwarded as an ordinary request, what follows it cannot be another request. */
  readonly upgrade: boolean;
  /** `Expect: 100-continue` was sent. */
  readonly expectContinue: boolean;
}

/** Values of a longer head are copied, so that one which is needed for long does not keep the whole head in memory. */
const SLICED_BYTES = 4096;

const OTHER_VERSION = /^HTTP\/[0-9]\.[0-9]$/;
const NOT_VISIBLE = /[^\x21-\x7e]/;
/** Absolute form: scheme, then the authority that CONNECT has alone. `prepareRequest` validates them. */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+\-.]*:\/\/[A-Za-z0-9\-._~!$&'()*+,;=:@%[\]]*(?:[/?]|$)/;
const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=:@%[\]]*(?:[/?]|$)/;

/** What the fields of one head have said so far. */
interface Walk {
  readonly headers: string[];
  readonly framing: ReturnType<typeof noFraming>;
  /** An unsupported Transfer-Encoding; refused at the end, because a Content-Length next to it takes precedence. */
  unknownEncoding: boolean;
  close: boolean;
  /** Upgrade names a protocol other than h2c, which is ignored. */
  upgradeNamed: boolean;
  upgradeListed: boolean;
  expectContinue: boolean;
  requestId: string;
  grpcTimeout: string;
}

/**
 * The request that `text` states, or the reply that refuses it. Linear in the length of `text`.
 * @param text a head from its first byte (no empty lines before it) through the empty line that ends it
 * @param acceptHttp10 accept HTTP/1.0 in requests that need nothing of HTTP/1.1
 */
export function parseRequestHead(text: string, acceptHttp10 = false): Http1Request | LocalReply {
  if (hasIllegalByte(text) || text.startsWith('\n')) return hasControlCharacter(text) ? INVALID_CHARACTERS : CODEC_ERROR;
  const lineEnd = text.indexOf('\r\n');
  const methodEnd = text.indexOf(' ');
  if (methodEnd <= 0 || methodEnd > lineEnd) return CODEC_ERROR;
  const method = text.slice(0, methodEnd);
  if (!METHODS.has(method)) return CODEC_ERROR;
  const targetEnd = text.indexOf(' ', methodEnd + 1);
  const versionless = targetEnd === -1 || targetEnd > lineEnd;
  const sent = text.slice(methodEnd + 1, versionless ? lineEnd : targetEnd);
  const target = text.length > SLICED_BYTES ? copyOf(sent) : sent;
  if (!isTarget(target, method)) return CODEC_ERROR;
  // Without a version the request ends with its line.
  if (versionless) return refuseVersion(method, target, []);
  const isCurrent = text.startsWith('HTTP/1.1\r\n', targetEnd + 1);
  if (!isCurrent && !OTHER_VERSION.test(text.slice(targetEnd + 1, lineEnd))) return CODEC_ERROR;
  const head = parseFields(text, lineEnd + 2, method, target);
  if (isCurrent || head.kind === 'reply') return head;
  if (acceptHttp10 && text.startsWith('HTTP/1.0\r\n', targetEnd + 1) && !needsHttp11(head)) return asHttp10(head);
  return refuseVersion(method, target, head.headers);
}

/** Chunks, upgrades and tunnels do not exist in HTTP/1.0 (RFC 9112 section 6.1, RFC 9110 section 7.8). */
function needsHttp11({ method, body, upgrade }: Http1Request): boolean {
  return body === RAW_CHUNKS || upgrade || method === 'CONNECT';
}

/** The connection closes unless the client asked to keep it alive. */
function asHttp10(head: Http1Request): Http1Request {
  let keepAlive = false;
  for (let at = 0; at < head.headers.length; at += 2) {
    const name = head.headers[at] as string;
    if (name.length === 10 && name.toLowerCase() === 'connection' && listContains(head.headers[at + 1] as string, 'keep-alive'))
      keepAlive = true;
  }
  return { ...head, version: '1.0', close: head.close || !keepAlive, expectContinue: false };
}

function refuseVersion(method: string, target: string, headers: readonly string[]): LocalReply {
  const { status, body, details } = refuseOldVersion(method, target, headers);
  return codecReply(status, body, details);
}

/**
 * Resembles one of the four forms of RFC 9112 section 3.2. Only the characters are checked here; `prepareRequest` refuses the rest with
 * more specific details.
 */
function isTarget(target: string, method: string): boolean {
  if (target === '' || NOT_VISIBLE.test(target)) return false;
  if (target.startsWith('/') || target.startsWith('*')) return true;
  return (method === 'CONNECT' ? AUTHORITY : ABSOLUTE).test(target);
}

function parseFields(text: string, start: number, method: string, target: string): Http1Request | LocalReply {
  const walk: Walk = {
    headers: [],
    framing: noFraming(),
    unknownEncoding: false,
    close: method === 'CONNECT',
    upgradeNamed: false,
    upgradeListed: false,
    expectContinue: false,
    requestId: '',
    grpcTimeout: '',
  };
  for (let at = start; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === at) break;
    const colon = text.indexOf(':', at);
    // A line that begins with whitespace is folded (obs-fold) and fails here: its name is not a token.
    if (colon === -1 || colon > end || !isToken(text, at, colon)) return CODEC_ERROR;
    if (walk.headers.length >= MAX_HEADERS * 2) return TOO_MANY_HEADERS;
    const name = text.slice(at, colon);
    const sent = trimWhitespace(text, colon + 1, end);
    const value = text.length > SLICED_BYTES ? copyOf(sent) : sent;
    walk.headers.push(name, value);
    const refused = noteField(walk, name, value);
    if (refused === 'content-length') return CODEC_ERROR;
    if (refused === 'unknown-encoding') walk.unknownEncoding = true;
    at = end + 2;
  }
  const { chunked, contentLength } = walk.framing;
  const refused = framingFault(walk, method);
  if (refused !== undefined) return refused;
  const body = chunked ? RAW_CHUNKS : Math.max(contentLength, 0);
  return {
    kind: 'request',
    version: '1.1',
    method,
    target,
    headers: walk.headers,
    hasBody: body !== 0,
    body,
    lengthGiven: contentLength !== -1,
    close: walk.close,
    upgrade: walk.upgradeNamed && walk.upgradeListed,
    expectContinue: walk.expectContinue,
    clientRequestId: walk.requestId,
    grpcTimeout: walk.grpcTimeout,
  };
}

function lengthText(headers: readonly string[]): string | undefined {
  return headers[headers.findIndex((part, index) => index % 2 === 0 && part.toLowerCase() === 'content-length') + 1];
}

/** The fault of the framing fields together, in Envoy's order. */
function framingFault({ headers, framing, unknownEncoding }: Walk, method: string): LocalReply | undefined {
  const encoded = framing.chunked || unknownEncoding;
  const hasLength = framing.contentLength !== -1;
  if (method === 'CONNECT') {
    // A tunnel has no body: the only valid length is `0`, and an encoding is invalid.
    if (hasLength && lengthText(headers) !== '0') return CONNECT_WITH_LENGTH;
    return encoded ? UNKNOWN_ENCODING : undefined;
  }
  if (encoded && hasLength) return LENGTH_AND_CHUNKED;
  return unknownEncoding ? UNKNOWN_ENCODING : undefined;
}

/** Reads the few fields that concern the connection; the length of the name excludes most others cheaply. */
function noteField(walk: Walk, name: string, value: string): FramingFault {
  switch (name.length) {
    case 14:
      return name.toLowerCase() === 'content-length' ? noteContentLength(walk.framing, value) : '';
    case 17:
      return name.toLowerCase() === 'transfer-encoding' ? noteTransferEncoding(walk.framing, value) : '';
    case 7:
      if (name.toLowerCase() === 'upgrade' && value.toLowerCase() !== 'h2c') walk.upgradeNamed = true;
      return '';
    case 10:
      if (name.toLowerCase() === 'connection') noteConnection(walk, value);
      return '';
    case 6:
      if (name.toLowerCase() === 'expect' && value.toLowerCase() === '100-continue') walk.expectContinue = true;
      return '';
    case 12:
      noteText(walk, name.toLowerCase(), value);
      return '';
    case 16:
      // Not a standard field; Envoy closes for it, and so do old clients.
      if (name.toLowerCase() === 'proxy-connection' && listContains(value, 'close')) walk.close = true;
      return '';
    default:
      return '';
  }
}

function noteText(walk: Walk, name: string, value: string): void {
  if (name === 'x-request-id') walk.requestId = walk.requestId === '' ? value : `${walk.requestId},${value}`;
  else if (name === 'grpc-timeout') walk.grpcTimeout = joinValues(walk.grpcTimeout, value);
}

function noteConnection(walk: Walk, value: string): void {
  if (listContains(value, 'close')) walk.close = true;
  if (listContains(value, 'upgrade')) walk.upgradeListed = true;
}

/**
 * Can an unfinished head no longer become valid? Then it is refused before its sender stops.
 * @param fresh the bytes since the last call, and the byte before them
 * @param atStart `fresh` is the beginning of the head
 */
export function isHopeless(fresh: string, atStart: boolean): boolean {
  return hasIllegalByte(fresh) || (atStart && (isWhitespace(fresh.charCodeAt(0)) || fresh.startsWith('\n')));
}
