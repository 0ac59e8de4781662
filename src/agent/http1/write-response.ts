/*
 * Writes response heads and local replies as latin1 strings, in Envoy's wire order.
 */
import type { LocalReply } from '../../http/local-reply.ts';
import { RAW_CHUNKS, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';

const SERVER = 'server: istio-envoy\r\n';

/**
 * Head of a final response. A body of unknown length is sent in chunks.
 * @param date value of the Date header when the response has none
 * @param close the connection closes after the response
 */
export function writeResponseHead(head: ResponseHead, date: string, close: boolean): string {
  const { headers } = head;
  let hasDate = false;
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name === 'date') hasDate = true;
    text += `${name}: ${headers[at + 1] as string}\r\n`;
  }
  if (!hasDate) text += `date: ${date}\r\n`;
  text += SERVER;
  if (head.body === RAW_CHUNKS || head.body === UNKNOWN_LENGTH) text += 'transfer-encoding: chunked\r\n';
  return close ? `${text}connection: close\r\n\r\n` : `${text}\r\n`;
}

/** The bytes of a response over HTTP/1.1 for a client that speaks HTTP/1.0: without chunks, kept alive only when that is said. */
export function http10Message(text: string, close: boolean): string {
  const end = text.indexOf('\r\n\r\n') + 2;
  const head = text.slice(8, end).replace('\r\ntransfer-encoding: chunked\r\n', '\r\n');
  return `HTTP/1.0${head}${close ? '' : 'connection: keep-alive\r\n'}${text.slice(end)}`;
}

/** Head of an interim response (1xx other than 101). */
export function writeInterimHead(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${headerLines(head.headers)}\r\n`;
}

/** Head of a 101 response. @param protocol value of Upgrade */
export function writeSwitchHead(head: ResponseHead, protocol: string): string {
  return `HTTP/1.1 101 ${head.reason}\r\n${headerLines(head.headers)}connection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`;
}

function headerLines(headers: readonly string[]): string {
  let lines = '';
  for (let at = 0; at < headers.length; at += 2) lines += `${headers[at] as string}: ${headers[at + 1] as string}\r\n`;
  return lines;
}

/** Headers that precede Content-Length in Envoy's order. */
const LEADING: ReadonlySet<string> = new Set(['www-authenticate']);

/** How {@link writeReply} sends a reply. */
export interface ReplyOptions {
  /** The request's method is HEAD: the body is left out. */
  readonly isHead: boolean;
  /** The connection closes after the reply. */
  readonly close: boolean;
  /** Value of the Date header. */
  readonly date: string;
}

/** Head and body of a local reply. */
export function writeReply(reply: Pick<LocalReply, 'status' | 'body' | 'bytes' | 'headers'>, options: ReplyOptions): string {
  const body = reply.bytes === undefined ? utf8AsLatin1(reply.body) : Buffer.from(reply.bytes).toString('latin1');
  let leading = '';
  let trailing = '';
  for (let at = 0; at + 1 < reply.headers.length; at += 2) {
    const name = reply.headers[at] ?? '';
    const line = `${name}: ${reply.headers[at + 1] ?? ''}\r\n`;
    if (LEADING.has(name)) leading += line;
    else trailing += line;
  }
  const closing = options.close ? 'connection: close\r\n' : '';
  const length = reply.status === 204 ? '' : `content-length: ${body.length}\r\n`;
  const head = `HTTP/1.1 ${reply.status} ${reasonOf(reply.status)}\r\n${leading}${length}${trailing}date: ${options.date}\r\n${SERVER}${closing}\r\n`;
  return options.isHead ? head : head + body;
}

/** The UTF-8 bytes of `text`, one character for each. ASCII, as nearly every body, is returned as it is. */
function utf8AsLatin1(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1');
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Payload Too Large',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

function reasonOf(status: number): string {
  return REASONS[status] ?? 'Unknown';
}
