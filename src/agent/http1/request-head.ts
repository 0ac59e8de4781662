/*
 * Strict parser of HTTP/1.1 request heads. In: the latin1 text of a head through its empty line. Out: method, target and
 * fields as sent plus the body's framing, or the reply that refuses it. Called by the proxy for every request.
 */
import { codecReply, type LocalReply } from '../../http/local-reply.ts';
import { METHODS } from '../../http/methods.ts';
import { refuseOldVersion } from '../../http/normalize/prepare.ts';
import { type BodyFraming, CHUNKED, type FramingFault, noFraming, noteContentLength, noteTransferEncoding } from './framing.ts';
import { hasControlOctet, hasIllegalOctet, isBlank, isToken, listHolds, trimBlanks } from './octets.ts';

/** Largest head in bytes, request line and empty line included. */
export const MAX_HEAD_BYTES: number = 60 * 1024;
/** Most header fields of one message. */
export const MAX_HEADERS = 100;

/** A request head that may be judged. */
export interface RequestHead {
  readonly kind: 'request';
  readonly method: string;
  /** Verbatim; visible ASCII only, never empty. */
  readonly target: string;
  /** Flat list name, value, …: names as sent, values without outer blanks. */
  readonly headers: readonly string[];
  readonly body: BodyFraming;
  /** Content-Length was sent, be it 0. */
  readonly lengthGiven: boolean;
  /** The client asked for the connection to be closed after the response. */
  readonly close: boolean;
  /** `Expect: 100-continue` was sent. */
  readonly expectContinue: boolean;
  /** Value of X-Request-Id; `''`: absent. */
  readonly requestId: string;
}

/** Not HTTP/1.1: syntax, control octets, bare CR or LF, folded lines, unknown method. */
export const CODEC_ERROR: LocalReply = codecReply(400, 'Bad Request', 'http1.codec_error');
/** Control octets, wherever in the head; beats every other fault of its syntax. */
const INVALID_CHARACTERS = codecReply(400, 'Bad Request', 'http1.invalid_characters');
/** Head too long. */
export const HEAD_TOO_LARGE: LocalReply = codecReply(431, 'Request Header Fields Too Large', 'http1.headers_too_large');
const TOO_MANY_HEADERS = codecReply(431, 'Request Header Fields Too Large', 'http1.too_many_headers');
const LENGTH_AND_CHUNKED = codecReply(400, 'Bad Request', 'http1.content_length_and_chunked_not_allowed');
const CONNECT_WITH_LENGTH = codecReply(400, 'Bad Request', 'http1.body_disallowed');
const UNKNOWN_ENCODING = codecReply(501, 'Not Implemented', 'http1.invalid_transfer_encoding');

const OTHER_VERSION = /^HTTP\/[0-9]\.[0-9]$/;
const NOT_VISIBLE = /[^\x21-\x7e]/;
/** Absolute form: scheme, then what CONNECT has alone. Whether they are good ones is for `prepareRequest` to say. */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+\-.]*:\/\/[A-Za-z0-9\-._~!$&'()*+,;=:@%[\]]*(?:[/?]|$)/;
const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=:@%[\]]*(?:[/?]|$)/;

/** Walks the fields of one head; its members are what the walk has met so far. */
interface Walk {
  readonly headers: string[];
  readonly framing: ReturnType<typeof noFraming>;
  /** A Transfer-Encoding that is not spoken; refused at the end, since a length beside it is the worse fault. */
  unknownEncoding: boolean;
  close: boolean;
  expectContinue: boolean;
  requestId: string;
}

/**
 * The request that `text` states, or why it is refused. Linear in the length of `text`.
 * @param text a head from its first octet (no empty lines before it) through the empty line that ends it
 */
export function parseRequestHead(text: string): RequestHead | LocalReply {
  if (hasIllegalOctet(text) || text.startsWith('\n')) return hasControlOctet(text) ? INVALID_CHARACTERS : CODEC_ERROR;
  const lineEnd = text.indexOf('\r\n');
  const methodEnd = text.indexOf(' ');
  if (methodEnd <= 0 || methodEnd > lineEnd) return CODEC_ERROR;
  const method = text.slice(0, methodEnd);
  if (!METHODS.has(method)) return CODEC_ERROR;
  const targetEnd = text.indexOf(' ', methodEnd + 1);
  const versionless = targetEnd === -1 || targetEnd > lineEnd;
  const target = text.slice(methodEnd + 1, versionless ? lineEnd : targetEnd);
  if (!isTarget(target, method)) return CODEC_ERROR;
  // Without a version the request ends with its line.
  if (versionless) return refuseVersion(method, target, []);
  const isCurrent = text.startsWith('HTTP/1.1\r\n', targetEnd + 1);
  if (!isCurrent && !OTHER_VERSION.test(text.slice(targetEnd + 1, lineEnd))) return CODEC_ERROR;
  const head = parseFields(text, lineEnd + 2, method, target);
  return isCurrent || head.kind === 'reply' ? head : refuseVersion(method, target, head.headers);
}

/** As a reply of the codec, for it has to close the connection. */
function refuseVersion(method: string, target: string, headers: readonly string[]): LocalReply {
  const { status, body, details } = refuseOldVersion(method, target, headers);
  return codecReply(status, body, details);
}

/**
 * Something like one of the four forms of RFC 9112 section 3.2: here is checked only which octets stand where, so that
 * `prepareRequest` refuses the rest with a word of its own.
 */
function isTarget(target: string, method: string): boolean {
  if (target === '' || NOT_VISIBLE.test(target)) return false;
  if (target.startsWith('/') || target.startsWith('*')) return true;
  return (method === 'CONNECT' ? AUTHORITY : ABSOLUTE).test(target);
}

function parseFields(text: string, start: number, method: string, target: string): RequestHead | LocalReply {
  const walk: Walk = { headers: [], framing: noFraming(), unknownEncoding: false, close: false, expectContinue: false, requestId: '' };
  for (let at = start; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === at) break;
    const colon = text.indexOf(':', at);
    // A line that begins with a blank is a folded one (obs-fold): its first octet is no token octet.
    if (colon === -1 || colon > end || !isToken(text, at, colon)) return CODEC_ERROR;
    if (walk.headers.length >= MAX_HEADERS * 2) return TOO_MANY_HEADERS;
    const name = text.slice(at, colon);
    const value = trimBlanks(text, colon + 1, end);
    walk.headers.push(name, value);
    const refused = noteField(walk, name, value);
    if (refused === 'content-length') return CODEC_ERROR;
    if (refused === 'unknown-encoding') walk.unknownEncoding = true;
    at = end + 2;
  }
  const { chunked, contentLength } = walk.framing;
  const refused = framingFault(walk, method);
  if (refused !== undefined) return refused;
  return {
    kind: 'request',
    method,
    target,
    headers: walk.headers,
    body: chunked ? CHUNKED : Math.max(contentLength, 0),
    lengthGiven: contentLength !== -1,
    close: walk.close,
    expectContinue: walk.expectContinue,
    requestId: walk.requestId,
  };
}

function lengthText(headers: readonly string[]): string | undefined {
  return headers[headers.findIndex((part, index) => index % 2 === 0 && part.toLowerCase() === 'content-length') + 1];
}

/** What is wrong with the framing fields together, in Envoy's order. */
function framingFault({ headers, framing, unknownEncoding }: Walk, method: string): LocalReply | undefined {
  const encoded = framing.chunked || unknownEncoding;
  const hasLength = framing.contentLength !== -1;
  if (method === 'CONNECT') {
    // A tunnel has no body: a length may only say so in one digit, and an encoding not at all.
    if (hasLength && lengthText(headers) !== '0') return CONNECT_WITH_LENGTH;
    return encoded ? UNKNOWN_ENCODING : undefined;
  }
  if (encoded && hasLength) return LENGTH_AND_CHUNKED;
  return unknownEncoding ? UNKNOWN_ENCODING : undefined;
}

/** Reads the few fields that concern the connection; the length of the name tells most others apart at once. */
function noteField(walk: Walk, name: string, value: string): FramingFault {
  switch (name.length) {
    case 14:
      return name.toLowerCase() === 'content-length' ? noteContentLength(walk.framing, value) : '';
    case 17:
      return name.toLowerCase() === 'transfer-encoding' ? noteTransferEncoding(walk.framing, value) : '';
    case 10:
      if (name.toLowerCase() === 'connection' && listHolds(value, 'close')) walk.close = true;
      return '';
    case 6:
      if (name.toLowerCase() === 'expect' && value.toLowerCase() === '100-continue') walk.expectContinue = true;
      return '';
    case 12:
      if (walk.requestId === '' && name.toLowerCase() === 'x-request-id') walk.requestId = value;
      return '';
    default:
      return '';
  }
}

/**
 * Can an unfinished head no longer become a valid one? Lets garbage be refused before its sender stops.
 * @param fresh what came since the last look, with the octet before it
 * @param atStart `fresh` is the very beginning
 */
export function isHopeless(fresh: string, atStart: boolean): boolean {
  return hasIllegalOctet(fresh) || (atStart && (isBlank(fresh.charCodeAt(0)) || fresh.startsWith('\n')));
}
