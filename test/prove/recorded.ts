/*
 * `npm run prove:recorded [-- OFFSET]`: for every recorded case, compares its program with itself and with one that differs by one edit. Every
 * witness must be decided differently by the filter chains, no recorded request may contradict a proof, and no answer may be missing.
 */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Comparison, comparePrograms } from '../../src/analysis/compare-programs.ts';
import { createWitnessCheck } from '../../src/cli/commands/confirm-witness.ts';
import { createExplainedChain, type Enforced, evaluateToEnd } from '../../src/explain/evaluate-to-end.ts';
import type { Clause, Engine, Program, Rule, Ruleset } from '../../src/policy/model/program.ts';
import { type BuiltCase, buildCase } from '../conformance/build-case.ts';
import { type RecordedCase, readCases } from '../conformance/case-file.ts';
import { readRequest } from '../conformance/read-request.ts';
import { timeOf } from '../conformance/way-in.ts';

const NOW_SECONDS = 1_769_860_800;
const TIMEOUT_MS = 30_000;
const FOLDERS = ['cases', 'random', 'found'] as const;

type RuleEdit = (rule: Rule) => readonly Rule[];

function withoutFirst(clauses: readonly Clause[]): readonly Clause[] {
  return clauses.slice(1);
}

/** The clause with one value less in its positive list, or more in its negative one. */
function narrowed(clause: Clause): Clause {
  const { anyOf } = clause;
  return anyOf !== undefined && anyOf.length > 1 ? ({ ...clause, anyOf: anyOf.slice(1) } as Clause) : clause;
}

function mapClauses(rule: Rule, edit: (clause: Clause) => Clause): Rule {
  return { ...rule, from: rule.from.map((all) => all.map(edit)), to: rule.to.map((all) => all.map(edit)), when: rule.when.map(edit) };
}

/** Edits of one rule. */
const EDITS: readonly RuleEdit[] = [
  () => [],
  (rule) => [{ ...rule, when: withoutFirst(rule.when) }],
  (rule) => [{ ...rule, from: rule.from.map(withoutFirst) }],
  (rule) => [{ ...rule, to: rule.to.map(withoutFirst) }],
  (rule) => [mapClauses(rule, narrowed)],
  (rule) => rule.from.map((from) => ({ ...rule, from: [from] })),
];

function editEngine(engine: Engine, at: number, edit: RuleEdit): Engine {
  return { ...engine, rules: engine.rules.flatMap((rule, index) => (index === at % engine.rules.length ? edit(rule) : [rule])) };
}

function editRuleset(ruleset: Ruleset, at: number, edit: RuleEdit): Ruleset {
  return { ...ruleset, allow: editEngine(ruleset.allow, at, edit), deny: editEngine(ruleset.deny, at, edit) };
}

/** The program with one edit in ALLOW and in DENY, or with a JWT rule less. */
function edited(program: Program, at: number): Program {
  const edit = EDITS[at % EDITS.length] as RuleEdit;
  if (at % 13 === 0 && program.providers.length > 0) return { ...program, providers: program.providers.slice(1) };
  return { ...program, http: editRuleset(program.http, at, edit), tcp: editRuleset(program.tcp, at, edit) };
}

function compare(before: Program, after: Program, protocol: 'http' | 'tcp'): Comparison {
  const check = createWitnessCheck({ before, after, workload: 'foo/deployment/x' }, NOW_SECONDS);
  const end = performance.now() + TIMEOUT_MS;
  return comparePrograms(before, after, {
    protocol,
    isOver: () => performance.now() > end,
    confirm: (witness, direction) => check.confirm(witness, direction) !== undefined,
  });
}

/** Recorded requests that one of the two programs lets in and the other refuses, by direction. */
function flipsOf(recorded: RecordedCase, { bundle }: BuiltCase, programs: readonly [Program, Program]): ReadonlyMap<string, string> {
  const [before, after] = programs.map((program) => createExplainedChain({ program, keySets: bundle.keySets } satisfies Enforced));
  const flips = new Map<string, string>();
  for (const request of recorded.requests) {
    const read = readRequest(request, recorded);
    if (read.kind !== 'http' || before === undefined || after === undefined) continue;
    const [one, other] = [before, after].map(
      (chain) => evaluateToEnd(chain, read.request, timeOf(request), 'allow').final.kind === 'forward',
    );
    if (one !== other) flips.set(one === true ? 'narrowed' : 'widened', request.name);
  }
  return flips;
}

/** Other numbers give other edits of the same cases. */
const [offset = 0] = process.argv.slice(2).map(Number);
const answers = new Map<string, number>();
const problems: string[] = [];
const undecided: string[] = [];
let slowest = 0;
let cases = 0;
for (const folder of FOLDERS) {
  for (const recorded of readCases(join(import.meta.dirname, '../conformance', folder))) {
    const built = buildCase(recorded);
    const after = edited(built.program, cases + offset);
    cases += 1;
    const own = comparePrograms(built.program, structuredClone(built.program), {
      protocol: 'http',
      isOver: () => false,
      confirm: () => true,
    });
    if (own.widened.kind !== 'none' || own.narrowed.kind !== 'none') problems.push(`${recorded.file}: differs from itself`);
    const flips = flipsOf(recorded, built, [built.program, after]);
    for (const protocol of ['http', 'tcp'] as const) {
      const start = performance.now();
      const comparison = compare(built.program, after, protocol);
      slowest = Math.max(slowest, performance.now() - start);
      for (const direction of ['widened', 'narrowed'] as const) {
        const result = comparison[direction];
        answers.set(result.kind, (answers.get(result.kind) ?? 0) + 1);
        if (result.kind === 'undecided') undecided.push(`${folder}/${recorded.file} ${protocol} ${direction}: ${result.reason}`);
        const request = protocol === 'http' ? flips.get(direction) : undefined;
        if (result.kind === 'none' && request !== undefined)
          problems.push(`${recorded.file}: "${request}" contradicts the proof of not ${direction}`);
      }
    }
  }
}
process.stdout.write(
  `${[...undecided, ...problems].join('\n')}\n${cases} cases: ${JSON.stringify(Object.fromEntries(answers))}, slowest ${slowest.toFixed(0)} ms\n`,
);
process.exitCode = problems.length === 0 && undecided.length === 0 ? 0 : 1;
