/*
 * Converts a recorded request to what a codec passes to the filter chain: a raw request, the codec's own response, or a TCP
 * connection. Used by the runner without sockets.
 */

import { parseRequestHead } from '../../src/agent/http1/request-head.ts';
import type { RawRequest } from '../../src/http/heads.ts';
import type { LocalReply } from '../../src/http/local-reply.ts';
import type { ConnectionFacts } from '../../src/policy/facts.ts';
import type { RecordedCase, RecordedRequest } from './case-file.ts';

export type ReadRequest =
  | { readonly kind: 'http'; readonly request: RawRequest }
  | { readonly kind: 'fault'; readonly fault: LocalReply }
  | { readonly kind: 'tcp'; readonly connection: ConnectionFacts };

const REQUEST_ID = '00000000-0000-4000-8000-000000000000';
const METHODS_WITH_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The request or connection that `recorded` describes, to the workload of `from`. */
export function readRequest(recorded: RecordedRequest, from: RecordedCase): ReadRequest {
  const connection = connectionOf(recorded, from);
  const protocol = from.workload.ports.find(({ number }) => number === recorded.port)?.protocol;
  if (recorded.raw !== undefined && protocol === 'tcp') {
    return { kind: 'tcp', connection };
  }
  if (recorded.http2 === true) {
    return { kind: 'http', request: http2Request(recorded, connection) };
  }
  // The connection skips empty lines before a request; the head parser does not accept them.
  const text = (recorded.raw ?? http1Text(recorded)).replace(/^(\r\n)+/, '');
  const end = text.indexOf('\r\n\r\n');
  const head = parseRequestHead(Buffer.from(end === -1 ? text : text.slice(0, end + 4), 'utf8').toString('latin1'));
  if (head.kind === 'reply') {
    return { kind: 'fault', fault: head };
  }
  const { method, target, headers, body } = head;
  const id = head.clientRequestId === '' ? { requestId: REQUEST_ID } : {};
  return { kind: 'http', request: { version: '1.1', method, target, headers, ...id, hasBody: body !== 0, connection } };
}

/** The bytes of an HTTP/1.1 request as they were recorded. */
export function http1Text({ method = 'GET', path = '/', host = '', headers = [], body = '' }: RecordedRequest): string {
  const lines = [`${method} ${path} HTTP/1.1`, ...(host === '-' ? [] : [`Host: ${host}`]), ...headers.map((pair) => pair.join(': '))];
  const lengthGiven = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
  if (!lengthGiven && (body !== '' || METHODS_WITH_LENGTH.has(method))) {
    lines.push(`content-length: ${Buffer.byteLength(body)}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function http2Request(
  { method = 'GET', path = '/', host = '', headers = [], body = '' }: RecordedRequest,
  connection: ConnectionFacts,
): RawRequest {
  const flat = headers.flatMap(([name, value]) => [name.toLowerCase(), Buffer.from(value, 'utf8').toString('latin1')]);
  const authority = host === '-' ? {} : { authority: host };
  // The header that the recording client sends.
  const scheme = connection.tls ? 'https' : 'http';
  return {
    version: '2',
    method,
    target: Buffer.from(path, 'utf8').toString('latin1'),
    scheme,
    headers: flat,
    requestId: REQUEST_ID,
    ...authority,
    hasBody: body !== '',
    connection,
  };
}

/** Facts about the connection that the record describes. */
export function connectionOf({ source, port }: RecordedRequest, { workload }: RecordedCase): ConnectionFacts {
  const uris = source.principal?.split(',');
  const peer = uris === undefined ? {} : { peer: { uris, dnsNames: [], subject: '' }, forwardedClientCert: certificateElement(uris) };
  return {
    sourceIp: source.ip,
    destinationIp: workload.ip,
    destinationPort: port,
    sni: (source.sni ?? '').toLowerCase(),
    tls: source.principal !== undefined,
    ...peer,
  };
}

/** Facts about a client certificate, in the format of the records. */
function certificateElement(uris: readonly string[]): string {
  return ['By=spiffe://cluster.local/ns/default/sa/server', 'Hash=<redacted>', 'Subject=""', ...uris.map((uri) => `URI=${uri}`)].join(';');
}
