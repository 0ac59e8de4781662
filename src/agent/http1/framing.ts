/*
 * How long the body of an HTTP/1.1 message is (RFC 9112 section 6), as one number, and the strict reading of the two
 * header fields that tell it. In: field values met while a head is walked. Out: framing for chunk reader and proxy.
 */

/** The body comes in chunks. */
export const CHUNKED = -1;
/** The body ends when the sender closes (responses only). */
export const UNTIL_CLOSE = -2;

/** Length of a body in bytes (0: none), {@link CHUNKED} or {@link UNTIL_CLOSE}. */
export type BodyFraming = number;

/** What a head said about its body so far; see {@link noteContentLength} and {@link noteTransferEncoding}. */
export interface FramingFields {
  /** -1: not given. */
  contentLength: number;
  chunked: boolean;
}

/** Why a framing field is refused; `''`: it is fine. */
export type FramingFault = '' | 'content-length' | 'unknown-encoding';

/** Fields of a head in which neither was met yet. */
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

/** Takes one Transfer-Encoding value: `chunked` alone, once; any other coding is one that the proxy does not speak. */
export function noteTransferEncoding(fields: FramingFields, value: string): FramingFault {
  if (fields.chunked || value.toLowerCase() !== 'chunked') return 'unknown-encoding';
  fields.chunked = true;
  return '';
}
