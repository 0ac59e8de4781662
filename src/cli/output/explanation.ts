/*
 * An explanation for people and for programs. In: what the explain room says, and where rules are written. Out: a few
 * paragraphs and tables, or the same as plain values.
 */
import type { Explanation, JwtRuleExplanation, RuleExplanation, RuleRef } from '../../explain/explanation.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { withoutSecrets } from '../../explain/secrets.ts';
import type { NotApplied } from '../input/policy-set.ts';
import { plural } from './findings.ts';
import { type Cell, formatTable, paint, type Style } from './table.ts';

export interface ShownExplanation {
  /** `namespace/name`. */
  readonly workload: string;
  /** As sent, e.g. `GET /headers`. */
  readonly request: string;
  readonly explanation: Explanation;
  /** Nearest first. */
  readonly notApplied: readonly NotApplied[];
  /** `file:line`; undefined: not known. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

/** More of them say nothing to a person. */
const MAX_NOT_APPLIED = 10;
const MAX_RULES = 20;
const RULE_COLUMNS: readonly string[] = ['RULE', 'ACTION', 'POLICY', 'WHERE', 'FAILED AT', 'SAW', 'WANTED', 'HINT'];
const MAX_TARGET = 200;
const NO_TOKEN = 'the request has no verified token';

const OUTCOME_STYLE: Readonly<Record<Explanation['verdict']['outcome'], Style>> = {
  allow: 'green',
  deny: 'red',
  unauthenticated: 'red',
  reject: 'red',
};

/** The explanation with `where` beside every rule; member names are stable. */
export function explanationValue({ workload, request, explanation, notApplied, locate }: ShownExplanation): unknown {
  const placed = <T extends { readonly rule: RuleRef }>(entry: T): T => {
    const where = locate(entry.rule);
    return where === undefined ? entry : { ...entry, rule: { ...entry.rule, where } };
  };
  const { verdict, decidedBy, dryRun, authentication, rules, caveats } = explanation;
  return {
    workload,
    request,
    verdict,
    decidedBy: decidedBy.rule === undefined ? decidedBy : placed({ ...decidedBy, rule: decidedBy.rule }),
    dryRun: dryRun.map((entry) => (entry.rule === undefined ? entry : placed({ ...entry, rule: entry.rule }))),
    authentication: authentication.map(placed),
    rules: rules.map(placed),
    notApplied,
    caveats,
  };
}

/** Verdict first and the nearest miss, then tokens, rules, policies that do not apply, and what to be careful about. */
export function formatExplanation(shown: ShownExplanation, stream: NodeJS.WritableStream): string {
  const { explanation, locate } = shown;
  const { authentication, rules, caveats } = explanation;
  const lines = [...verdictLines(shown, stream)];
  if (authentication.length > 0)
    lines.push('\n', formatTable(['TOKEN', 'JWT RULE', 'WHERE', 'WHY'], tokenRows(authentication, locate), stream));
  if (rules.length > 0)
    lines.push(
      '\n',
      formatTable(RULE_COLUMNS, ruleRows(rules.slice(0, MAX_RULES), locate), stream),
      ...(rules.length > MAX_RULES ? [`(and ${plural(rules.length - MAX_RULES, 'rule')} further off; -o json has all of them)\n`] : []),
    );
  if (rules.some(({ reached }) => !reached))
    lines.push(
      `\n(${plural(rules.filter(({ reached }) => !reached).length, 'rule')} in brackets: not asked, because the verdict was there before)\n`,
    );
  lines.push(...notAppliedLines(shown.notApplied, stream));
  for (const caveat of caveats) lines.push(`${paint('note:', 'yellow', stream)} ${caveat}\n`);
  return lines.join('');
}

function verdictLines({ explanation, request, workload, locate }: ShownExplanation, stream: NodeJS.WritableStream): readonly string[] {
  const { verdict, decidedBy, dryRun, rules } = explanation;
  const outcome = `${verdict.outcome}${verdict.status === undefined ? '' : ` ${verdict.status}`}`;
  const by = decidedBy.rule === undefined ? '' : ` by ${describe(decidedBy.rule, locate)}`;
  const decisive = rules.find(({ rule, matched, dryRun: isDry }) => matched && !isDry && isSame(rule, decidedBy.rule));
  const nearest = nearestText(explanation, locate);
  return [
    `${paint(outcome, OUTCOME_STYLE[verdict.outcome], stream)}  ${request} for ${workload}\n`,
    `decided in ${decidedBy.stage}${by}: ${decidedBy.text}\n`,
    ...(decisive?.hits ?? []).map(
      (hit) => `  ${hit.path} saw ${printable(hit.saw)}, wanted ${hit.wanted}${hit.note === undefined ? '' : ` (${hit.note})`}\n`,
    ),
    ...(nearest === undefined ? [] : [`${paint('nearest:', 'bold', stream)} ${nearest}\n`]),
    ...(verdict.principal === undefined ? [] : [`principal: ${verdict.principal}\n`]),
    ...dryRun.map(
      ({ action, outcome: would, rule }) =>
        `dry-run ${action} policies would ${would} it: ${rule === undefined ? 'none of their rules matched' : describe(rule, locate)}\n`,
    ),
  ];
}

/** The rule that all but let the request through, and what is in the way; undefined: it was not for want of one. */
export function nearestText({ decidedBy, rules }: Explanation, locate: ShownExplanation['locate'] = () => undefined): string | undefined {
  if (decidedBy.reason !== 'no-allow-rule-matched') return undefined;
  const nearest = rules.find(({ action, dryRun }) => action === 'ALLOW' && !dryRun);
  return nearest === undefined ? undefined : `${describe(nearest.rule, locate)}: ${missText(nearest)}`;
}

function isSame(one: RuleRef, other: RuleRef | undefined): boolean {
  return other !== undefined && ruleText(one) === ruleText(other);
}

/** What is in the way, all of it: every part that failed must be mended, by its best alternative. */
function missText({ misses }: RuleExplanation): string {
  // Several parts may want a token, which is one mend.
  const parts = new Map<string, string>();
  for (const { path, saw, wanted, hint } of misses) {
    const part = /^[a-z]+/.exec(path)?.[0] ?? '';
    const what = hint ?? `saw ${printable(saw)}, wanted ${wanted}`;
    if (!parts.has(part)) parts.set(part, hint === NO_TOKEN ? what : `${path}${hint === undefined ? '' : ':'} ${what}`);
  }
  return [...new Set(parts.values())].join('; and ');
}

function notAppliedLines(policies: readonly NotApplied[], stream: NodeJS.WritableStream): readonly string[] {
  if (policies.length === 0) return [];
  const rows = policies.slice(0, MAX_NOT_APPLIED).map(({ policy, where, reason }) => [policy, where, reason]);
  const rest = policies.length - rows.length;
  return [
    '\n',
    formatTable(['DOES NOT APPLY', 'WHERE', 'WHY'], rows, stream),
    ...(rest === 0 ? [] : [`(and ${plural(rest, 'more policy', 'more policies')}; -o json has all of them)\n`]),
  ];
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

/** Method and target for people: printable, not too long, without tokens. */
export function requestText({ method, target }: { readonly method: string; readonly target: string }): string {
  const shown = withoutSecrets(target);
  return printable(`${method} ${shown.length > MAX_TARGET ? `${shown.slice(0, MAX_TARGET)}…` : shown}`);
}

/** What a client sent may hold anything; a terminal gets it without control characters. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
