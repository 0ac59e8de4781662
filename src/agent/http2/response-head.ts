/*
 * Turns the fields of a header block into the head of a response (RFC 9113 section 8.3.2).
 */

import { firstHeader, type HeaderList, removeHeadersWhere } from '../../http/header-list.ts';
import { type BodyLength, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';
import { webSocketAccept } from '../../http/web-socket-key.ts';
import { isForbiddenField, NO_LENGTH, readContentLength } from './message-fields.ts';

/** Why a response is refused; in response code details. */
export const RESPONSE_FAULT = {
  fields: 'http2.invalid.header.field',
  tooLarge: 'http2.header_list_size_too_large',
  tooManyHeaders: 'http2.too_many_headers',
  messaging: 'http2.violation.of.messaging.rule',
  contentLength: 'response_content_length',
  /** The request asks for an upgrade, and the application has not announced RFC 8441. */
  upgrade: 'http2_upstream_without_upgrade',
  unaskedUpgrade: 'response_upgrade_not_requested',
} as const;

/** One of {@link RESPONSE_FAULT}. */
export type ResponseFault = (typeof RESPONSE_FAULT)[keyof typeof RESPONSE_FAULT];

const STATUS = /^[1-9][0-9]{2}$/;

/**
 * The response, or why it is refused.
 * @param method of the request: the response to HEAD has no body whatever its fields say
 * @param endStream nothing follows the head
 */
export function parseResponseHead(fields: HeaderList, method: string, endStream: boolean): ResponseHead | ResponseFault {
  const statusText = fields[0] === ':status' ? (fields[1] as string) : '';
  if (!STATUS.test(statusText)) return RESPONSE_FAULT.messaging;
  const status = Number(statusText);
  const headers: string[] = [];
  let length = NO_LENGTH;
  for (let at = 2; at < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    if (name.startsWith(':') || isForbiddenField(name, value)) return RESPONSE_FAULT.fields;
    if (name === 'server') continue;
    if (name === 'content-length') {
      if (length !== NO_LENGTH) return RESPONSE_FAULT.contentLength;
      length = readContentLength(value);
      if (length === NO_LENGTH) return RESPONSE_FAULT.contentLength;
    }
    headers.push(name, value);
  }
  if (status === 101) return RESPONSE_FAULT.unaskedUpgrade;
  if (status < 200) return endStream ? RESPONSE_FAULT.messaging : { status, reason: '', headers, body: 0 };
  // As over HTTP/1.1: a response that never has a body may state only the length 0, which is removed.
  if (status === 204 && length > 0) return RESPONSE_FAULT.contentLength;
  if (status === 204 && length === 0) removeHeadersWhere(headers, (name) => name === 'content-length');
  const body = bodyOf(status, method, length);
  if (endStream && body > 0) return RESPONSE_FAULT.contentLength;
  return { status, reason: '', headers, body: endStream ? 0 : body };
}

/** The response that accepts an extended CONNECT as the one that accepts an upgrade (RFC 8441 section 5). */
export function switchedHead(head: ResponseHead, requestHeaders: HeaderList): ResponseHead {
  const headers = [...head.headers];
  removeHeadersWhere(headers, (name) => name === 'content-length');
  const key = firstHeader(requestHeaders, 'sec-websocket-key');
  // A client that speaks HTTP/1.1 waits for it.
  if (key !== undefined && firstHeader(headers, 'sec-websocket-accept') === undefined)
    headers.push('sec-websocket-accept', webSocketAccept(key));
  return { status: 101, reason: 'Switching Protocols', headers, body: 0 };
}

function bodyOf(status: number, method: string, length: number): BodyLength {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return length === NO_LENGTH ? UNKNOWN_LENGTH : length;
}
