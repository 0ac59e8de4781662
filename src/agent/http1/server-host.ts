/*
 * What the server side of a connection needs of its listener, and a stream of its connection.
 */
import type { Clock } from '../../clock.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { ConnectionFacts, ServerStream, ServerStreamHandler } from '../../http/stream.ts';
import type { MessageWriter } from '../net/message-writer.ts';
import type { PausedInput } from '../net/paused-input.ts';

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
 * switched protocol ended; handshake: TLS was not established; revoked: an exchange, or a TCP connection, is not allowed any longer;
 * shutdown: the agent stopped.
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
  | 'handshake'
  | 'revoked'
  | 'shutdown';

/** Shared by the connections of one listener. */
export interface ServerHost {
  readonly timeouts: ServerTimeouts;
  readonly clock: Clock;
  readonly date: HttpDate;
  /** Serve requests of HTTP/1.0 that need nothing of HTTP/1.1; otherwise they get 426. */
  readonly acceptHttp10: boolean;
  /** The upstream understands the chunks of HTTP/1.1. */
  readonly keepsFraming: boolean;
  /** The handler of all requests that `stream` delivers. */
  createHandler(stream: ServerStream): ServerStreamHandler;
}

/** The connection of a stream. */
export interface StreamConnection {
  readonly facts: ConnectionFacts;
  readonly input: PausedInput;
  readonly out: MessageWriter;
  /** Calls `expire` after `ms` milliseconds unless it is set again; 0: never. */
  setDeadline(ms: number): void;
  /** Continues with the bytes that were kept in `input`. */
  takeRest(): void;
  /** The request at hand is over. */
  onRequestOver(): void;
  /** Sends what is batched. @returns false: the client does not keep up, wait for `drained` */
  flush(): boolean;
  /** Sends no more. */
  endOutput(): void;
  /** Sends no more, and drops the connection after a moment. */
  closeSoon(reason: CloseReason): void;
  destroy(reason: CloseReason): void;
}
