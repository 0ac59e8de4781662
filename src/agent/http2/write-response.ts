/*
 * Writes the heads of responses and local replies, with Envoy's fields.
 */
import type { HttpDate } from '../../http/http-date.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ResponseHead } from '../../http/stream.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import { encodeField } from './hpack/encode.ts';

const SERVER = 'istio-envoy';

/** Head of a final response. */
export function encodeResponse(out: ByteWriter, head: ResponseHead, date: HttpDate): void {
  const { headers } = head;
  let hasDate = false;
  encodeField(out, ':status', String(head.status));
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name === 'date') hasDate = true;
    encodeField(out, name, headers[at + 1] as string);
  }
  if (!hasDate) encodeField(out, 'date', date.value());
  encodeField(out, 'server', SERVER);
}

/** Head of the response that accepts an extended CONNECT, made of the one that accepts an upgrade (RFC 8441 section 5). */
export function encodeSwitched(out: ByteWriter, head: ResponseHead, date: HttpDate): void {
  encodeResponse(out, { ...head, status: 200 }, date);
}

/** Head of an interim response (1xx other than 101). */
export function encodeInterim(out: ByteWriter, { status, headers }: Pick<ResponseHead, 'status' | 'headers'>): void {
  encodeField(out, ':status', String(status));
  for (let at = 0; at < headers.length; at += 2) encodeField(out, headers[at] as string, headers[at + 1] as string);
}

/** Head of a local reply. @param length bytes of its body */
export function encodeReply(out: ByteWriter, reply: LocalReply, length: number, date: HttpDate): void {
  encodeField(out, ':status', String(reply.status));
  if (length > 0) encodeField(out, 'content-length', String(length));
  for (let at = 0; at + 1 < reply.headers.length; at += 2) encodeField(out, reply.headers[at] as string, reply.headers[at + 1] as string);
  encodeField(out, 'date', date.value());
  encodeField(out, 'server', SERVER);
}
