/*
 * An explanation for people and for programs. In: what the explain room says, and where rules are written. Out: a few
 * paragraphs and tables, or the same as plain values.
 */
import type { Explanation, JwtRuleExplanation, RuleExplanation, RuleRef } from '../../explain/explanation.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { plural } from './findings.ts';
import { type Cell, formatTable, paint, type Style } from './table.ts';

export interface ShownExplanation {
  /** `namespace/name`. */
  readonly workload: string;
  /** As sent, e.g. `GET /headers`. */
  readonly request: string;
  readonly explanation: Explanation;
  /** `file:line`; undefined: not known. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

const OUTCOME_STYLE: Readonly<Record<Explanation['verdict']['outcome'], Style>> = {
  allow: 'green',
  deny: 'red',
  unauthenticated: 'red',
  reject: 'red',
};

/** The explanation with `where` beside every rule; member names are stable. */
export function explanationValue({ workload, request, explanation, locate }: ShownExplanation): unknown {
  const placed = <T extends { readonly rule: RuleRef }>(entry: T): T => {
    const where = locate(entry.rule);
    return where === undefined ? entry : { ...entry, rule: { ...entry.rule, where } };
  };
  const { verdict, decidedBy, authentication, rules, caveats } = explanation;
  return {
    workload,
    request,
    verdict,
    decidedBy: decidedBy.rule === undefined ? decidedBy : placed({ ...decidedBy, rule: decidedBy.rule }),
    authentication: authentication.map(placed),
    rules: rules.map(placed),
    caveats,
  };
}

/** Verdict first, then tokens, then rules, then what to be careful about. */
export function formatExplanation(shown: ShownExplanation, stream: NodeJS.WritableStream): string {
  const { explanation, locate } = shown;
  const { verdict, decidedBy, authentication, rules, caveats } = explanation;
  const outcome = paint(
    `${verdict.outcome}${verdict.status === undefined ? '' : ` ${verdict.status}`}`,
    OUTCOME_STYLE[verdict.outcome],
    stream,
  );
  const by = decidedBy.rule === undefined ? '' : ` by ${describe(decidedBy.rule, locate)}`;
  const lines = [
    `${outcome}  ${shown.request} for ${shown.workload}\n`,
    `decided in ${decidedBy.stage}${by}: ${decidedBy.text}\n`,
    ...(verdict.principal === undefined ? [] : [`principal: ${verdict.principal}\n`]),
  ];
  if (authentication.length > 0)
    lines.push('\n', formatTable(['TOKEN', 'JWT RULE', 'WHERE', 'WHY'], tokenRows(authentication, locate), stream));
  if (rules.length > 0)
    lines.push(
      '\n',
      formatTable(['RULE', 'ACTION', 'POLICY', 'WHERE', 'FAILED AT', 'SAW', 'WANTED', 'HINT'], ruleRows(rules, locate), stream),
    );
  if (rules.some(({ reached }) => !reached))
    lines.push(
      `\n(${plural(rules.filter(({ reached }) => !reached).length, 'rule')} in brackets: not asked, because the verdict was there before)\n`,
    );
  for (const caveat of caveats) lines.push(`${paint('note:', 'yellow', stream)} ${caveat}\n`);
  return lines.join('');
}

function describe(rule: RuleRef, locate: ShownExplanation['locate']): string {
  const where = locate(rule);
  return where === undefined ? ruleText(rule) : `${ruleText(rule)} (${where})`;
}

function tokenRows(entries: readonly JwtRuleExplanation[], locate: ShownExplanation['locate']): readonly (readonly Cell[])[] {
  return entries.map(({ rule, outcome, text }) => [
    { text: outcome, style: outcome === 'accepted' ? 'green' : outcome === 'refused' ? 'red' : 'dim' },
    `${rule.policy} jwtRules[${rule.rule}]`,
    locate(rule) ?? '',
    text,
  ]);
}

function ruleRows(rules: readonly RuleExplanation[], locate: ShownExplanation['locate']): readonly (readonly Cell[])[] {
  return rules.flatMap((entry) => {
    const { rule, action, dryRun, matched, reached, misses } = entry;
    const word = matched ? 'match' : 'miss';
    const first: readonly Cell[] = [
      { text: reached ? word : `(${word})`, style: matched && reached ? 'bold' : 'dim' },
      dryRun ? `${action} dry-run` : action,
      `${rule.policy} rules[${rule.rule}]`,
      locate(rule) ?? '',
    ];
    if (misses.length === 0) return [first];
    return misses.map(({ path, saw, wanted, hint }, index) => [
      ...(index === 0 ? first : ['', '', '', '']),
      path,
      printable(saw),
      wanted,
      hint ?? '',
    ]);
  });
}

/** What a client sent may hold anything; a terminal gets it without control characters. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
