/*
 * The place of a finding about a rule that decided.
 */
import type { RuleRef } from '../../explain/explanation.ts';
import type { LocatedFinding } from '../input/located-finding.ts';

/** An error at the rule, or at the start of `elsewhere` when it is unknown. @param elsewhere a file, or `file:line` */
export function locatedRule(
  rule: RuleRef | undefined,
  elsewhere: string,
  locate: (rule: RuleRef) => string | undefined,
): Omit<LocatedFinding, 'code' | 'message'> {
  const where = rule === undefined ? undefined : locate(rule);
  const { file = elsewhere, line = '1' } = /^(?<file>.*):(?<line>\d+)$/.exec(where ?? elsewhere)?.groups ?? {};
  const place = { file, line: Number(line), column: 1, severity: 'error' } as const;
  if (rule === undefined || where === undefined) return { ...place, object: '', path: '' };
  const { kind, policy, rule: index } = rule;
  return { ...place, object: `${kind} ${policy}`, path: `spec.${kind === 'RequestAuthentication' ? 'jwtRules' : 'rules'}[${index}]` };
}
