/*
 * Creates lint findings, and walks the parts of a policy together with their paths. Used by all checks.
 */
import type { AuthorizationRule, Condition, Policy, Source } from '../../api/istio/resources.ts';
import type { ErrorCode, Finding } from '../../errors.ts';

/** A finding without its severity. */
export interface LintMessage {
  readonly code: ErrorCode;
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** The finding as a warning. Lint never reports an error. */
export function warn(message: LintMessage): Finding {
  return { ...message, severity: 'warning' };
}

/** The finding as an info: what it describes may be intended. */
export function inform(message: LintMessage): Finding {
  return { ...message, severity: 'info' };
}

/** A rule with its path, e.g. `spec.rules[0]`. */
export interface PlacedRule {
  readonly rule: AuthorizationRule;
  readonly path: string;
}

/** The rules of an AuthorizationPolicy with their paths; empty for another kind. */
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

/** Whether the rule is empty and therefore matches every request. */
export function matchesEverything(rule: AuthorizationRule): boolean {
  return [rule.from, rule.to, rule.when].every((part) => part === undefined || part.length === 0);
}
