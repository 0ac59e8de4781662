/*
 * The words of this room: what is said of one request. Plain data, stable member names, so that `-o json` and `-o yaml` print
 * it as it is. Made by `explainRequest`, read by the commands `explain`, `test` and `diff`.
 */
import type { ClauseHit, ClauseMiss, DecisionReason, RuleTrace } from '../policy/decide/decision.ts';

/** Where a piece of a policy stands. */
export interface RuleRef {
  readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy';
  /** `namespace/name`. */
  readonly policy: string;
  /** Position in `spec.rules` or `spec.jwtRules`, from 0. */
  readonly rule: number;
}

/** The step of the pipeline that gave the verdict. */
export type Stage = 'codec' | 'preparation' | 'custom' | 'authentication' | 'authorization';

export interface ExplainedVerdict {
  readonly outcome: 'allow' | 'deny' | 'unauthenticated' | 'reject';
  /** What the client gets, e.g. 403; absent: the request goes on to the application. */
  readonly status?: number;
  /** Envoy's response code details; absent when allowed. */
  readonly details?: string;
  /** `iss/sub` of the verified token; absent: none. */
  readonly principal?: string;
}

export interface DecidedBy {
  readonly stage: Stage;
  /** Absent: no single rule did. */
  readonly rule?: RuleRef;
  /** Only in the stage `authorization`. */
  readonly reason?: DecisionReason;
  /** One sentence. */
  readonly text: string;
}

/** What one JWT rule made of the request. */
export interface JwtRuleExplanation {
  readonly rule: RuleRef;
  /** `''`: any. */
  readonly issuer: string;
  readonly outcome: 'no token' | 'accepted' | 'refused';
  /** Body of the reply when this rule's fault is told; only when refused. */
  readonly fault?: string;
  /** One sentence: what was looked for, what was found, what is wrong with it. */
  readonly text: string;
}

/** What one rule of an AuthorizationPolicy made of the request. */
export interface RuleExplanation {
  readonly rule: RuleRef;
  readonly action: RuleTrace['action'];
  readonly dryRun: boolean;
  readonly matched: boolean;
  /** Was the rule's engine asked? False after an earlier step had ended it; then `matched` says what it would have said. */
  readonly reached: boolean;
  /** Share of the rule's clauses that held, from 0 to 1, one that all but held counting half; 1 when matched. */
  readonly nearness: number;
  /** The first clause that failed of each alternative, nearest first; empty when matched. Secrets are cut out of what was seen. */
  readonly misses: readonly ClauseMiss[];
  /** The clauses that held; empty when not matched. */
  readonly hits: readonly ClauseHit[];
}

/** What the policies in dry-run of one action would have done. */
export interface DryRunOutcome {
  readonly action: 'ALLOW' | 'DENY';
  readonly outcome: 'allow' | 'deny';
  /** Absent: no rule of theirs matched. */
  readonly rule?: RuleRef;
}

export interface Explanation {
  readonly verdict: ExplainedVerdict;
  readonly decidedBy: DecidedBy;
  /** Empty: no policy in dry-run applies, or none was asked. */
  readonly dryRun: readonly DryRunOutcome[];
  /** In the order in which rules are tried. Empty: no RequestAuthentication applies, or the request never got there. */
  readonly authentication: readonly JwtRuleExplanation[];
  /** Matched ones first, then the nearest miss; when no ALLOW rule matched, ALLOW rules before all others. Empty when the request was rejected before any rule. */
  readonly rules: readonly RuleExplanation[];
  /** What makes this answer differ from an agent's, e.g. keys that are not known here. */
  readonly caveats: readonly string[];
}
