/*
 * Parser of HTTP/1.1 response heads. It accepts what Envoy accepts of an application: folded lines, lines that end with LF alone, a stray CR
 * in a value, whitespace in the status line. The head is written again, so that no client sees any of that.
 */
import { isToken } from '../../http/field-syntax.ts';
import { removeHeadersWhere } from '../../http/header-list.ts';
import { type BodyLength, RAW_CHUNKS, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { hasControlCharacter, hasIllegalByte, isWhitespace, listContains, trimWhitespace } from './bytes.ts';
import { type FramingFields, noFraming, noteContentLength, noteTransferEncoding } from './framing.ts';
import { RESPONSE_FAULT, type ResponseFault } from './response-fault.ts';

/** A response head with what it says about the connection. */
export interface Http1Response extends ResponseHead {
  /** Bytes of the head. */
  readonly length: number;
  /** The upstream will close this connection. */
  readonly close: boolean;
  /** How long the upstream keeps an idle connection (Keep-Alive: timeout), in milliseconds; -1: it did not say. */
  readonly keepAliveMs: number;
  /** The value of Upgrade; `''`: absent. */
  readonly upgrade: string;
}

interface Walk {
  readonly headers: string[];
  readonly framing: FramingFields;
  close: boolean;
  keepAlive: boolean;
  keepAliveMs: number;
  /** Lower-case names listed in Connection beyond close and keep-alive; `''`: none. */
  listed: string;
  upgrade: string;
  /** Behind the empty line. */
  end: number;
  fault: ResponseFault | '';
}

/** Versions as Envoy accepts them; the reason phrase may be missing. */
const STATUS_LINE = /^HTTP\/([0-9])\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t]+([^ \t\r\n][^\r\n]*)?)?\r?\n/;
const MAX_RESPONSE_HEADERS = LIMITS.responseHeaders.value;
const CR = 0x0d;

/**
 * The response whose head `text` begins with, or why it is refused.
 * @param text at least a head with its empty line; bytes of a body may follow
 * @param method of the request: the response to HEAD has no body whatever its fields say
 */
export function parseResponseHead(text: string, method: string): Http1Response | ResponseFault {
  const line = STATUS_LINE.exec(text);
  if (line === null) return text.startsWith('HTTP/') ? RESPONSE_FAULT.statusLine : RESPONSE_FAULT.notHttp;
  const walk: Walk = {
    headers: [],
    framing: noFraming(),
    close: false,
    keepAlive: false,
    keepAliveMs: -1,
    listed: '',
    upgrade: '',
    end: 0,
    fault: '',
  };
  // The plain head: CR LF pairs and no control characters.
  const loose = hasIllegalByte(text);
  if (!walkFields(text, line[0].length, loose, walk)) return walk.fault === '' ? RESPONSE_FAULT.field : walk.fault;
  if (loose && hasControlCharacter(text.slice(0, walk.end))) return RESPONSE_FAULT.controlCharacter;
  const status = Number(line[3]);
  const framingFault = checkFraming(status, walk);
  if (framingFault !== '') return framingFault;
  if (walk.listed !== '') removeListed(walk.headers, walk.listed);
  const body = bodyOf(status, method, walk.framing);
  const old = line[1] === '0' || (line[1] === '1' && line[2] === '0');
  return {
    status,
    reason: line[4]?.trimEnd() ?? '',
    headers: walk.headers,
    body,
    length: walk.end,
    close: walk.close || body === UNKNOWN_LENGTH || (old && !walk.keepAlive),
    keepAliveMs: walk.keepAliveMs,
    upgrade: walk.upgrade,
  };
}

/** As Envoy: a response that never has a body may state only the length 0, which is removed. */
function checkFraming(status: number, { framing, headers }: Walk): ResponseFault | '' {
  const { chunked, contentLength } = framing;
  if (chunked && contentLength !== -1) return RESPONSE_FAULT.lengthAndChunked;
  if (status >= 200 && status !== 204) return '';
  if (chunked) return RESPONSE_FAULT.codingNotAllowed;
  if (contentLength > 0) return RESPONSE_FAULT.lengthNotAllowed;
  if (contentLength === 0) removeHeadersWhere(headers, (name) => name === 'content-length');
  return '';
}

function bodyOf(status: number, method: string, framing: FramingFields): BodyLength {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (framing.chunked) return RAW_CHUNKS;
  return framing.contentLength === -1 ? UNKNOWN_LENGTH : framing.contentLength;
}

/** @param loose values may hold a CR. @returns false: the head is refused, for `walk.fault` if that is set */
function walkFields(text: string, start: number, loose: boolean, walk: Walk): boolean {
  let count = 0;
  for (let at = start; ; ) {
    let end = text.indexOf('\n', at);
    if (end === -1) return false;
    if (end === at || (end === at + 1 && text.charCodeAt(at) === CR)) {
      walk.end = end + 1;
      return true;
    }
    let dirty = loose;
    while (isWhitespace(text.charCodeAt(end + 1))) {
      dirty = true;
      end = text.indexOf('\n', end + 1);
      if (end === -1) return false;
    }
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon > end || !isToken(text, at, colon)) return false;
    count += 1;
    if (count > MAX_RESPONSE_HEADERS) {
      walk.fault = RESPONSE_FAULT.tooManyHeaders;
      return false;
    }
    const name = text.slice(at, colon).toLowerCase();
    if (!takeField(walk, name, dirty ? unfold(text, colon + 1, end) : trimWhitespace(text, colon + 1, end - 1))) return false;
    at = end + 1;
  }
}

/** A value over several lines, as Envoy joins it: without CR and LF, with all other whitespace. */
function unfold(text: string, start: number, end: number): string {
  const joined = text.slice(start, end).replaceAll(/[\r\n]+/g, '');
  return trimWhitespace(joined, 0, joined.length);
}

/** Adds one field to `walk`. @returns false: the field makes the message invalid */
function takeField(walk: Walk, name: string, value: string): boolean {
  switch (name) {
    case 'connection':
      takeConnection(walk, value);
      return true;
    case 'keep-alive':
      walk.keepAliveMs = keepAliveMs(value);
      return true;
    case 'transfer-encoding':
      if (noteTransferEncoding(walk.framing, value) === '') return true;
      walk.fault = RESPONSE_FAULT.transferEncoding;
      return false;
    case 'upgrade':
      walk.upgrade = value;
      return true;
    case 'server':
    case 'proxy-connection':
      return true;
    case 'content-length':
      if (noteContentLength(walk.framing, value) === '') break;
      walk.fault = RESPONSE_FAULT.contentLength;
      return false;
    default:
  }
  walk.headers.push(name, value);
  return true;
}

function takeConnection(walk: Walk, value: string): void {
  const lower = value.toLowerCase();
  if (lower === 'keep-alive') walk.keepAlive = true;
  else if (lower === 'close') walk.close = true;
  else {
    walk.close ||= listContains(lower, 'close');
    walk.keepAlive ||= listContains(lower, 'keep-alive');
    walk.listed += `${lower},`;
  }
}

/** Framing is determined by the fields as sent; a Connection header cannot remove it. */
const NEVER_DROPPED: ReadonlySet<string> = new Set(['content-length', 'date']);

function removeListed(headers: string[], listed: string): void {
  const names = new Set(listed.split(',').map((name) => name.trim()));
  removeHeadersWhere(headers, (name) => names.has(name) && !NEVER_DROPPED.has(name));
}

function keepAliveMs(value: string): number {
  const seconds = /(?:^|[,; ])timeout=([0-9]{1,6})(?:$|[,; ])/i.exec(value)?.[1];
  return seconds === undefined ? -1 : Number(seconds) * 1000;
}
