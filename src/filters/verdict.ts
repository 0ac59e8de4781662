/*
 * The result of the filter chain on one HTTP request. The proxy, the ext_authz frontend, `explain` and the conformance replay
 * evaluate a request with the same chain and act on the verdict, so that what the policies saw is what is forwarded.
 */

import type { ExtensionProvider } from '../api/mesh-config.ts';
import type { HeaderChange } from '../http/header-changes.ts';
import type { ForwardHead, RawRequest } from '../http/heads.ts';
import type { LocalReply } from '../http/local-reply.ts';
import type { Decision, NearMiss } from '../policy/decide/decision.ts';
import type { ConnectionFacts, peerLog } from '../policy/facts.ts';
import type { Provenance, Rule } from '../policy/model/program.ts';
import type { CheckResponse } from './check-response.ts';

/** How a request was decided. */
export type FinalOutcome = 'allow' | 'deny' | 'unauthenticated' | 'reject';

/** What the access log and metrics report about a verdict. */
export interface VerdictLog {
  /** `none`: not decided yet, as in a check or verify verdict. */
  readonly outcome: FinalOutcome | 'none';
  /** Envoy's response code details, e.g. `rbac_access_denied_matched_policy[none]`; `''` when forwarded. */
  readonly details: string;
  readonly host: string;
  /** Normalized path without query. */
  readonly path: string;
  /** `iss/sub` of the verified token; `''` without one. */
  readonly principal: string;
  /** The client's address as `remoteIpBlocks` compare it; absent: the request did not get as far. */
  readonly remoteIp?: string;
  /** First URI of the peer's identity, and where that comes from; absent: no identity. */
  readonly peer?: ReturnType<typeof peerLog>;
  /** By its content-type. */
  readonly isGrpc?: boolean;
  readonly decision?: Decision;
  /** The JWT rule that accepted or refused the token. */
  readonly jwtRule?: Provenance;
  /** The CUSTOM rule that matched, when its external authorizer, or the lack of one, denied the request. */
  readonly customRule?: Provenance;
  /** When no ALLOW rule matched; absent: not looked for. */
  readonly nearMiss?: NearMiss;
}

/** The log of a verdict that ends the chain. */
export interface FinalVerdictLog extends VerdictLog {
  readonly outcome: FinalOutcome;
}

/** What to do with a request. */
export type Verdict = ForwardVerdict | ReplyVerdict | CheckVerdict | VerifyVerdict;

/** Send the request to the upstream with this head. */
export interface ForwardVerdict {
  readonly kind: 'forward';
  readonly head: ForwardHead;
  /** Apply to the head of the response, whether the upstream or the agent makes it. Absent: no changes. */
  readonly downstreamHeaders?: readonly HeaderChange[];
  /** Whole Unix seconds from when on the token is refused; absent: never, or the chain does not report it. */
  readonly expiresAt?: number;
  readonly log: FinalVerdictLog;
}

/** Send this reply; the request is not forwarded. */
export interface ReplyVerdict extends LocalReply {
  readonly log: FinalVerdictLog;
}

/**
 * Send a CheckRequest to one ext_authz server first. `resume` applies its CheckResponse and runs the rest of the chain, which
 * may end in the check of another server.
 */
export interface CheckVerdict {
  readonly kind: 'check';
  readonly provider: ExtensionProvider;
  /** The CUSTOM rule that matched. */
  readonly rule: Rule;
  /** The request as policies see it now: normalized, and changed by the servers that were checked before. */
  readonly request: ForwardHead;
  /** `http` or `https`. */
  readonly scheme: string;
  readonly version: RawRequest['version'];
  readonly connection: ConnectionFacts;
  /** Address of the client: the last one of X-Forwarded-For, or of the connection. */
  readonly remoteIp: string;
  /** Never throws. @param nowSeconds whole Unix seconds when the response arrived; absent: those of the evaluation */
  resume(response: CheckResponse, nowSeconds?: number): Verdict;
  readonly log: VerdictLog;
}

/** A TCP connection to check, of which an ext_authz server sees no request. */
export interface CheckedConnection {
  readonly kind: 'check';
  readonly provider: ExtensionProvider;
  readonly connection: ConnectionFacts;
  readonly request?: undefined;
}

/**
 * A token has to be verified, which takes up to a millisecond: call `resume` when no other connection waits. Only of a chain that
 * defers verification.
 */
export interface VerifyVerdict {
  readonly kind: 'verify';
  /** Verifies the token and runs the rest of the chain. Never throws. @param nowSeconds whole Unix seconds; absent: those of the evaluation */
  resume(nowSeconds?: number): Verdict;
  readonly log: VerdictLog;
}
