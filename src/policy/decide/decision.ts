/*
 * The results of evaluation as plain data, for filters, access log, explain and tests.
 */

import type { RequestFacts } from '../facts.ts';
import type { CustomStep, Provenance, Rule } from '../model/program.ts';

/** Why a request was allowed or denied. */
export type DecisionReason = 'deny-rule' | 'allow-rule' | 'no-allow-rule-matched' | 'no-allow-policy';

/** The outcome of AUDIT, DENY and ALLOW. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason: DecisionReason;
  /** The rule that decided; absent for `no-allow-…`. */
  readonly rule?: Rule;
  /** Did an AUDIT rule match? Absent: no AUDIT policy is attached. */
  readonly audit?: boolean;
  /** Results of the dry-run engines that are attached; `rule` absent: no rule matched. */
  readonly dryRunAllow?: { readonly allowed: boolean; readonly rule?: Rule };
  readonly dryRunDeny?: { readonly allowed: boolean; readonly rule?: Rule };
}

/** A CUSTOM step that matched. */
export interface CustomMatch {
  readonly step: CustomStep;
  readonly rule: Rule;
}

/** A clause that did not hold, with the request's value and the expected values in readable form. */
export interface ClauseMiss {
  /** e.g. `from[0].source.requestPrincipals`, `when[1] request.auth.claims[groups]`. */
  readonly path: string;
  readonly saw: string;
  readonly wanted: string;
  readonly hint?: string;
}

/** The ALLOW rule that a request came nearest to, of those that did not match. */
export interface NearMiss {
  readonly source: Provenance;
  /** The clause that failed, e.g. `to[0].operation.paths`; of several, that of the part with the fewest failing clauses. Without values. */
  readonly clause: string;
  /** Number of clauses that failed, counted as in {@link RuleTrace}. */
  readonly failing: number;
}

/** Finds near misses among the ALLOW rules of one program. */
export interface NearMisses {
  /** Policies that a near miss can name. */
  readonly policies: number;
  /** For a request that no ALLOW rule allows. Compares a limited number of rules. `undefined`: there is no rule. */
  nearest(facts: RequestFacts): NearMiss | undefined;
}

/** A clause that held, with the request's value and the expected values in readable form. */
export interface ClauseHit {
  readonly path: string;
  readonly saw: string;
  readonly wanted: string;
  /** Why it holds, where that may be unexpected: a missing attribute is not in any `not…` list. */
  readonly note?: string;
}

/** The evaluation of one rule. */
export interface RuleTrace {
  readonly action: 'CUSTOM' | 'AUDIT' | 'DENY' | 'ALLOW';
  readonly dryRun: boolean;
  readonly rule: Rule;
  readonly matched: boolean;
  /**
   * Number of clauses that failed in the nearest alternatives: those with the fewest failing clauses. Clauses that failed because there is no
   * token count once. 0 if the rule matched.
   */
  readonly failing: number;
  /** Share of clauses that held in the nearest alternatives, from 0 to 1; a near miss counts half. 1 if the rule matched. */
  readonly nearness: number;
  /** Every clause that did not hold, of the nearest alternative of each part first; empty if the rule matched. */
  readonly misses: readonly ClauseMiss[];
  /** The clauses of the alternatives that matched; empty if the rule did not match. */
  readonly hits: readonly ClauseHit[];
}

/** Evaluates one program. Requests can share it; it holds no state of a request. */
export interface Evaluator {
  /** The CUSTOM steps that match, in provider order. They run before JWT verification: `facts.claims` is ignored. */
  custom(facts: RequestFacts, protocol?: 'http' | 'tcp'): readonly CustomMatch[];
  /** Evaluates AUDIT, DENY, ALLOW and the dry-run engines. */
  decide(facts: RequestFacts, protocol?: 'http' | 'tcp'): Decision;
  /** Evaluates every rule and reports each; slow: for explain, and for denials when the log level is debug. */
  trace(facts: RequestFacts, protocol?: 'http' | 'tcp'): readonly RuleTrace[];
  /** Near misses of the ALLOW rules for HTTP. Nothing is compiled before the first is looked for. */
  readonly nearMisses: NearMisses;
}
