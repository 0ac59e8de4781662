/*
 * Strict reading of the two header fields that determine the length of an HTTP/1.1 body (RFC 9112 section 6).
 */

/** What a head has said about its body so far; see {@link noteContentLength} and {@link noteTransferEncoding}. */
export interface FramingFields {
  /** -1: not given. */
  contentLength: number;
  chunked: boolean;
}

/** Why a framing field is refused; `''`: it is valid. */
export type FramingFault = '' | 'content-length' | 'unknown-encoding';

/** Fields of a head that has given neither. */
export function noFraming(): FramingFields {
  return { contentLength: -1, chunked: false };
}

/** Takes one Content-Length value: digits only, once, at most 2^53-1. */
export function noteContentLength(fields: FramingFields, value: string): FramingFault {
  if (fields.contentLength !== -1) return 'content-length';
  if (value.length === 0 || value.length > 16) return 'content-length';
  let length = 0;
  for (let at = 0; at < value.length; at += 1) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return 'content-length';
    length = length * 10 + digit;
  }
  if (length > Number.MAX_SAFE_INTEGER) return 'content-length';
  fields.contentLength = length;
  return '';
}

/** Takes one Transfer-Encoding value: `chunked` alone, once; the proxy supports no other coding. */
export function noteTransferEncoding(fields: FramingFields, value: string): FramingFault {
  if (fields.chunked || value.toLowerCase() !== 'chunked') return 'unknown-encoding';
  fields.chunked = true;
  return '';
}
