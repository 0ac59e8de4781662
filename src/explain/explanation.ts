/*
 * The explanation of one request. Plain data with stable member names, because `-o json` and `-o yaml` print it as it is.
 */
import type { ClauseHit, ClauseMiss, DecisionReason, RuleTrace } from '../policy/decide/decision.ts';
import type { PeerGrade } from '../policy/facts.ts';

/** A rule of a policy. */
export interface RuleRef {
  readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy';
  /** `namespace/name`. */
  readonly policy: string;
  /** Position in `spec.rules` or `spec.jwtRules`, from 0. */
  readonly rule: number;
}

/** The step of request processing that gave the verdict. */
export type Stage = 'codec' | 'preparation' | 'custom' | 'authentication' | 'authorization';

/** The verdict, as the client or the application sees it. */
export interface ExplainedVerdict {
  readonly outcome: 'allow' | 'deny' | 'unauthenticated' | 'reject';
  /** Status of the agent's reply, e.g. 403; absent: the request is forwarded to the application. */
  readonly status?: number;
  /** Envoy's response code details; absent when allowed. */
  readonly details?: string;
  /** `iss/sub` of the verified token; absent: none. */
  readonly principal?: string;
  /** Where the identity of the peer comes from; absent: it has none, and no policy asks for one. */
  readonly identity?: PeerGrade;
  /** First URI of that identity; absent: none. */
  readonly peer?: string;
}

/** What gave the verdict. */
export interface DecidedBy {
  readonly stage: Stage;
  /** Absent: no single rule decided. */
  readonly rule?: RuleRef;
  /** Only in the stage `authorization`. */
  readonly reason?: DecisionReason;
  /** One sentence. */
  readonly text: string;
}

/** The result of one JWT rule. */
export interface JwtRuleExplanation {
  readonly rule: RuleRef;
  /** `''`: any. */
  readonly issuer: string;
  readonly outcome: 'no token' | 'accepted' | 'refused';
  /** Body of the reply if this rule gives the verdict; only when refused. */
  readonly fault?: string;
  /** One sentence: where the rule looked, what it found, what is wrong with it. */
  readonly text: string;
}

/** The result of one rule of an AuthorizationPolicy. */
export interface RuleExplanation {
  readonly rule: RuleRef;
  readonly action: RuleTrace['action'];
  readonly dryRun: boolean;
  readonly matched: boolean;
  /** Whether the rule was evaluated. False if an earlier step had already decided; then `matched` is what it would have been. */
  readonly reached: boolean;
  /** Number of clauses to fix before the rule matches; clauses that fail because there is no token count once; 0 when it matched. */
  readonly failing: number;
  /** Share of the rule's clauses that matched, from 0 to 1; a near miss counts half; 1 when the rule matched. */
  readonly nearness: number;
  /** Every clause that failed, of the nearest alternatives first; empty when matched. Secrets in `saw` are redacted. */
  readonly misses: readonly ClauseMiss[];
  /** The clauses that matched; empty when the rule did not match. Secrets in `saw` are redacted. */
  readonly hits: readonly ClauseHit[];
}

/** What the dry-run policies of one action would have done. */
export interface DryRunOutcome {
  readonly action: 'ALLOW' | 'DENY';
  readonly outcome: 'allow' | 'deny';
  /** Absent: none of their rules matched. */
  readonly rule?: RuleRef;
}

/** Why one request gets its verdict. */
export interface Explanation {
  readonly verdict: ExplainedVerdict;
  readonly decidedBy: DecidedBy;
  /** Empty: no dry-run policy applies, or none was evaluated. */
  readonly dryRun: readonly DryRunOutcome[];
  /** In the order in which rules are tried. Empty: no RequestAuthentication applies, or the request was rejected earlier. */
  readonly authentication: readonly JwtRuleExplanation[];
  /**
   * Matched rules first, then the nearest miss; when no ALLOW rule matched, ALLOW rules before all others. Empty: the request was
   * rejected before any rule.
   */
  readonly rules: readonly RuleExplanation[];
  /** Why the verdict cannot be known here, and what to do; absent: it is known. `verdict` is then that of an agent without the keys. */
  readonly unknown?: string;
  /** Why an agent may decide differently, e.g. keys that are unknown here. */
  readonly caveats: readonly string[];
}
