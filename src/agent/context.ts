/*
 * State and settings that the parts of one agent share: the active policy, the ext_authz client, limits.
 */
import type { CheckResponse } from '../filters/check-response.ts';
import type { FilterChain } from '../filters/filter-chain.ts';
import type { CheckVerdict } from '../filters/verdict.ts';
import type { BodyPrefix } from '../http/stream.ts';
import { LIMITS } from '../limits/agent-limits.ts';

/** The filter chain that decides now, and the bundle it was made from. */
export interface ActivePolicy {
  readonly filterChain: FilterChain;
  /** Digest of the bundle. */
  readonly digest: string;
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
 * Sends the check of a verdict to its ext_authz server. The promise does not reject.
 * @param body undefined: the provider wants none, or the request has none
 * @param signal aborts when the client is gone
 */
export type ExtAuthzClient = (check: CheckVerdict, body: BodyPrefix | undefined, signal: AbortSignal) => Promise<CheckResponse>;
