/*
 * The evaluator whose cost is nearly independent of the number of rules. For every request it gives exactly the decision of the linear
 * evaluator, with the same rule.
 */

import { doSteps, type Steps } from '../../steps.ts';
import type { RequestFacts } from '../facts.ts';
import type { CustomStep, Engine, Program, Rule, Ruleset } from '../model/program.ts';
import type { CustomMatch, Decision, Evaluator } from './decision.ts';
import { buildRuleSearch, type RuleSearch, readsToken } from './index/rule-search.ts';
import { TokenMemo } from './index/token-memo.ts';
import { createLinearEvaluator } from './linear.ts';
import { createNearMisses } from './near-misses.ts';

/** A list of rules with its index. */
interface SearchableRules {
  readonly rules: readonly Rule[];
  readonly search: RuleSearch;
  /** Number of this list in the token memo; -1: no clause reads the token. */
  readonly list: number;
}

interface SearchableEngine extends SearchableRules {
  readonly attached: boolean;
}

interface SearchableStep extends SearchableRules {
  readonly step: CustomStep;
}

interface SearchableRuleset {
  readonly custom: readonly SearchableStep[];
  readonly audit: SearchableEngine;
  readonly deny: SearchableEngine;
  readonly allow: SearchableEngine;
  readonly dryRunDeny: SearchableEngine;
  readonly dryRunAllow: SearchableEngine;
  readonly tokens: TokenMemo;
  /** Only DENY and ALLOW are attached: every request that matches the same rule gets the same decision. */
  readonly plain: boolean;
  /** Decisions by rule, created when first needed. */
  readonly allowed: (Decision | undefined)[];
  readonly denied: (Decision | undefined)[];
}

function* searchable(rules: readonly Rule[], list: number): Steps<SearchableRules> {
  return { rules, search: yield* buildRuleSearch(rules), list: readsToken(rules) ? list : -1 };
}

function* engine({ attached, rules }: Engine, list: number): Steps<SearchableEngine> {
  return { attached, ...(yield* searchable(rules, list)) };
}

/** CUSTOM runs before JWT verification: there is no token yet. */
function* customSteps(steps: readonly CustomStep[]): Steps<readonly SearchableStep[]> {
  const searchableSteps: SearchableStep[] = [];
  for (const step of steps) searchableSteps.push({ step, rules: step.rules, search: yield* buildRuleSearch(step.rules), list: -1 });
  return searchableSteps;
}

function* searchableRuleset(ruleset: Ruleset): Steps<SearchableRuleset> {
  const { audit, deny, allow, dryRunDeny, dryRunAllow } = ruleset;
  return {
    custom: yield* customSteps(ruleset.custom),
    audit: yield* engine(audit, 0),
    deny: yield* engine(deny, 1),
    allow: yield* engine(allow, 2),
    dryRunDeny: yield* engine(dryRunDeny, 3),
    dryRunAllow: yield* engine(dryRunAllow, 4),
    tokens: new TokenMemo(),
    plain: !audit.attached && !dryRunDeny.attached && !dryRunAllow.attached,
    allowed: new Array<undefined>(allow.rules.length).fill(undefined),
    denied: new Array<undefined>(deny.rules.length).fill(undefined),
  };
}

const NO_MATCHES: readonly CustomMatch[] = Object.freeze([]);

function customMatches({ custom }: SearchableRuleset, facts: RequestFacts): readonly CustomMatch[] {
  if (custom.length === 0) return NO_MATCHES;
  const matches: CustomMatch[] = [];
  for (const { step, rules, search } of custom) {
    const rule = rules[search.find(facts, undefined)];
    if (rule !== undefined) matches.push({ step, rule });
  }
  return matches;
}

/** Index of the first rule that matches; -1: none. */
function find({ search, rules, list }: SearchableRules, facts: RequestFacts, tokens: TokenMemo): number {
  if (rules.length === 0) return -1;
  const { claims } = facts;
  return search.find(facts, claims === undefined || list === -1 ? undefined : tokens.entryOf(facts, claims, list));
}

const NO_ALLOW_POLICY: Decision = Object.freeze({ allowed: true, reason: 'no-allow-policy' });
const NO_ALLOW_RULE: Decision = Object.freeze({ allowed: false, reason: 'no-allow-rule-matched' });

function allowedBy(decisions: (Decision | undefined)[], index: number, rules: readonly Rule[]): Decision {
  const known = decisions[index];
  if (known !== undefined) return known;
  const decision: Decision = Object.freeze({ allowed: true, reason: 'allow-rule', rule: rules[index] as Rule });
  decisions[index] = decision;
  return decision;
}

function deniedBy(decisions: (Decision | undefined)[], index: number, rules: readonly Rule[]): Decision {
  const known = decisions[index];
  if (known !== undefined) return known;
  const decision: Decision = Object.freeze({ allowed: false, reason: 'deny-rule', rule: rules[index] as Rule });
  decisions[index] = decision;
  return decision;
}

function decidePlainly({ deny, allow, tokens, denied, allowed }: SearchableRuleset, facts: RequestFacts): Decision {
  const denying = find(deny, facts, tokens);
  if (denying !== -1) return deniedBy(denied, denying, deny.rules);
  if (!allow.attached) return NO_ALLOW_POLICY;
  const allowing = find(allow, facts, tokens);
  return allowing === -1 ? NO_ALLOW_RULE : allowedBy(allowed, allowing, allow.rules);
}

type DryRunResult = NonNullable<Decision['dryRunAllow']>;

/** The result of a dry-run engine; `undefined`: it is not attached. */
function dryRun(engine: SearchableEngine, matchAllows: boolean, facts: RequestFacts, tokens: TokenMemo): DryRunResult | undefined {
  if (!engine.attached) return undefined;
  const rule = engine.rules[find(engine, facts, tokens)];
  return rule === undefined ? { allowed: !matchAllows } : { allowed: matchAllows, rule };
}

/** The decision with the results of AUDIT and dry-run; a request that DENY rejects does not reach the ALLOW engines. */
function decideWithExtras(ruleset: SearchableRuleset, facts: RequestFacts): Decision {
  const { audit, dryRunDeny, dryRunAllow, tokens } = ruleset;
  const decision = decidePlainly(ruleset, facts);
  const denyResult = dryRun(dryRunDeny, false, facts, tokens);
  const allowResult = decision.reason === 'deny-rule' ? undefined : dryRun(dryRunAllow, true, facts, tokens);
  return {
    ...decision,
    ...(audit.attached && { audit: find(audit, facts, tokens) !== -1 }),
    ...(denyResult !== undefined && { dryRunDeny: denyResult }),
    ...(allowResult !== undefined && { dryRunAllow: allowResult }),
  };
}

/**
 * An evaluator with indexes. What is derived from a token is cached in its notes (`RequestFacts.notes`).
 * Traces come from the linear evaluator, which is compiled for the first one.
 */
export function createIndexedEvaluator(program: Program): Evaluator {
  return doSteps(createIndexedEvaluatorInSteps(program));
}

/** The same in steps. */
export function* createIndexedEvaluatorInSteps(program: Program): Steps<Evaluator> {
  const http = yield* searchableRuleset(program.http);
  const tcp = yield* searchableRuleset(program.tcp);
  const of = (protocol: 'http' | 'tcp' = 'http'): SearchableRuleset => (protocol === 'http' ? http : tcp);
  let linear: Evaluator | undefined;
  return {
    custom: (facts, protocol) => customMatches(of(protocol), facts),
    decide: (facts, protocol) => {
      const ruleset = of(protocol);
      return ruleset.plain ? decidePlainly(ruleset, facts) : decideWithExtras(ruleset, facts);
    },
    trace: (facts, protocol) => {
      linear ??= createLinearEvaluator(program);
      return linear.trace(facts, protocol);
    },
    nearMisses: createNearMisses(program.http.allow.rules),
  };
}
