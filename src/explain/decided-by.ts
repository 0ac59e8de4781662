/*
 * Says in one sentence what gave the verdict.
 */
import type { VerdictLog } from '../filters/verdict.ts';
import type { Decision } from '../policy/decide/decision.ts';
import type { Program } from '../policy/model/program.ts';
import type { DecidedBy, JwtRuleExplanation, RuleExplanation } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';

/** The verdict's log entry, and the results of all rules. */
export interface Reasons {
  readonly log: VerdictLog;
  readonly rules: readonly RuleExplanation[];
  readonly authentication: readonly JwtRuleExplanation[];
  /** Whether a CUSTOM policy gave the verdict. */
  readonly deniedByCustom: boolean;
}

/** The step, and the rule if a single one decided, that `reasons.log` is about. */
export function decidedBy(program: Program, reasons: Reasons): DecidedBy {
  const { log } = reasons;
  if (log.outcome === 'reject') return { stage: 'preparation', text: `rejected before any policy was evaluated: ${log.details}` };
  if (reasons.deniedByCustom) return byCustom(program, reasons);
  if (log.decision !== undefined) return byDecision(log.decision, program);
  if (log.jwtRule === undefined) return { stage: 'authentication', text: log.details };
  const rule = ruleRef(log.jwtRule);
  const explained = reasons.authentication.find((entry) => ruleText(entry.rule) === ruleText(rule));
  return { stage: 'authentication', rule, text: explained?.outcome === 'refused' ? explained.text : log.details };
}

function byCustom(program: Program, { log, rules }: Reasons): DecidedBy {
  const matched = rules.find(({ action, matched }) => action === 'CUSTOM' && matched);
  const refusal = program.http.custom.find(
    ({ refusal, rules: own }) => refusal !== undefined && own.some(({ id }) => log.details.includes(id.replaceAll(/\s/g, '_'))),
  );
  return {
    stage: 'custom',
    ...(matched === undefined ? {} : { rule: matched.rule }),
    text:
      refusal?.refusal === undefined
        ? `the external authorizer denied the request: ${log.details}`
        : `provider ${refusal.name}: ${refusal.refusal}`,
  };
}

function byDecision({ reason, rule: decisive }: Decision, program: Program): DecidedBy {
  const rule = decisive === undefined ? {} : { rule: ruleRef(decisive.source) };
  const common = { stage: 'authorization', ...rule, reason } as const;
  switch (reason) {
    case 'deny-rule':
      return { ...common, text: 'a DENY rule matched' };
    case 'allow-rule':
      return { ...common, text: 'an ALLOW rule matched' };
    case 'no-allow-policy':
      return { ...common, text: noAllowPolicyText(program) };
    case 'no-allow-rule-matched':
      return { ...common, text: noMatchText(program.http.allow.rules.length) };
  }
}

function noAllowPolicyText({ http, providers }: Program): string {
  if (http.deny.rules.length > 0) return 'no ALLOW policy applies to the workload, and no DENY rule matched';
  if (http.deny.attached || http.audit.attached || http.custom.length > 0) return 'no ALLOW policy applies to the workload';
  return providers.length > 0
    ? 'no AuthorizationPolicy applies to the workload: a token is verified if present, but none is required'
    : 'no policy applies to the workload: every request is allowed';
}

function noMatchText(count: number): string {
  if (count === 0) return 'an ALLOW policy without rules applies, which allows nothing';
  return count === 1 ? 'the only ALLOW rule did not match' : `none of the ${count} ALLOW rules matched`;
}
