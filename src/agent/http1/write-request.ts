/*
 * Writes the head of a request for the upstream as a latin1 string.
 */
import type { ForwardHead } from '../../http/heads.ts';
import { type StreamRequest } from '../../http/stream.ts';

/** Methods that imply an empty body when no length is given; for all others Envoy states the length 0. */
const IMPLIES_NO_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE', 'CONNECT']);

/**
 * Head of the request for the upstream. Its framing is that of `request`, whatever framing fields `head` holds. Connection
 * lists only `upgrade`: any other name in it would make the application drop a header that the policies have evaluated.
 * @param webSocketKey value of Sec-WebSocket-Key for a client that sends none; `''`: none is added
 */
export function writeRequestHead(head: ForwardHead, request: StreamRequest, webSocketKey: string = ''): string {
  let text = `${head.method} ${head.target} HTTP/1.1\r\nhost: ${head.host}\r\n`;
  const { headers } = head;
  let { upgrade } = head;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    // As the client spells it.
    if (name === 'upgrade') upgrade = headers[at + 1] ?? '';
    else if (!isFramingField(name)) text += `${name}: ${headers[at + 1] ?? ''}\r\n`;
  }
  if (head.upgrade !== '') text += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  if (webSocketKey !== '') text += `sec-websocket-key: ${webSocketKey}\r\n`;
  if (request.body < 0) text += 'transfer-encoding: chunked\r\n';
  else if (request.lengthGiven || !IMPLIES_NO_BODY.has(request.method)) text += `content-length: ${request.body}\r\n`;
  return `${text}\r\n`;
}

function isFramingField(name: string): boolean {
  switch (name.length) {
    case 10:
      return name === 'connection';
    case 14:
      return name === 'content-length';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}
