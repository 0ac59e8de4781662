/*
 * Writes message heads as latin1 text: the request for the upstream, the response for the client, and replies of the
 * agent's own in Envoy's wire order. In: judged or parsed heads. Out: text ending in the empty line. Called by the proxy.
 */
import type { ForwardHead } from '../../http/heads.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { CHUNKED, UNTIL_CLOSE } from './framing.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

const SERVER = 'server: istio-envoy\r\n';

/** Value of an outgoing field that would not stay one field: control octets, or characters that are no single octet. */
// oxlint-disable-next-line no-control-regex -- control octets are the matter
const UNSOUND = /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/;

/** Do all values of `headers` (flat) fit on one header line each? */
export function areSoundValues(headers: readonly string[]): boolean {
  for (let at = 1; at < headers.length; at += 2) if (UNSOUND.test(headers[at] ?? '')) return false;
  return true;
}

/**
 * Head of the request for the upstream. Its framing is that of the request as it came in, whatever `head` says. Of an upgrade's
 * Connection only that word is passed on: the other names in it must not make the application drop what was judged.
 */
export function writeRequestHead(head: ForwardHead, request: RequestHead): string {
  let text = `${head.method} ${head.target} HTTP/1.1\r\nhost: ${head.host}\r\n`;
  const { headers } = head;
  let { upgrade } = head;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    // As the client spells it.
    if (name === 'upgrade') upgrade = headers[at + 1] ?? '';
    else if (!isFramingField(name)) text += `${name}: ${headers[at + 1] ?? ''}\r\n`;
  }
  if (head.upgrade !== '') text += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  if (request.body === CHUNKED) text += 'transfer-encoding: chunked\r\n';
  else if (request.lengthGiven || !MEANS_NO_BODY.has(request.method)) text += `content-length: ${request.body}\r\n`;
  return `${text}\r\n`;
}

/** Methods that mean no body when no length is given; requests of all others are told to have none, as Envoy tells. */
const MEANS_NO_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE', 'CONNECT']);

function isFramingField(name: string): boolean {
  switch (name.length) {
    case 10:
      return name === 'connection';
    case 14:
      return name === 'content-length';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}

/**
 * Head of the upstream's response for the client. A body that ends with the upstream's connection is sent in chunks.
 * @param date value of the Date field when the upstream gave none
 */
export function writeResponseHead(head: ResponseHead, date: string, close: boolean): string {
  const added = head.hasDate ? '' : `date: ${date}\r\n`;
  const chunked = head.body === CHUNKED || head.body === UNTIL_CLOSE ? 'transfer-encoding: chunked\r\n' : '';
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.fields}${added}${SERVER}${chunked}${close ? 'connection: close\r\n' : ''}\r\n`;
}

/** Head of an interim response (1xx except 101) for the client. */
export function writeInterimHead(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.fields}\r\n`;
}

/** Head of a 101 response for the client. */
export function writeSwitchHead(head: ResponseHead, upgrade: string): string {
  return `HTTP/1.1 101 ${head.reason}\r\n${head.fields}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`;
}

/** Fields that go before Content-Length in Envoy's order. */
const LEADING: ReadonlySet<string> = new Set(['www-authenticate']);

/** The whole reply: head and body (none for HEAD). */
export function writeReply(reply: LocalReply, request: { readonly head: boolean; readonly close: boolean }, date: string): string {
  const body = reply.bytes === undefined ? Buffer.from(reply.body) : Buffer.from(reply.bytes);
  let leading = '';
  let trailing = '';
  for (let at = 0; at + 1 < reply.headers.length; at += 2) {
    const name = reply.headers[at] ?? '';
    const line = `${name}: ${reply.headers[at + 1] ?? ''}\r\n`;
    if (LEADING.has(name)) leading += line;
    else trailing += line;
  }
  const closing = request.close ? 'connection: close\r\n' : '';
  const length = reply.status === 204 ? '' : `content-length: ${body.length}\r\n`;
  const head = `HTTP/1.1 ${reply.status} ${reasonOf(reply.status)}\r\n${leading}${length}${trailing}date: ${date}\r\n${SERVER}${closing}\r\n`;
  return request.head ? head : head + body.toString('latin1');
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
