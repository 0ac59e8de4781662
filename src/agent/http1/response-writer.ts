/*
 * Writes the responses of one client connection, one after the other: heads, bodies in the framing they need, local replies.
 */
import type { HttpDate } from '../../http/http-date.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { type BodyLength, RAW_CHUNKS, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';
import type { MessageWriter } from '../net/message-writer.ts';
import { writeInterimHead, writeReply, writeResponseHead, writeSwitchHead } from './write-response.ts';

/** Writes to one client connection. */
export class ResponseWriter {
  readonly #out: MessageWriter;
  readonly #date: HttpDate;
  #body: BodyLength = 0;

  constructor(out: MessageWriter, date: HttpDate) {
    this.#out = out;
    this.#date = date;
  }

  /** Starts a final response. @param close the connection closes after it */
  head(head: ResponseHead, close: boolean): void {
    this.#body = head.body;
    this.#out.write(writeResponseHead(head, this.#date.value(), close));
  }

  /** Writes an interim response. */
  interim(head: ResponseHead): void {
    this.#out.write(writeInterimHead(head));
  }

  /** Writes the response that accepts an upgrade to `protocol`; `data` is written as it is from here on. */
  switchProtocols(head: ResponseHead, protocol: string): void {
    this.#body = 0;
    this.#out.write(writeSwitchHead(head, protocol));
  }

  /** Writes bytes of the body; a body of unknown length becomes chunks. */
  data(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (this.#body === UNKNOWN_LENGTH) this.#out.write(`${(end - start).toString(16)}\r\n`);
    this.#out.writeBytes(buffer, start, end);
    if (this.#body === UNKNOWN_LENGTH) this.#out.write('\r\n');
  }

  /** Ends the body. */
  end(): void {
    if (this.#body === UNKNOWN_LENGTH) this.#out.write('0\r\n\r\n');
    else if (this.#body === RAW_CHUNKS) this.#out.write('\r\n');
  }

  /** Writes a whole reply. */
  reply(reply: LocalReply, isHead: boolean, close: boolean): void {
    this.#out.write(writeReply(reply, { isHead, close, date: this.#date.value() }));
  }
}
