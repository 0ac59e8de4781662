/*
 * Passes one response after the other to the client: final and interim heads, bodies, the end of chunks. In: parsed
 * heads and raw body bytes of the upstream. Out: text and bytes on the client's writer. Used by the client connection.
 */

import type { MessageWriter } from '../net/message-writer.ts';
import { CHUNKED, UNTIL_CLOSE } from './framing.ts';
import type { ResponseHead } from './response-head.ts';
import { writeInterimHead, writeResponseHead } from './write-head.ts';

export class ResponseRelay {
  readonly #out: MessageWriter;
  /** The body ends with the upstream's connection and is sent in chunks of our own. */
  #wraps = false;
  #chunked = false;

  constructor(out: MessageWriter) {
    this.#out = out;
  }

  /** Passes a final head on. @param date for a response without Date @param close the client connection closes after it */
  begin(head: ResponseHead, date: string, close: boolean): void {
    this.#wraps = head.body === UNTIL_CLOSE;
    this.#chunked = head.body === CHUNKED;
    this.#out.text(writeResponseHead(head, date, close));
  }

  /** Passes an interim response on, except 100: the client has had its own if it asked for one. */
  interim(head: ResponseHead): void {
    if (head.status !== 100) this.#out.text(writeInterimHead(head));
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (this.#wraps) this.#out.text(`${(end - start).toString(16)}\r\n`);
    this.#out.bytes(buffer, start, end);
    if (this.#wraps) this.#out.text('\r\n');
  }

  /** Ends the body as its framing asks. */
  end(): void {
    if (this.#wraps) this.#out.text('0\r\n\r\n');
    else if (this.#chunked) this.#out.text('\r\n');
  }
}
