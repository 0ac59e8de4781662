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
  /** Between two reads of a request body. */
  readonly bodyTimeoutMs: number;
  /** Without a read by a client for which output waits. */
  readonly unreadTimeoutMs: number;
}

/**
 * Why a client connection was closed. client: the client closed it; response: it ended with a response; refused: the codec refused a
 * request; idle: no request came; timeout: a request did not arrive in time; unread: the client did not read; discarded: the client
 * kept sending after its response; overload: too many bytes of clients were in memory; upstream: a response broke off; tunnel: a
 * switched protocol ended; shutdown: the agent stopped.
 */
export type CloseReason =
  | 'client'
  | 'response'
  | 'refused'
  | 'idle'
  | 'timeout'
  | 'unread'
  | 'discarded'
  | 'overload'
  | 'upstream'
  | 'tunnel'
  | 'shutdown';

/** Shared by the connections of one listener. */
export interface ServerHost {
  readonly timeouts: ServerTimeouts;
  readonly clock: Clock;
  readonly date: HttpDate;
  /** The handler of all requests that `stream` delivers. */
  createHandler(stream: ServerStream): ServerStreamHandler;
}
