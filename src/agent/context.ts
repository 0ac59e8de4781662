/*
 * State and settings that the parts of one agent share: the active policy, the ext_authz client, limits.
 */
import type { CheckResponse } from '../filters/check-response.ts';
import type { FilterChain } from '../filters/filter-chain.ts';
import type { CheckedConnection, CheckVerdict } from '../filters/verdict.ts';
import type { BodyPrefix } from '../http/stream.ts';
import { LIMITS } from '../limits/agent-limits.ts';

/** The filter chain that decides now, and the bundle it was made from. */
export interface ActivePolicy {
  readonly filterChain: FilterChain;
  /** Digest of the bundle. */
  readonly digest: string;
}

/**
 * Why a stream that was allowed is not allowed any longer: its token has expired, or is refused for another reason; a policy denies it; a CUSTOM
 * rule matches it whose server was not asked; no policy is active; what is needed to evaluate it again was not kept.
 */
export type RevocationReason = 'token-expired' | 'token-refused' | 'denied' | 'ext-authz' | 'no-policy' | 'not-kept';

/** An exchange or a TCP connection that was allowed, and can be evaluated again. */
export interface LiveStream {
  /** Whole Unix seconds from when on its token is refused; 0: never. */
  readonly expiresAt: number;
  /** Evaluates it under `policy`, and ends it unless that allows it. @param policy undefined: none is active */
  reevaluate(policy: ActivePolicy | undefined): void;
}

/** The streams of one agent that are evaluated again. */
export interface LiveStreams {
  /** @param policy has allowed it @returns false: there are too many */
  add(stream: LiveStream, policy: ActivePolicy | undefined): boolean;
  delete(stream: LiveStream): void;
}

/** Time limits in milliseconds, and the number of connections. */
export interface AgentLimits {
  /** From the first byte of a request head to its last. */
  readonly headTimeoutMs: number;
  /** A client connection without a request is closed after this. */
  readonly idleTimeoutMs: number;
  /** Longest time between two reads of a request body. */
  readonly bodyTimeoutMs: number;
  /** A client for which output waits is closed when it reads nothing for this long. */
  readonly unreadTimeoutMs: number;
  /** Longest wait for the application to accept a connection. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection to the application is kept. */
  readonly upstreamIdleTimeoutMs: number;
  /** Most client connections of one listener. */
  readonly maxConnections: number;
}

/** Limits of an agent that sets no others. */
export const DEFAULT_LIMITS: AgentLimits = {
  headTimeoutMs: LIMITS.requestHeadTime.value,
  idleTimeoutMs: LIMITS.clientIdleTime.value,
  bodyTimeoutMs: LIMITS.requestBodyIdleTime.value,
  unreadTimeoutMs: LIMITS.unreadOutputTime.value,
  connectTimeoutMs: LIMITS.upstreamConnectTime.value,
  upstreamIdleTimeoutMs: LIMITS.upstreamIdleTime.value,
  maxConnections: LIMITS.clientConnections.value,
};

/**
 * Sends the check of a request or a TCP connection to its ext_authz server. The promise does not reject.
 * @param body undefined: the provider wants none, or the request has none
 * @param signal aborts when the client is gone
 */
export type ExtAuthzClient = (
  check: CheckVerdict | CheckedConnection,
  body: BodyPrefix | undefined,
  signal: AbortSignal,
) => Promise<CheckResponse>;
