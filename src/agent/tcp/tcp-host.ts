/*
 * What a TCP connection needs of its listener.
 */
import type { Clock } from '../../clock.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ActivePolicy, ExtAuthzClient, LiveStreams } from '../context.ts';
import type { CloseReason } from '../http1/server-host.ts';
import type { TcpConnection } from './tcp-connection.ts';
import type { TcpObserver } from './tcp-record.ts';

/** Timeouts in milliseconds. */
export interface TcpTimeouts {
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number;
  /** From the first byte of a TLS ClientHello to its last. */
  readonly headTimeoutMs: number;
  /** Without a read by a client for which output waits. */
  readonly unreadTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

/** Shared by the connections to one port of the application. */
export interface TcpHost {
  readonly timeouts: TcpTimeouts;
  readonly clock: Clock;
  readonly application: { readonly host: string; readonly port: number };
  readonly tcpObserver: TcpObserver;
  /** Connections that are evaluated again; undefined: none are. */
  readonly liveStreams: LiveStreams | undefined;
  /** Undefined: every check denies. */
  readonly extAuthz: ExtAuthzClient | undefined;
  activePolicy(): ActivePolicy | undefined;
  /** Says why there is no active policy. */
  replyWithoutPolicy(): LocalReply;
  /** Called once, when both sides are closed. */
  onConnectionClosed(connection: TcpConnection, reason: CloseReason): void;
}
