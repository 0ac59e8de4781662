/*
 * A recorded request as a codec hands it to the judge. In: the record. Out: a raw request, what the codec itself answers,
 * or a TCP connection. Used by the way in that needs no sockets.
 */
import { type HeadFault, parseRequestHead } from '../../src/agent/http1/request-head.ts';
import type { RawRequest } from '../../src/judge/verdict.ts';
import type { ConnectionFacts } from '../../src/policy/request/facts.ts';
import type { RecordedCase, RecordedRequest } from './case-file.ts';

export type ReadRequest =
  | { readonly kind: 'http'; readonly request: RawRequest }
  | { readonly kind: 'fault'; readonly fault: HeadFault }
  | { readonly kind: 'tcp'; readonly connection: ConnectionFacts };

const METHODS_WITH_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The request or connection that `recorded` describes, sent to the workload of `from`. */
export function readRequest(recorded: RecordedRequest, from: RecordedCase): ReadRequest {
  const connection = connectionOf(recorded, from);
  const protocol = from.workload.ports.find(({ number }) => number === recorded.port)?.protocol;
  if (recorded.raw !== undefined && protocol === 'tcp') {
    return { kind: 'tcp', connection };
  }
  if (recorded.http2 === true) {
    return { kind: 'http', request: http2Request(recorded, connection) };
  }
  const text = recorded.raw ?? http1Text(recorded);
  const end = text.indexOf('\r\n\r\n');
  const head = parseRequestHead(Buffer.from(end === -1 ? text : text.slice(0, end + 4), 'utf8').toString('latin1'));
  if (head.kind === 'fault') {
    return { kind: 'fault', fault: head };
  }
  const { method, target, headers, body } = head;
  return { kind: 'http', request: { version: '1.1', method, target, headers, hasBody: body !== 0, connection } };
}

function http1Text({ method = 'GET', path = '/', host = '', headers = [], body = '' }: RecordedRequest): string {
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
  return { version: '2', method, target: path, headers: flat, ...authority, hasBody: body !== '', connection };
}

function connectionOf({ source, port }: RecordedRequest, { workload }: RecordedCase): ConnectionFacts {
  const peer = source.principal === undefined ? {} : { peer: { uris: source.principal.split(','), dnsNames: [], subject: '' } };
  return {
    sourceIp: source.ip,
    destinationIp: workload.ip,
    destinationPort: port,
    sni: source.sni ?? '',
    tls: source.principal !== undefined,
    ...peer,
  };
}
