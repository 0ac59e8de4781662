/*
 * Finds request heads in the bytes of a connection, and refuses early what cannot become one.
 */
import type { LocalReply } from '../../http/local-reply.ts';
import { INPUT_BUDGET } from '../net/paused-input.ts';
import { CODEC_ERROR, HEAD_TOO_LARGE, OVERLOADED } from './codec-replies.ts';
import { HeadBuffer } from './head-buffer.ts';
import { isHopeless, MAX_HEAD_BYTES } from './request-head.ts';

const CR = 0x0d;
const LF = 0x0a;

/** `none`: only empty lines arrived; `more`: a head has begun; `head`: `takeHead` has one; `fault`: `fault` is due. */
export type HeadState = 'none' | 'more' | 'head' | 'fault';

/** Reads the heads of one connection. */
export class RequestHeadReader {
  /** After `fault`: the reply. */
  fault: LocalReply = CODEC_ERROR;
  /** After `read`: index behind the last byte that was taken. */
  next = 0;
  readonly #buffer = new HeadBuffer(MAX_HEAD_BYTES);
  #head = '';
  #reserved = 0;

  /** Bytes of an unfinished head are held. */
  get hasBegun(): boolean {
    return this.#buffer.length > 0;
  }

  /** Reads `buffer[start, end)` up to the end of a head. @param isFirst no byte of this head was read before */
  read(buffer: Buffer, start: number, end: number, isFirst: boolean): HeadState {
    let at = start;
    // Empty lines before a request are skipped (RFC 9112 section 2.2).
    if (!this.hasBegun) while (at + 1 < end && buffer[at] === CR && buffer[at + 1] === LF) at += 2;
    this.next = end;
    if (at === end) return 'none';
    let head = this.#buffer.take(buffer, at, end);
    if (head === '') return this.#checkUnfinished(isFirst);
    this.next = this.#buffer.next;
    this.#release();
    if (head.startsWith('\r\n')) head = head.replace(/^(?:\r\n)+/, '');
    if (head === '') return 'none';
    this.#head = head;
    return 'head';
  }

  /** After `head`: the head from its first byte through the empty line; once, so that an idle connection does not retain it. */
  takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }

  /** The connection is closed. */
  close(): void {
    this.#buffer.clear();
    this.#release();
  }

  #release(): void {
    if (this.#reserved === 0) return;
    INPUT_BUDGET.release(this.#reserved);
    this.#reserved = 0;
  }

  #reserve(): boolean {
    const more = this.#buffer.length - this.#reserved;
    if (!INPUT_BUDGET.reserve(more)) return false;
    this.#reserved += more;
    return true;
  }

  #checkUnfinished(isFirst: boolean): HeadState {
    if (!this.#reserve()) this.fault = OVERLOADED;
    else if (this.#buffer.overflow) this.fault = HEAD_TOO_LARGE;
    else if (isHopeless(this.#buffer.fresh(), isFirst)) this.fault = CODEC_ERROR;
    else return 'more';
    return 'fault';
  }
}
