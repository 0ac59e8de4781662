/*
 * Message heads as codecs, filters and exchanges exchange them, whatever the protocol version. Strings are byte strings: one
 * character (U+0000-U+00FF) per byte on the wire.
 */
import type { ConnectionFacts } from '../policy/facts.ts';
import type { HeaderList } from './header-list.ts';

/** The head of a request as a codec reads it: syntax checked, nothing normalized. */
export interface RequestHead {
  readonly version: '1.0' | '1.1' | '2';
  readonly method: string;
  /** Request target verbatim (`:path` over HTTP/2). */
  readonly target: string;
  /** In the order sent, names in any case, values without surrounding whitespace; over HTTP/2 without pseudo headers. */
  readonly headers: HeaderList;
  /** `:authority` over HTTP/2; absent over HTTP/1. */
  readonly authority?: string;
  /** `:scheme` over HTTP/2, when known. */
  readonly scheme?: string;
  /** The request announces a body: a Content-Length above 0, chunks, or a HEADERS frame without END_STREAM. */
  readonly hasBody: boolean;
}

/** A request head with the connection that it came over: what the filters evaluate. */
export interface RawRequest extends RequestHead {
  /** Value for `x-request-id` when the request brings none, or an empty one: policies see it, and so does the upstream. Absent: none is added. */
  readonly requestId?: string;
  readonly connection: ConnectionFacts;
}

/** The head of a request for the upstream. */
export interface ForwardHead {
  readonly method: string;
  /** Path with query. */
  readonly target: string;
  /** Value of Host / `:authority`. */
  readonly host: string;
  /** Lower-case names; without hop-by-hop fields and Host. */
  readonly headers: HeaderList;
  /** `websocket` when the request asks for that upgrade and it is to be forwarded, else `''`. */
  readonly upgrade: string;
}
