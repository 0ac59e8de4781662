/*
 * What a client connection needs of its listener.
 */
import type { Clock } from '../../clock.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { ServerStream, ServerStreamHandler } from '../../http/stream.ts';
import type { Http2ServerConnection } from './server-connection.ts';

/** Timeouts of a client connection, in milliseconds. */
export interface Http2Timeouts {
  /** For the settings of the client, and from the first byte of a frame or header block to its last. */
  readonly headTimeoutMs: number;
  /** Without a stream. */
  readonly idleTimeoutMs: number;
  /** Between two reads of a body that an ext_authz server is to see. */
  readonly bodyTimeoutMs: number;
  /** Without a read, or without a larger window, by a client for which output waits. */
  readonly unreadTimeoutMs: number;
}

/**
 * Why a client connection was closed. client: the client closed it; refused: it broke the protocol; idle: no request came; timeout: a frame did
 * not arrive in time; unread: the client did not read; overload: too many bytes, streams or frames of clients; shutdown: the agent stopped.
 */
export type Http2CloseReason = 'client' | 'refused' | 'idle' | 'timeout' | 'unread' | 'overload' | 'shutdown';

/** Shared by the connections of one listener. */
export interface Http2ServerHost {
  readonly timeouts: Http2Timeouts;
  readonly clock: Clock;
  readonly date: HttpDate;
  /** The handler of the one request that `stream` delivers. */
  createHandler(stream: ServerStream): ServerStreamHandler;
  /** Called once, when the socket is closed. */
  onConnectionClosed(connection: Http2ServerConnection, reason: Http2CloseReason): void;
}
