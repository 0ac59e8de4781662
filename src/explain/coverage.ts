/*
 * Measures which rules a set of tests reaches. A rule that no request matches could be changed without failing a test.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { Explanation, RuleRef } from './explanation.ts';
import { ruleText } from './rule-ref.ts';

/** How often one rule was reached. */
export interface RuleCoverage {
  readonly rule: RuleRef;
  /** Number of requests that the rule matched, or whose token it accepted. */
  readonly requests: number;
}

/** Coverage of a set of policies. */
export interface Coverage {
  /** In the order of the policies, rules as written. */
  readonly rules: readonly RuleCoverage[];
  /** Number of rules that at least one request reached. */
  readonly covered: number;
  /** From 0 to 100, rounded down; 100 when there are no rules. */
  readonly percent: number;
}

/** Coverage of every rule of `policies` by the explained requests. */
export function coverageOf(policies: readonly Policy[], explanations: readonly Explanation[]): Coverage {
  const requestsByRule = new Map<string, number>();
  for (const explanation of explanations) {
    for (const text of reachedRules(explanation)) requestsByRule.set(text, (requestsByRule.get(text) ?? 0) + 1);
  }
  const rules = policies.flatMap(ruleRefsOf).map((rule) => ({ rule, requests: requestsByRule.get(ruleText(rule)) ?? 0 }));
  const covered = rules.filter(({ requests }) => requests > 0).length;
  return { rules, covered, percent: rules.length === 0 ? 100 : Math.floor((covered * 100) / rules.length) };
}

function reachedRules({ rules, authentication }: Explanation): ReadonlySet<string> {
  const matched = rules.filter((entry) => entry.matched && entry.reached);
  const accepted = authentication.filter((entry) => entry.outcome === 'accepted');
  return new Set([...matched, ...accepted].map(({ rule }) => ruleText(rule)));
}

function ruleRefsOf({ kind, metadata, spec }: Policy): readonly RuleRef[] {
  const rules = 'jwtRules' in spec ? spec.jwtRules : 'rules' in spec ? spec.rules : undefined;
  return (rules ?? []).map((_, rule) => ({ kind, policy: `${metadata.namespace}/${metadata.name}`, rule }));
}
