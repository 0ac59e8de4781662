/*
 * What gave the verdict, in one sentence. In: the judge's log entry and how the rules fared. Out: stage, rule and words.
 * Called by `explainRequest`.
 */
import type { VerdictLog } from '../filters/verdict.ts';
import type { Decision } from '../policy/decide/decision.ts';
import type { Program } from '../policy/model/program.ts';
import type { DecidedBy, JwtRuleExplanation, RuleExplanation } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';

export interface Reasons {
  readonly log: VerdictLog;
  readonly rules: readonly RuleExplanation[];
  readonly authentication: readonly JwtRuleExplanation[];
  readonly refusedByCustom: boolean;
}

/** The step, and the rule where there is one, that `reasons.log` is about. */
export function decidedBy(program: Program, reasons: Reasons): DecidedBy {
  const { log } = reasons;
  if (log.outcome === 'reject') return { stage: 'preparation', text: `refused before any policy: ${log.details}` };
  if (reasons.refusedByCustom) return byCustom(program, reasons);
  if (log.decision !== undefined) return byDecision(log.decision, program);
  if (log.jwtRule === undefined) return { stage: 'authentication', text: log.details };
  const rule = ruleRef(log.jwtRule);
  const said = reasons.authentication.find((entry) => ruleText(entry.rule) === ruleText(rule));
  return { stage: 'authentication', rule, text: said?.outcome === 'refused' ? said.text : log.details };
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
      refusal?.refusal === undefined ? `the external authorizer refused: ${log.details}` : `provider ${refusal.name}: ${refusal.refusal}`,
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
      return { ...common, text: openText(program) };
    case 'no-allow-rule-matched':
      return { ...common, text: noAllowText(program.http.allow.rules.length) };
  }
}

function openText({ http, providers }: Program): string {
  if (http.deny.rules.length > 0) return 'no ALLOW policy applies to the workload, and no DENY rule matched';
  if (http.deny.attached || http.audit.attached || http.custom.length > 0) return 'no ALLOW policy applies to the workload';
  return providers.length > 0
    ? 'no AuthorizationPolicy applies to the workload: a token is checked when there is one, and none is asked for'
    : 'no policy applies to the workload: it is open to everybody';
}

function noAllowText(count: number): string {
  if (count === 0) return 'an ALLOW policy without rules applies, which allows nothing';
  return count === 1 ? 'the only ALLOW rule did not match' : `none of the ${count} ALLOW rules matched`;
}
