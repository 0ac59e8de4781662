/*
 * Reads a written request as HTTP/2, for what only HTTP/2 can say: a method that HTTP/1.1 does not know, a scheme, or whitespace around the value
 * of a header.
 */
import { parseRequestHead } from '../../agent/http2/request-head.ts';
import type { RawRequest } from '../../http/heads.ts';
import { METHODS } from '../../http/methods.ts';
import { headerPairs, type RequestSpec, readSpec } from './request-spec.ts';

/** Can the request be sent over HTTP/1.1 as it is written? */
export function isForHttp1({ method = 'GET', headers }: RequestSpec): boolean {
  return METHODS.has(method) && headerPairs(headers).every(([, value]) => value === value.trim());
}

/**
 * Reads the request as the codec of HTTP/2 does.
 * @param scheme absent: that of the connection
 * @returns undefined: the codec refuses the request
 */
export function readOverHttp2(spec: RequestSpec, defaultHost: string, scheme?: string): RawRequest | undefined {
  const { method = 'GET', path = '/', host = defaultHost } = spec;
  const plain = readSpec({ ...spec, method: 'GET', path: '/', host, headers: [] }, defaultHost);
  if (plain.kind === 'reply') return undefined;
  const { connection, requestId } = plain.request;
  const regular = headerPairs(spec.headers).flatMap(([name, value]) => [name.toLowerCase(), value]);
  const own = scheme ?? (connection.tls ? 'https' : 'http');
  const head = parseRequestHead([':method', method, ':scheme', own, ':authority', host, ':path', path, ...regular], true);
  if (head === undefined) return undefined;
  return { ...head, connection, ...(requestId === undefined ? {} : { requestId }) };
}
