/*
 * What the evaluator answers: plain data, made by `decide`, read by judge, access log, explain and tests.
 */

import type { RequestFacts } from '../facts.ts';
import type { CustomStep, Rule } from '../model/program.ts';

/** Why a request was allowed or denied. */
export type DecisionReason = 'deny-rule' | 'allow-rule' | 'no-allow-rule-matched' | 'no-allow-policy';

export interface Decision {
  readonly allowed: boolean;
  readonly reason: DecisionReason;
  /** The rule that decided; absent for `no-allow-…`. */
  readonly rule?: Rule;
  /** AUDIT: absent when no AUDIT policy attaches. */
  readonly audit?: boolean;
  /** Results of dry-run engines that are attached; `rule` absent: no match. */
  readonly dryRunAllow?: { readonly allowed: boolean; readonly rule?: Rule };
  readonly dryRunDeny?: { readonly allowed: boolean; readonly rule?: Rule };
}

/** A CUSTOM step that matched. */
export interface CustomMatch {
  readonly step: CustomStep;
  readonly rule: Rule;
}

/** One clause that failed, with the value it saw and what it wanted; both for people. */
export interface ClauseMiss {
  /** e.g. `from[0].source.requestPrincipals`, `when[1] request.auth.claims[groups]`. */
  readonly path: string;
  readonly saw: string;
  readonly wanted: string;
  readonly hint?: string;
}

/** One clause that held, with the value it saw and what it wanted. */
export interface ClauseHit {
  readonly path: string;
  readonly saw: string;
  readonly wanted: string;
  /** Why it holds, where that may surprise: a missing attribute is none of `not…`. */
  readonly note?: string;
}

/** How one rule fared. */
export interface RuleTrace {
  readonly action: 'CUSTOM' | 'AUDIT' | 'DENY' | 'ALLOW';
  readonly dryRun: boolean;
  readonly rule: Rule;
  readonly matched: boolean;
  /** Share of the clauses that held in the best alternatives, one that all but held counting half; 1 when matched. */
  readonly nearness: number;
  /** Per alternative the first failing clause, nearest first; empty when matched. */
  readonly misses: readonly ClauseMiss[];
  /** The clauses of the alternatives that matched; empty when not matched. */
  readonly hits: readonly ClauseHit[];
}

/** Evaluates one program. Safe to share between requests; holds no request state. */
export interface Evaluator {
  /** CUSTOM steps whose rules match, in provider order (before JWT: `facts.claims` is not looked at). */
  custom(facts: RequestFacts, protocol?: 'http' | 'tcp'): readonly CustomMatch[];
  /** AUDIT, DENY, ALLOW and dry-run. */
  decide(facts: RequestFacts, protocol?: 'http' | 'tcp'): Decision;
  /** The same evaluation, telling of every rule; slow, for explain and denials in the log at debug level. */
  trace(facts: RequestFacts, protocol?: 'http' | 'tcp'): readonly RuleTrace[];
}
