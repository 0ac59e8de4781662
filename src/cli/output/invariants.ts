/*
 * Prints what `sallyport prove` has found about invariants: as text, JSON, YAML, JUnit XML, or as findings for SARIF.
 */
import { witnessText } from '../../analysis/witness-text.ts';
import type { Explanation, RuleRef } from '../../explain/explanation.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import type { InvariantKind } from '../input/invariants.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { printable } from '../terminal/printable.ts';
import { nearestText } from './explanation.ts';
import { formatJunitReport } from './junit.ts';
import { locatedRule } from './located-rule.ts';
import { curlLine, labelText, requestValue, type ShownWitness } from './proof.ts';
import { formatDocument, type StructuredFormat } from './structured.ts';
import { paint } from './table.ts';

/** Formats of `sallyport prove`. */
export type InvariantFormat = 'table' | StructuredFormat | 'junit' | 'sarif';

/** A request or connection that shows that an invariant does not hold. */
export interface Counterexample extends ShownWitness {
  /** Absent: a TCP connection. */
  readonly explanation?: Explanation;
}

/** The answer for one invariant and one workload. */
export interface CheckedInvariant {
  readonly name: string;
  readonly kind: InvariantKind;
  readonly file: string;
  readonly line: number;
  /** `namespace/kind/name`. */
  readonly workload: string;
  /** Absent: its pods do not differ. */
  readonly labels?: Labels;
  readonly answer: 'proven' | 'violated' | 'undecided';
  /** Only of a violated one. */
  readonly counterexample?: Counterexample;
  /** Only of an undecided one. */
  readonly reason?: string;
}

type Locate = (rule: RuleRef) => string | undefined;

/** The lines of one answer, ended by a newline. */
export function formatInvariant(checked: CheckedInvariant, locate: Locate, stream: NodeJS.WritableStream): string {
  const { answer, name } = checked;
  const style = answer === 'proven' ? 'green' : answer === 'violated' ? 'red' : 'yellow';
  const shown = answer === 'undecided' ? 'NOT DECIDED' : answer;
  const lines = [
    `${printable(name)}, ${printable(podText(checked))}`,
    ...detailLines(checked, locate).map((line) => `  ${printable(line)}`),
  ];
  return `${paint(shown, style, stream)}: ${lines.join('\n')}\n`;
}

function podText({ workload, labels }: CheckedInvariant): string {
  return labels === undefined ? workload : `${workload} (${labelText(labels)})`;
}

function detailLines({ kind, reason, counterexample }: CheckedInvariant, locate: Locate): readonly string[] {
  if (counterexample === undefined) return reason === undefined ? [] : [reason];
  const { explanation, tokens } = counterexample;
  const curl = curlLine(counterexample);
  const nearest = explanation === undefined ? undefined : nearestText(explanation, locate);
  return [
    `${kind === 'alwaysAllow' ? 'refused' : 'let in'}: ${witnessText(counterexample.witness)}`,
    ...(explanation === undefined ? [] : [`by: ${deciderText(explanation, locate)}`]),
    ...(nearest === undefined ? [] : [`nearest: ${nearest}`]),
    ...tokens.map(({ claims }) => `token: ${JSON.stringify(claims)}`),
    ...(curl === undefined ? [] : [curl]),
  ];
}

function deciderText({ decidedBy: { rule, text }, caveats }: Explanation, locate: Locate): string {
  const where = rule === undefined ? undefined : locate(rule);
  const by = rule === undefined ? text : `${ruleText(rule)}${where === undefined ? '' : ` (${where})`}, ${text}`;
  return [by, ...caveats].join('; ');
}

/** All answers as JSON or YAML. @param missing number of answers that are missing, because the command was stopped */
export function formatInvariantDocument(
  all: readonly CheckedInvariant[],
  { locate, missing }: { readonly locate: Locate; readonly missing: number },
  format: StructuredFormat,
): string {
  const invariants = all.map(({ counterexample, ...rest }) => ({
    ...rest,
    ...(counterexample === undefined ? {} : { counterexample: counterexampleValue(counterexample, locate) }),
  }));
  return formatDocument('InvariantProof', { invariants, ...(missing === 0 ? {} : { stopped: { missing } }) }, format);
}

function counterexampleValue(counterexample: Counterexample, locate: Locate): object {
  const { witness, tokens, explanation } = counterexample;
  const curl = curlLine(counterexample);
  const rule = explanation?.decidedBy.rule;
  const where = rule === undefined ? undefined : locate(rule);
  return {
    protocol: witness.protocol,
    request: requestValue(witness),
    claims: tokens.map(({ claims }) => claims),
    ...(explanation === undefined ? {} : { explanation }),
    ...(where === undefined ? {} : { where }),
    ...(curl === undefined ? {} : { curl }),
  };
}

/** All answers as JUnit XML: one test case for each invariant and workload. */
export function formatInvariantJunit(all: readonly CheckedInvariant[], locate: Locate): string {
  const suites = [...Map.groupBy(all, ({ file }) => file)].map(([file, own]) => ({
    file,
    cases: own.map((checked) => {
      const lines = detailLines(checked, locate);
      const summary = `${checked.name}: ${lines[0] ?? ''}`;
      const text = checked.answer === 'proven' ? [] : [summary, ...lines.slice(1)];
      const isViolated = checked.answer === 'violated';
      return { name: `${checked.name}, ${podText(checked)}`, failure: isViolated ? text : [], error: isViolated ? [] : text };
    }),
  }));
  return formatJunitReport('sallyport prove', suites);
}

/** A finding for each answer but proofs: at the rule that decided, otherwise at the invariant. */
export function invariantFindings(all: readonly CheckedInvariant[], locate: Locate): readonly LocatedFinding[] {
  return all
    .filter(({ answer }) => answer !== 'proven')
    .map((checked): LocatedFinding => {
      const isViolated = checked.answer === 'violated';
      const about = `${isViolated ? 'violates' : 'not decided:'} "${checked.name}" for ${podText(checked)}`;
      return {
        ...locatedRule(checked.counterexample?.explanation?.decidedBy.rule, `${checked.file}:${checked.line}`, locate),
        code: 'SP_NOT_PROVEN',
        message: `${about}: ${detailLines(checked, locate).join('; ')}`,
      };
    });
}
