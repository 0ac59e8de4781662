/*
 * Strict parser of the upstream's HTTP/1.1 response heads. In: the latin1 text of a head through its empty line. Out:
 * the status line and the fields ready to be sent on (lower case, hop-by-hop fields left out), framing, and what the
 * pool must know; or undefined when the upstream does not speak HTTP/1.1. Called by the upstream connection.
 */
import {
  type BodyFraming,
  CHUNKED,
  type FramingFields,
  noFraming,
  noteContentLength,
  noteTransferEncoding,
  UNTIL_CLOSE,
} from './framing.ts';
import { hasIllegalOctet, isToken, listHolds, trimBlanks } from './octets.ts';

/** A response head on its way to the client. */
export interface ResponseHead {
  readonly status: number;
  /** As sent; may be empty. */
  readonly reason: string;
  /** `name: value` CR LF for every end-to-end field except server, content-length included, transfer-encoding left out. */
  readonly fields: string;
  readonly hasDate: boolean;
  readonly body: BodyFraming;
  /** The upstream will close this connection. */
  readonly close: boolean;
  /** How long the upstream keeps an idle connection (Keep-Alive: timeout), in milliseconds; -1: it did not say. */
  readonly keepAliveMs: number;
}

interface Walk {
  fields: string;
  readonly framing: FramingFields;
  hasDate: boolean;
  close: boolean;
  keepAlive: boolean;
  keepAliveMs: number;
  /** Lower-case names listed in Connection beyond close and keep-alive; `''`: none. */
  listed: string;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([^\r]*))?\r\n/;
const MAX_RESPONSE_HEADERS = 1000;

/**
 * The response that `text` states.
 * @param method the request's method: the answer to HEAD has no body whatever its fields say
 */
export function parseResponseHead(text: string, method: string): ResponseHead | undefined {
  const line = STATUS_LINE.exec(text);
  if (line === null || hasIllegalOctet(text)) return undefined;
  const old = line[1] === '0';
  const status = Number(line[2]);
  const walk: Walk = { fields: '', framing: noFraming(), hasDate: false, close: false, keepAlive: false, keepAliveMs: -1, listed: '' };
  if (!walkFields(text, line[0].length, walk)) return undefined;
  const { chunked, contentLength } = walk.framing;
  if (chunked && contentLength !== -1) return undefined;
  const body = bodyOf(status, method, walk.framing);
  return {
    status,
    reason: line[3] ?? '',
    fields: walk.listed === '' ? walk.fields : withoutListed(walk.fields, walk.listed),
    hasDate: walk.hasDate,
    body,
    close: walk.close || body === UNTIL_CLOSE || (old && !walk.keepAlive),
    keepAliveMs: walk.keepAliveMs,
  };
}

function bodyOf(status: number, method: string, framing: FramingFields): BodyFraming {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (framing.chunked) return CHUNKED;
  return framing.contentLength === -1 ? UNTIL_CLOSE : framing.contentLength;
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
    if (!takeField(walk, text.slice(at, colon).toLowerCase(), trimBlanks(text, colon + 1, end))) return false;
    at = end + 2;
  }
}

/** Takes one field over into `walk`; false: the field makes the message unusable. */
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
    case 'date':
      walk.hasDate = true;
      break;
    default:
  }
  walk.fields += `${name}: ${value}\r\n`;
  return true;
}

function takeConnection(walk: Walk, value: string): void {
  const lower = value.toLowerCase();
  if (lower === 'keep-alive') walk.keepAlive = true;
  else if (lower === 'close') walk.close = true;
  else {
    walk.close ||= listHolds(lower, 'close');
    walk.keepAlive ||= listHolds(lower, 'keep-alive');
    walk.listed += `${lower},`;
  }
}

/** Framing is decided by the fields as sent; a Connection header cannot take it away. */
const NEVER_DROPPED: ReadonlySet<string> = new Set(['content-length', 'date']);

function withoutListed(fields: string, listed: string): string {
  const names = new Set(listed.split(',').map((name) => name.trim()));
  return fields
    .split('\r\n')
    .filter((line) => {
      const name = line.slice(0, line.indexOf(':'));
      return line !== '' && (!names.has(name) || NEVER_DROPPED.has(name));
    })
    .map((line) => `${line}\r\n`)
    .join('');
}

function keepAliveMs(value: string): number {
  const seconds = /(?:^|[,; ])timeout=([0-9]{1,6})(?:$|[,; ])/i.exec(value)?.[1];
  return seconds === undefined ? -1 : Number(seconds) * 1000;
}
