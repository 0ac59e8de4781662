/*
 * The contract between a codec (HTTP/1.1 or HTTP/2) and an exchange, in both directions: a server stream carries a client's
 * requests, a client stream carries one request to the upstream. Neither side knows the other's implementation.
 *
 * Byte ranges are valid during the call only. Output is batched: what a stream is given leaves with the next `flush`, and a
 * codec calls `onRequestFlush` or `onResponseFlush` after it has handed over everything that one read brought.
 */
import type { ConnectionFacts } from '../policy/facts.ts';
import type { HeaderList } from './header-list.ts';
import type { ForwardHead, RequestHead } from './heads.ts';
import type { LocalReply } from './local-reply.ts';

export type { ConnectionFacts };

/** Length of a body in bytes (0: no body), {@link RAW_CHUNKS} or {@link UNKNOWN_LENGTH}. */
export type BodyLength = number;

/**
 * A chunked body that both codecs pass on with its HTTP/1.1 framing (never of or for a request of version 2): `onRequestData` and `sendData` carry whole chunk headers
 * and payload, without the trailer section and the line that ends it. Only for a codec whose peer understands it.
 */
export const RAW_CHUNKS = -1;

/** A body of unknown length that is handed over as payload. */
export const UNKNOWN_LENGTH = -2;

/** The head of a request with the length of its body. */
export interface StreamRequest extends RequestHead {
  readonly body: BodyLength;
  /** Content-Length was sent, even if it is 0. */
  readonly lengthGiven: boolean;
  /** Value of X-Request-Id; `''`: absent. */
  readonly clientRequestId: string;
  /** Value of grpc-timeout; `''`: absent. */
  readonly grpcTimeout: string;
}

/** The head of a response with the length of its body. */
export interface ResponseHead {
  readonly status: number;
  /** Reason phrase as sent; may be empty. */
  readonly reason: string;
  /** Lower-case names; Content-Length included, hop-by-hop fields and Server left out. */
  readonly headers: HeaderList;
  readonly body: BodyLength;
}

/** The first bytes of a request's body, as an ext_authz server may see them. */
export interface BodyPrefix {
  /** Payload, without chunk framing. */
  readonly bytes: Buffer;
  /** These bytes are the whole body. */
  readonly whole: boolean;
}

/**
 * A client's side of an exchange. A codec calls {@link ServerStreamHandler.onRequestHead}, then delivers nothing more of the
 * request until the handler calls `readPrefix`, `readBody` or `awaitUpgrade`. Each request ends with exactly one of `end`,
 * `reply`, `close` and `reset`; the first two may deliver the connection's next request before they return.
 *
 * A response may start and end before the request's body is complete. A client that cannot carry another request on the same
 * connection then learns with the head of the response that the connection closes; after `end` the stream discards the rest of
 * the body, within limits, so that the response reaches a client that is still sending. Nothing of that rest is delivered.
 */
export interface ServerStream {
  readonly connection: ConnectionFacts;
  /** Monotonic milliseconds when the head of the request at hand was complete, or when its first byte arrived; 0: no byte yet. */
  readonly startMs: number;
  /**
   * Calls `onBodyPrefix` once `bytes` bytes of payload, or the whole body, have arrived; may do so before it returns. The body is
   * kept and delivered from its start by a later `readPrefix` or `readBody`. Sends `100 Continue` if the client waits for it: the
   * application is asked later.
   */
  readPrefix(bytes: number): void;
  /**
   * Delivers the body through `onRequestData` and `onRequestEnd`. Does not send `100 Continue`: the application decides whether a
   * client that waits for it is to send its body.
   */
  readBody(): void;
  /** Delivers nothing until the response: after `switchProtocols` the client's bytes, otherwise no more. */
  awaitUpgrade(): void;
  /** Sends an interim response (1xx other than 101); one 100 at most. */
  sendInterim(head: ResponseHead): void;
  /** Starts the final response, maybe before the request's body is complete. */
  sendHead(head: ResponseHead): void;
  /**
   * Accepts the upgrade to `protocol`: from here on both sides exchange bytes without framing; over HTTP/2 in the DATA of the stream
   * (RFC 8441).
   */
  switchProtocols(head: ResponseHead, protocol: string): void;
  sendData(buffer: Buffer, start: number, end: number): void;
  /**
   * Ends the response, or this side's bytes of a switched protocol. What has not arrived of the request's body is discarded.
   * @param trailers dropped over HTTP/1.1, as in Envoy
   */
  end(trailers?: HeaderList): void;
  /** Sends a reply instead of a response and ends the request; the rest of its body is discarded. */
  reply(reply: LocalReply): void;
  /** @returns false: the client does not keep up, wait for `onStreamDrain` */
  flush(): boolean;
  /** Stops reading from the client. */
  pause(): void;
  resume(): void;
  /**
   * Sends what is left, then closes; the client has a moment to read it.
   * @param isCut the application broke off: over HTTP/2 the stream is reset
   */
  close(isCut?: boolean): void;
  /**
   * Drops the stream; `onStreamReset` follows, never before this returns.
   * @param isRevoked what was allowed is not allowed any longer; otherwise something has failed
   */
  reset(isRevoked?: boolean): void;
}

/** Implemented by an exchange; called by a server codec. */
export interface ServerStreamHandler {
  onRequestHead(request: StreamRequest): void;
  /** The request cannot be read, or not in time; the client is to get `reply` if no response has started. A head need not have come. */
  onRequestFault(reply: LocalReply): void;
  onBodyPrefix(prefix: BodyPrefix): void;
  /** Bytes of the body, or of a switched protocol; may be empty. */
  onRequestData(buffer: Buffer, start: number, end: number): void;
  /** The body is complete, or the client ended its side of a switched protocol. @param trailers absent: none */
  onRequestEnd(trailers?: HeaderList): void;
  onRequestFlush(): void;
  onStreamDrain(): void;
  /** The agent stops: ends a switched protocol in good order. Called only after `switchProtocols`. */
  onShutdown(): void;
  /** The client is gone; nothing follows. Called once, and only within a request. */
  onStreamReset(): void;
}

/** Why an upstream gave no complete response; reset: it reset the stream; refused: it has not processed the request. */
export type UpstreamFailure = 'connect' | 'timeout' | 'termination' | 'protocol' | 'reset' | 'refused';

/** Sends requests to the application. */
export interface Upstream {
  /**
   * Sends the head of a request; its body has the framing of `request`.
   * @param handler is not called before this returns
   * @param fresh use no connection that has served a request before
   */
  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, fresh: boolean): ClientStream;
}

/** The upstream's side of one exchange. */
export interface ClientStream {
  /** The connection has served a request before, so that the application may be closing it just now. */
  readonly reused: boolean;
  /**
   * Sends bytes of the body, or of a switched protocol. An application that has answered, or is about to, may stop reading: bytes
   * that it no longer takes are dropped, `flush` returns true, and the response (or its failure) is still delivered.
   */
  sendData(buffer: Buffer, start: number, end: number): void;
  /**
   * Ends the request's body, or this side's bytes of a switched protocol. Not called for a request without a body.
   * @param trailers dropped over HTTP/1.1, as in Envoy
   */
  end(trailers?: HeaderList): void;
  /** @returns false: the upstream does not keep up, wait for `onUpstreamDrain` */
  flush(): boolean;
  /** Stops reading the response. */
  pause(): void;
  resume(): void;
  /** Drops the exchange; its handler is not called again. */
  reset(): void;
}

/** Implemented by an exchange; called by a client codec. */
export interface ClientStreamHandler {
  /** At most one interim head (1xx) of each status, then a final one; 101 only in answer to an upgrade, and final. */
  onResponseHead(head: ResponseHead): void;
  onResponseData(buffer: Buffer, start: number, end: number): void;
  /**
   * The response is complete, or the upstream ended its side of a switched protocol (the stream then stays open). The request's
   * body need not have been sent to its end; the handler sends no more of it.
   * @param trailers absent: none
   */
  onResponseEnd(trailers?: HeaderList): void;
  onResponseFlush(): void;
  onUpstreamDrain(): void;
  /**
   * No (further) response will come; the stream is closed.
   * @param reason why a `protocol` failure is one, for response code details; `''`: not known
   */
  onUpstreamFailure(failure: UpstreamFailure, reason: string): void;
}

/** A connection that serves one exchange at a time, as that exchange's stream. */
export interface ClientConnection extends ClientStream {
  /** Monotonic milliseconds after which the pool calls `expire`; 0: none. */
  deadlineMs: number;
  /** How long the application keeps it when idle, in milliseconds; -1: unknown. */
  readonly keepAliveMs: number;
  /** It is free and fit for another exchange. */
  readonly reusable: boolean;
  /** Starts an exchange by sending its head. */
  start(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler): void;
  /** Its deadline has passed: it was not established in time, or idle for too long. */
  expire(): void;
}

/** The pool of a client connection. */
export interface ClientConnectionOwner<Connection> {
  /** Its exchange is over and the request was sent to its end; called before the exchange learns of the end. */
  release(connection: Connection): void;
  /** It is being established once more: its deadline begins again. */
  onConnecting(connection: Connection): void;
  /** Called once, when the socket is closed. */
  onConnectionClosed(connection: Connection): void;
}
