/*
 * Writes the responses of one client connection, one after the other: heads, bodies in the framing they need, local replies.
 */
import { hasHeader } from '../../http/header-list.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { type BodyLength, RAW_CHUNKS, type ResponseHead, UNKNOWN_LENGTH } from '../../http/stream.ts';
import type { MessageWriter } from '../net/message-writer.ts';
import { ChunkReader } from './chunk-reader.ts';
import { http10Message, writeInterimHead, writeReply, writeResponseHead, writeSwitchHead } from './write-response.ts';

/** Writes to one client connection. */
export class ResponseWriter {
  readonly #out: MessageWriter;
  readonly #date: HttpDate;
  #body: BodyLength = 0;
  /** The responses are for a client that speaks HTTP/1.0. */
  isHttp10 = false;
  /** Takes the payload out of chunks, which HTTP/1.0 does not have. */
  #chunks: ChunkReader | undefined;

  constructor(out: MessageWriter, date: HttpDate) {
    this.#out = out;
    this.#date = date;
  }

  /** Starts a final response. @param close the connection closes after it */
  head(head: ResponseHead, close: boolean): void {
    this.#body = head.body;
    const text = writeResponseHead(head, this.#date.value(), close);
    if (this.isHttp10) this.#startHttp10(text, close);
    else this.#out.write(text);
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
    if (this.isHttp10) {
      this.#http10Data(buffer, start, end);
      return;
    }
    if (this.#body === UNKNOWN_LENGTH) this.#out.write(`${(end - start).toString(16)}\r\n`);
    this.#out.writeBytes(buffer, start, end);
    if (this.#body === UNKNOWN_LENGTH) this.#out.write('\r\n');
  }

  /** Ends the body. */
  end(): void {
    if (this.isHttp10) return;
    if (this.#body === UNKNOWN_LENGTH) this.#out.write('0\r\n\r\n');
    else if (this.#body === RAW_CHUNKS) this.#out.write('\r\n');
  }

  /** Writes a whole reply. */
  reply(reply: LocalReply, isHead: boolean, close: boolean): void {
    const text = writeReply(reply, { isHead, close, date: this.#date.value() });
    this.#out.write(this.isHttp10 ? http10Message(text, close) : text);
  }

  #startHttp10(text: string, close: boolean): void {
    const out = this.#out;
    this.#chunks = this.#body === RAW_CHUNKS ? new ChunkReader(true, (bytes, from, to) => out.writeBytes(bytes, from, to)) : undefined;
    out.write(http10Message(text, close));
  }

  #http10Data(buffer: Buffer, start: number, end: number): void {
    const chunks = this.#chunks;
    if (chunks === undefined) {
      this.#out.writeBytes(buffer, start, end);
      return;
    }
    for (let at = start; at < end; at = chunks.consumedEnd) if (chunks.read(buffer, at, end) !== 'more') return;
  }
}

/** A response over HTTP/2 may end with its head, without a length; over HTTP/1.1 it would end with the connection. */
export function withLength(head: ResponseHead): ResponseHead {
  const { status, headers } = head;
  if (status === 204 || status === 304 || hasHeader(headers, 'content-length')) return head;
  return { ...head, headers: [...headers, 'content-length', '0'] };
}
