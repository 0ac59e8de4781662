/*
 * What the server side of a connection needs of its listener.
 */
import type { Clock } from '../../clock.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { ServerStream, ServerStreamHandler } from '../../http/stream.ts';

/** Timeouts of a client connection, in milliseconds. */
export interface ServerTimeouts {
  /** From the first byte of a head to its last. */
  readonly headTimeoutMs: number;
  /** Without a request. */
  readonly idleTimeoutMs: number;
  /** Between two reads of a request body, and between two reads of a closing client. */
  readonly bodyTimeoutMs: number;
}

/** Shared by the connections of one listener. */
export interface ServerHost {
  readonly timeouts: ServerTimeouts;
  readonly clock: Clock;
  readonly date: HttpDate;
  /** The handler of all requests that `stream` delivers. */
  createHandler(stream: ServerStream): ServerStreamHandler;
}
