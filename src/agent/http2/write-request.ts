/*
 * Writes the head of a request for the upstream.
 */
import type { ForwardHead } from '../../http/heads.ts';
import type { StreamRequest } from '../../http/stream.ts';
import type { ByteWriter } from './hpack/byte-writer.ts';
import { encodeField } from './hpack/encode.ts';
import { isForbiddenField } from './message-fields.ts';

/** An upgrade becomes an extended CONNECT (RFC 8441). Its length is that of `request`, whatever `head` says; fields of an HTTP/1.1 connection are left out. */
export function encodeRequest(out: ByteWriter, head: ForwardHead, request: StreamRequest): void {
  const { headers } = head;
  encodeField(out, ':method', head.upgrade === '' ? head.method : 'CONNECT');
  if (head.upgrade !== '') encodeField(out, ':protocol', head.upgrade);
  encodeField(out, ':scheme', request.scheme ?? 'http');
  encodeField(out, ':path', head.target);
  encodeField(out, ':authority', head.host);
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (name !== 'content-length' && name !== 'host' && !isForbiddenField(name, value)) encodeField(out, name, value);
  }
  if (request.lengthGiven) encodeField(out, 'content-length', String(request.body));
}
