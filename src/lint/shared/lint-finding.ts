/*
 * One trap found, and the way to make one. In: code, path, words. Out: a warning, or an information. Called by every family of traps.
 */
import type { AuthorizationPolicy, AuthorizationRule, Condition, Policy, Source } from '../../api/istio/resources.ts';
import type { ErrorCode, Finding } from '../../errors.ts';

/** What a trap tells. */
export interface Trap {
  readonly code: ErrorCode;
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** The trap as a warning: lint never refuses. */
export function warn(trap: Trap): Finding {
  return { ...trap, severity: 'warning' };
}

/** The trap where it may well be none. */
export function inform(trap: Trap): Finding {
  return { ...trap, severity: 'info' };
}

/** A rule with its path, e.g. `spec.rules[0]`. */
export interface PlacedRule {
  readonly rule: AuthorizationRule;
  readonly path: string;
}

/** The rules of `policy`; none for another kind than AuthorizationPolicy. */
export function rulesOf(policy: Policy): readonly PlacedRule[] {
  if (policy.kind !== 'AuthorizationPolicy') return [];
  return (policy.spec.rules ?? []).map((rule, index) => ({ rule, path: `spec.rules[${index}]` }));
}

/** The sources of a rule with their paths. */
export function sourcesOf({ rule, path }: PlacedRule): readonly { readonly source: Source; readonly path: string }[] {
  return (rule.from ?? []).map(({ source = {} }, index) => ({ source, path: `${path}.from[${index}].source` }));
}

/** The conditions of a rule with their paths. */
export function conditionsOf({ rule, path }: PlacedRule): readonly { readonly condition: Condition; readonly path: string }[] {
  return (rule.when ?? []).map((condition, index) => ({ condition, path: `${path}.when[${index}]` }));
}

/** Does the rule say nothing, so that it matches every request? */
export function matchesEverything(rule: AuthorizationRule): boolean {
  return [rule.from, rule.to, rule.when].every((part) => part === undefined || part.length === 0);
}

/** Has `policy` a rule that matches everything? */
export function hasRuleForAll(policy: AuthorizationPolicy): boolean {
  return (policy.spec.rules ?? []).some(matchesEverything);
}
