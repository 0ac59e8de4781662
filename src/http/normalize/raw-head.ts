/*
 * The head of a request as a codec hands it to `prepareRequest`: the part of the judge's `RawRequest` that preparation
 * reads. Strings are byte strings: one character (U+0000-U+00FF) per byte on the wire.
 */
import type { ConnectionFacts } from '../../policy/facts.ts';

export interface RawHead {
  readonly version: '1.1' | '2';
  readonly method: string;
  /** Request target verbatim (`:path` over HTTP/2). */
  readonly target: string;
  /** Flat list name, value, name, value … in the order sent, names in any case, values without outer blanks. */
  readonly headers: readonly string[];
  /** `:authority` over HTTP/2; absent over HTTP/1. */
  readonly authority?: string;
  /** `:scheme` over HTTP/2, when known. */
  readonly scheme?: string;
  /** Value for `x-request-id` when the request brings none: policies see it, and so does the upstream. Absent: none is added. */
  readonly requestId?: string;
  readonly connection: ConnectionFacts;
}
