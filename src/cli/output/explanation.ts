/*
 * Prints an explanation as text and tables, and gives it as a plain value for JSON and YAML.
 */
import type { Explanation, JwtRuleExplanation, RuleExplanation, RuleRef } from '../../explain/explanation.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { NO_TOKEN_HINT } from '../../policy/decide/explain-clause.ts';
import type { NotApplied } from '../input/policy-set.ts';
import { printable } from '../terminal/printable.ts';
import { plural } from './plural.ts';
import { type Cell, formatTable, paint, type Style } from './table.ts';

/** An explanation with what is printed around it. */
export interface ShownExplanation {
  /** `namespace/kind/name`. */
  readonly workload: string;
  /** As sent, e.g. `GET /headers`. */
  readonly request: string;
  readonly explanation: Explanation;
  /** The most likely mistakes first. */
  readonly notApplied: readonly NotApplied[];
  /** `file:line` of a rule; undefined: unknown. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

/** Longer tables do not help a person; JSON and YAML have all entries. */
const MAX_NOT_APPLIED = 10;
const MAX_RULES = 20;
const RULE_COLUMNS: readonly string[] = ['RULE', 'ACTION', 'POLICY', 'WHERE', 'FAILED CLAUSE', 'ACTUAL', 'EXPECTED', 'HINT'];

const OUTCOME_STYLE: Readonly<Record<Explanation['verdict']['outcome'], Style>> = {
  allow: 'green',
  deny: 'red',
  unauthenticated: 'red',
  reject: 'red',
};

const GRADES: Readonly<Record<NonNullable<Explanation['verdict']['identity']>, string>> = {
  mtls: 'mTLS',
  xfcc: 'X-Forwarded-Client-Cert of a trusted proxy',
  'pod-ip': 'pod IP',
  none: 'none',
};

function identityText(grade: keyof typeof GRADES, peer: string | undefined): string {
  return peer === undefined ? GRADES[grade] : `${printable(peer)} (${GRADES[grade]})`;
}

/** The explanation with `where` added to every rule; member names are stable. */
export function explanationValue({ workload, request, explanation, notApplied, locate }: ShownExplanation): object {
  const located = <T extends { readonly rule: RuleRef }>(entry: T): T => {
    const where = locate(entry.rule);
    return where === undefined ? entry : { ...entry, rule: { ...entry.rule, where } };
  };
  const { verdict, decidedBy, dryRun, authentication, rules, caveats, unknown } = explanation;
  return {
    workload,
    request,
    verdict: unknown === undefined ? verdict : { outcome: 'unknown', hint: unknown },
    decidedBy: decidedBy.rule === undefined ? decidedBy : located({ ...decidedBy, rule: decidedBy.rule }),
    dryRun: dryRun.map((entry) => (entry.rule === undefined ? entry : located({ ...entry, rule: entry.rule }))),
    authentication: authentication.map(located),
    rules: rules.map(located),
    notApplied,
    caveats,
  };
}

/** The verdict and the nearest miss first, then tokens, rules, policies that do not apply, and caveats. */
export function formatExplanation(shown: ShownExplanation, stream: NodeJS.WritableStream): string {
  const { explanation, locate } = shown;
  const { authentication, rules, caveats } = explanation;
  const lines = [...verdictLines(shown, stream)];
  if (authentication.length > 0)
    lines.push('\n', formatTable(['TOKEN', 'JWT RULE', 'WHERE', 'REASON'], tokenRows(authentication, locate), stream));
  if (rules.length > 0) lines.push('\n', formatTable(RULE_COLUMNS, ruleRows(rules.slice(0, MAX_RULES), locate), stream));
  if (rules.length > MAX_RULES) lines.push(`(and ${plural(rules.length - MAX_RULES, 'more rule')}; -o json shows all)\n`);
  const skipped = rules.filter(({ reached }) => !reached).length;
  if (skipped > 0)
    lines.push(`\n(${plural(skipped, 'rule')} in parentheses: not evaluated, because an earlier step had already decided)\n`);
  lines.push(...notAppliedLines(shown.notApplied, stream));
  for (const caveat of caveats) lines.push(`${paint('note:', 'yellow', stream)} ${printable(caveat)}\n`);
  return lines.join('');
}

function verdictLines({ explanation, request, workload, locate }: ShownExplanation, stream: NodeJS.WritableStream): readonly string[] {
  const { verdict, decidedBy, dryRun, rules } = explanation;
  const { unknown } = explanation;
  if (unknown !== undefined)
    return [`${paint('unknown:', 'yellow', stream)} ${printable(unknown)}\n`, `${printable(`${request} for ${workload}`)}\n`];
  const outcome = `${verdict.outcome}${verdict.status === undefined ? '' : ` ${verdict.status}`}`;
  const by = decidedBy.rule === undefined ? '' : ` by ${locatedRuleText(decidedBy.rule, locate)}`;
  const decisive = rules.find(({ rule, matched, dryRun: isDry }) => matched && !isDry && isSameRule(rule, decidedBy.rule));
  const nearest = nearestText(explanation, locate);
  return [
    `${paint(outcome, OUTCOME_STYLE[verdict.outcome], stream)}  ${printable(`${request} for ${workload}`)}\n`,
    `${printable(`decided in ${decidedBy.stage}${by}: ${decidedBy.text}`)}\n`,
    ...(decisive?.hits ?? []).map(
      ({ path, saw, wanted, note }) => `  ${printable(`${path} is ${saw}, expected ${wanted}${note === undefined ? '' : ` (${note})`}`)}\n`,
    ),
    ...(nearest === undefined ? [] : [`${paint('nearest:', 'bold', stream)} ${printable(nearest)}\n`]),
    ...(verdict.principal === undefined ? [] : [`principal: ${printable(verdict.principal)}\n`]),
    ...(verdict.identity === undefined ? [] : [`identity: ${identityText(verdict.identity, verdict.peer)}\n`]),
    ...dryRun.map(
      ({ action, outcome: would, rule }) =>
        `dry-run ${action} policies would ${would} it: ${rule === undefined ? 'none of their rules matched' : printable(locatedRuleText(rule, locate))}\n`,
    ),
  ];
}

/** The ALLOW rule that came nearest to matching, and what it lacks; undefined: the request was denied for another reason, or allowed. */
export function nearestText({ decidedBy, rules }: Explanation, locate: ShownExplanation['locate'] = () => undefined): string | undefined {
  if (decidedBy.reason !== 'no-allow-rule-matched') return undefined;
  const nearest = rules.find(({ action, dryRun }) => action === 'ALLOW' && !dryRun);
  return nearest === undefined ? undefined : `${locatedRuleText(nearest.rule, locate)}: ${missText(nearest)}`;
}

function isSameRule(one: RuleRef, other: RuleRef | undefined): boolean {
  return other !== undefined && ruleText(one) === ruleText(other);
}

/** A phrase for each failing clause of the nearest alternative of each part (from, to, when): all of them must be fixed. */
function missText({ misses }: RuleExplanation): string {
  const nearestByPart = new Map<string, string>();
  const alternativeOf = (path: string): string => /^(?:from|to)\[\d+\]/.exec(path)?.[0] ?? 'when';
  const partOf = (path: string): string => /^[a-z]+/.exec(path)?.[0] ?? '';
  for (const { path } of misses) if (!nearestByPart.has(partOf(path))) nearestByPart.set(partOf(path), alternativeOf(path));
  const phrases = misses.filter(({ path }) => nearestByPart.get(partOf(path)) === alternativeOf(path)).map(missPhrase);
  // Several clauses may need a token, which is one fix.
  return [...new Set(phrases)].join('; and ');
}

function missPhrase({ path, saw, wanted, hint }: RuleExplanation['misses'][number]): string {
  if (hint === undefined) return `${path} is ${saw}, expected ${wanted}`;
  return hint === NO_TOKEN_HINT ? hint : `${path}: ${hint}`;
}

function notAppliedLines(policies: readonly NotApplied[], stream: NodeJS.WritableStream): readonly string[] {
  if (policies.length === 0) return [];
  const rows = policies.slice(0, MAX_NOT_APPLIED).map(({ policy, where, reason }) => [policy, where, reason]);
  const rest = policies.length - rows.length;
  return [
    '\n',
    formatTable(['DOES NOT APPLY', 'WHERE', 'REASON'], rows, stream),
    ...(rest === 0 ? [] : [`(and ${plural(rest, 'more policy', 'more policies')}; -o json shows all)\n`]),
  ];
}

function locatedRuleText(rule: RuleRef, locate: ShownExplanation['locate']): string {
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
    return misses.map(({ path, saw, wanted, hint }, index) => [...(index === 0 ? first : ['', '', '', '']), path, saw, wanted, hint ?? '']);
  });
}
