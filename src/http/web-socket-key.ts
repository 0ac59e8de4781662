/*
 * The key of a WebSocket handshake over HTTP/1.1, which HTTP/2 does not have (RFC 6455 section 4, RFC 8441 section 5).
 */
import { createHash, randomBytes } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A value for Sec-WebSocket-Key. */
export function newWebSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** The value of Sec-WebSocket-Accept in answer to `key`. */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}
