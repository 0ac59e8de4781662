/*
 * The simple evaluator: it tests every rule in turn. It is the reference for the indexed evaluator in tests, and provides the traces
 * for explain.
 */

import type { RequestFacts } from '../facts.ts';
import type { CustomStep, Engine, Program, Rule, Ruleset } from '../model/program.ts';
import { type CompiledRule, compileRules, firstMatch } from './compile-rules.ts';
import type { CustomMatch, Decision, Evaluator, RuleTrace } from './decision.ts';
import { createNearMisses } from './near-misses.ts';
import { traceRule } from './trace.ts';

interface CompiledEngine {
  readonly attached: boolean;
  readonly rules: readonly CompiledRule[];
}

interface CompiledStep {
  readonly step: CustomStep;
  readonly rules: readonly CompiledRule[];
}

interface CompiledRuleset {
  readonly custom: readonly CompiledStep[];
  readonly audit: CompiledEngine;
  readonly deny: CompiledEngine;
  readonly allow: CompiledEngine;
  readonly dryRunDeny: CompiledEngine;
  readonly dryRunAllow: CompiledEngine;
}

function compileEngine(engine: Engine): CompiledEngine {
  return { attached: engine.attached, rules: compileRules(engine.rules) };
}

function compileRuleset(ruleset: Ruleset): CompiledRuleset {
  return {
    custom: ruleset.custom.map((step) => ({ step, rules: compileRules(step.rules) })),
    audit: compileEngine(ruleset.audit),
    deny: compileEngine(ruleset.deny),
    allow: compileEngine(ruleset.allow),
    dryRunDeny: compileEngine(ruleset.dryRunDeny),
    dryRunAllow: compileEngine(ruleset.dryRunAllow),
  };
}

const NO_MATCHES: readonly CustomMatch[] = Object.freeze([]);

function customMatches(ruleset: CompiledRuleset, facts: RequestFacts): readonly CustomMatch[] {
  if (ruleset.custom.length === 0) return NO_MATCHES;
  const matches: CustomMatch[] = [];
  for (const { step, rules } of ruleset.custom) {
    const rule = firstMatch(rules, facts, undefined);
    if (rule !== undefined) matches.push({ step, rule });
  }
  return matches;
}

interface Results {
  audit?: boolean;
  dryRunDeny?: NonNullable<Decision['dryRunDeny']>;
  dryRunAllow?: NonNullable<Decision['dryRunAllow']>;
}

function dryRun(allowed: boolean, rule: Rule | undefined): { readonly allowed: boolean; readonly rule?: Rule } {
  return rule === undefined ? { allowed } : { allowed, rule };
}

/** Evaluates AUDIT, DENY, ALLOW in this order; a request that DENY rejects does not reach the ALLOW engines. */
function decide(ruleset: CompiledRuleset, facts: RequestFacts): Decision {
  const { audit, deny, allow, dryRunDeny, dryRunAllow } = ruleset;
  const { claims } = facts;
  const results: Results = {};
  if (audit.attached) results.audit = firstMatch(audit.rules, facts, claims) !== undefined;
  if (dryRunDeny.attached) {
    const rule = firstMatch(dryRunDeny.rules, facts, claims);
    results.dryRunDeny = dryRun(rule === undefined, rule);
  }
  const denying = firstMatch(deny.rules, facts, claims);
  if (denying !== undefined) return { allowed: false, reason: 'deny-rule', rule: denying, ...results };
  if (dryRunAllow.attached) {
    const rule = firstMatch(dryRunAllow.rules, facts, claims);
    results.dryRunAllow = dryRun(rule !== undefined, rule);
  }
  if (!allow.attached) return { allowed: true, reason: 'no-allow-policy', ...results };
  const allowing = firstMatch(allow.rules, facts, claims);
  if (allowing === undefined) return { allowed: false, reason: 'no-allow-rule-matched', ...results };
  return { allowed: true, reason: 'allow-rule', rule: allowing, ...results };
}

function trace(ruleset: CompiledRuleset, facts: RequestFacts): readonly RuleTrace[] {
  const traces: RuleTrace[] = [];
  const add = (action: RuleTrace['action'], isDryRun: boolean, rules: readonly CompiledRule[]): void => {
    const claims = action === 'CUSTOM' ? undefined : facts.claims;
    for (const rule of rules) traces.push(traceRule(rule, { action, dryRun: isDryRun, facts, claims }));
  };
  for (const { rules } of ruleset.custom) add('CUSTOM', false, rules);
  add('AUDIT', false, ruleset.audit.rules);
  add('DENY', false, ruleset.deny.rules);
  add('DENY', true, ruleset.dryRunDeny.rules);
  add('ALLOW', false, ruleset.allow.rules);
  add('ALLOW', true, ruleset.dryRunAllow.rules);
  return traces;
}

/** An evaluator whose cost per decision is linear in the number of rules. */
export function createLinearEvaluator(program: Program): Evaluator {
  const http = compileRuleset(program.http);
  const tcp = compileRuleset(program.tcp);
  const of = (protocol: 'http' | 'tcp' = 'http'): CompiledRuleset => (protocol === 'http' ? http : tcp);
  return {
    custom: (facts, protocol) => customMatches(of(protocol), facts),
    decide: (facts, protocol) => decide(of(protocol), facts),
    trace: (facts, protocol) => trace(of(protocol), facts),
    nearMisses: createNearMisses(program.http.allow.rules),
  };
}
