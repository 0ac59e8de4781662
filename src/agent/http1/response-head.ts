/*
 * Strict parser of HTTP/1.1 response heads.
 */
import { isToken } from '../../http/field-syntax.ts';
import { removeHeadersWhere } from '../../http/header-list.ts';
import { type BodyLength, RAW_CHUNKS, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { hasIllegalByte, listContains, trimWhitespace } from './bytes.ts';
import { type FramingFields, noFraming, noteContentLength, noteTransferEncoding } from './framing.ts';

/** A response head with what it says about the connection. */
export interface Http1Response extends ResponseHead {
  /** The upstream will close this connection. */
  readonly close: boolean;
  /** How long the upstream keeps an idle connection (Keep-Alive: timeout), in milliseconds; -1: it did not say. */
  readonly keepAliveMs: number;
}

interface Walk {
  readonly headers: string[];
  readonly framing: FramingFields;
  close: boolean;
  keepAlive: boolean;
  keepAliveMs: number;
  /** Lower-case names listed in Connection beyond close and keep-alive; `''`: none. */
  listed: string;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([^\r]*))?\r\n/;
const MAX_RESPONSE_HEADERS = LIMITS.responseHeaders.value;

/**
 * The response that `text` states; undefined when the upstream does not send valid HTTP/1.1.
 * @param method of the request: the response to HEAD has no body whatever its fields say
 */
export function parseResponseHead(text: string, method: string): Http1Response | undefined {
  const line = STATUS_LINE.exec(text);
  if (line === null || hasIllegalByte(text)) return undefined;
  const old = line[1] === '0';
  const status = Number(line[2]);
  const walk: Walk = { headers: [], framing: noFraming(), close: false, keepAlive: false, keepAliveMs: -1, listed: '' };
  if (!walkFields(text, line[0].length, walk)) return undefined;
  const { chunked, contentLength } = walk.framing;
  if (chunked && contentLength !== -1) return undefined;
  if (walk.listed !== '') removeListed(walk.headers, walk.listed);
  const body = bodyOf(status, method, walk.framing);
  return {
    status,
    reason: line[3] ?? '',
    headers: walk.headers,
    body,
    close: walk.close || body === UNKNOWN_LENGTH || (old && !walk.keepAlive),
    keepAliveMs: walk.keepAliveMs,
  };
}

function bodyOf(status: number, method: string, framing: FramingFields): BodyLength {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (framing.chunked) return RAW_CHUNKS;
  return framing.contentLength === -1 ? UNKNOWN_LENGTH : framing.contentLength;
}

function walkFields(text: string, start: number, walk: Walk): boolean {
  let count = 0;
  for (let at = start; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === at) return true;
    const colon = text.indexOf(':', at);
    if (end === -1 || colon === -1 || colon > end || !isToken(text, at, colon)) return false;
    count += 1;
    if (count > MAX_RESPONSE_HEADERS) return false;
    if (!takeField(walk, text.slice(at, colon).toLowerCase(), trimWhitespace(text, colon + 1, end))) return false;
    at = end + 2;
  }
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
      return noteTransferEncoding(walk.framing, value) === '';
    case 'server':
    case 'proxy-connection':
    case 'upgrade':
      return true;
    case 'content-length':
      if (noteContentLength(walk.framing, value) !== '') return false;
      break;
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
