/*
 * Fields that concern messages of HTTP/2 in both directions.
 */
import type { HeaderList } from '../../http/header-list.ts';

/** No Content-Length. */
export const NO_LENGTH = -1;

/** Fields of an HTTP/1.1 connection, which no message over HTTP/2 may have (RFC 9113 section 8.2.2). */
export function isForbiddenField(name: string, value: string): boolean {
  switch (name.length) {
    case 2:
      return name === 'te' && value.toLowerCase() !== 'trailers';
    case 7:
      return name === 'upgrade';
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 16:
      return name === 'proxy-connection';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}

/** The value of Content-Length: digits alone; {@link NO_LENGTH}: it is invalid. */
export function readContentLength(value: string): number {
  if (value.length === 0 || value.length > 16) return NO_LENGTH;
  let length = 0;
  for (let at = 0; at < value.length; at += 1) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return NO_LENGTH;
    length = length * 10 + digit;
  }
  return length > Number.MAX_SAFE_INTEGER ? NO_LENGTH : length;
}

/** May `fields` be trailers: no pseudo-header fields, no fields of the connection, none that frames the message? */
export function areTrailers(fields: HeaderList): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.startsWith(':') || name === 'content-length' || name === 'host' || isForbiddenField(name, fields[at + 1] as string))
      return false;
  }
  return true;
}
