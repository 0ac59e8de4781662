/*
 * The answer to a request for an upgrade. For a client that speaks HTTP/2, and therefore has no key for a WebSocket, the agent makes one.
 */
import { firstHeader, removeHeadersWhere } from '../../http/header-list.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { StreamRequest } from '../../http/stream.ts';
import { newWebSocketKey, webSocketAccept } from '../../http/web-socket-key.ts';
import { RESPONSE_FAULT, type ResponseFault } from './response-fault.ts';
import type { Http1Response } from './response-head.ts';

/** The handshakes of one connection. */
export class UpgradeHandshake {
  /** Protocol that the request asks for, in lower case; `''`: none. */
  #protocol = '';
  #key = '';

  /** @returns the key to send; `''`: none, or the client has sent one and checks the answer itself */
  begin({ upgrade, headers }: ForwardHead, { version }: StreamRequest): string {
    this.#protocol = upgrade.toLowerCase();
    const isNeeded = version === '2' && this.#protocol === 'websocket' && firstHeader(headers, 'sec-websocket-key') === undefined;
    this.#key = isNeeded ? newWebSocketKey() : '';
    return this.#key;
  }

  /** The head with status 101 for the client, which learns nothing of a key that it has not sent; or why it is refused. */
  finish(head: Http1Response): Http1Response | ResponseFault {
    if (this.#protocol === '' || head.upgrade.toLowerCase() !== this.#protocol) return RESPONSE_FAULT.unaskedUpgrade;
    if (this.#key === '') return head;
    if (firstHeader(head.headers, 'sec-websocket-accept') !== webSocketAccept(this.#key)) return RESPONSE_FAULT.webSocketAccept;
    const headers = [...head.headers];
    removeHeadersWhere(headers, (name) => name === 'sec-websocket-accept');
    return { ...head, headers };
  }
}
