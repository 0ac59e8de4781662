/*
 * What all connections of one agent share: the judge in force, limits, clock, and who is told of exchanges. In: made by
 * the agent. Out: read by listeners and connections on every request.
 */

import type { Clock } from '../clock.ts';
import type { CheckResponse } from '../filters/check-response.ts';
import type { FilterChain } from '../filters/filter-chain.ts';
import type { Verdict, VerdictLog } from '../filters/verdict.ts';
import type { HttpDate } from './exchange/http-date.ts';

/** The judge that decides now, with what the access log says of it. */
export interface PolicyInForce {
  readonly filterChain: FilterChain;
  /** Digest of the bundle. */
  readonly digest: string;
}

export interface ProxyLimits {
  /** A head must be whole so long after its first byte. */
  readonly headTimeoutMs: number;
  /** A client connection without a request is closed after this. */
  readonly idleTimeoutMs: number;
  /** Longest silence inside a request body. */
  readonly bodyTimeoutMs: number;
  /** Longest wait for the application to accept a connection. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection to the application is kept. */
  readonly upstreamIdleTimeoutMs: number;
  /** Most client connections of one listener. */
  readonly maxConnections: number;
}

export const DEFAULT_LIMITS: ProxyLimits = {
  headTimeoutMs: 30_000,
  idleTimeoutMs: 3_600_000,
  bodyTimeoutMs: 300_000,
  connectTimeoutMs: 10_000,
  upstreamIdleTimeoutMs: 60_000,
  maxConnections: 10_000,
};

/** One exchange, as access log and metrics see it; the object is reused, so its values count during the call only. */
export interface ExchangeRecord {
  readonly method: string;
  /** As judged; request target when nothing was judged. */
  readonly path: string;
  readonly status: number;
  /** Monotonic milliseconds at the end of the request's head; 0: not one byte came. */
  readonly startMs: number;
  /** Monotonic milliseconds at the verdict; 0: there was none. */
  readonly judgedMs: number;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly destinationPort: number;
  /** Absent: the codec refused the request, or no bundle is loaded. */
  readonly verdict: VerdictLog | undefined;
  /** Response code details; `''`: forwarded and answered. */
  readonly details: string;
  readonly digest: string;
}

/** Told of every exchange once, when it is over. Must neither throw nor wait. */
export interface ExchangeObserver {
  onExchange(record: ExchangeRecord): void;
  /** A new value added or removed: client connections open. */
  onConnections(delta: number): void;
  onConnectionRefused(): void;
}

/** What is known of a request's body when an authorizer is asked. */
export interface CheckBody {
  /** The payload's first bytes, without chunk framing. */
  readonly bytes: Buffer;
  /** These bytes are the whole body. */
  readonly whole: boolean;
}

/**
 * Asks the external authorizer of a check verdict. Absent from a context: every check is answered as an error (403).
 * @param body undefined: the provider wants none, or the request has none
 */
export type Authorizer = (
  check: Extract<Verdict, { readonly kind: 'check' }>,
  body: CheckBody | undefined,
  signal: AbortSignal,
) => Promise<CheckResponse>;

export interface ProxyContext {
  /** Undefined until the first bundle: everything is answered 503. */
  policyInForce(): PolicyInForce | undefined;
  readonly limits: ProxyLimits;
  readonly clock: Clock;
  readonly date: HttpDate;
  readonly observer: ExchangeObserver;
  readonly authorizer: Authorizer | undefined;
  /** A random UUID. */
  readonly newRequestId: () => string;
}
