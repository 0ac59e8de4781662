/*
 * Prints the results of policy tests: as text, JSON, YAML, JUnit XML for build servers, or TAP.
 */
import type { Coverage } from '../../explain/coverage.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import type { PolicyTestResult } from '../../explain/run-tests.ts';
import { escapeSpecial, printable } from '../terminal/printable.ts';
import { nearestText } from './explanation.ts';
import { formatJunitReport } from './junit.ts';
import { plural } from './plural.ts';
import { formatDocument, type StructuredFormat } from './structured.ts';
import { formatTable, paint } from './table.ts';

/** Formats of `sallyport test`. */
export type TestReportFormat = 'table' | StructuredFormat | 'junit' | 'tap';

/** Results by table file, and the coverage of all of them. */
export interface TestReport {
  readonly suites: readonly { readonly file: string; readonly results: readonly PolicyTestResult[] }[];
  readonly coverage: Coverage;
}

/** The report in `format`, ended by a newline. */
export function formatTestReport(report: TestReport, format: TestReportFormat, stream: NodeJS.WritableStream): string {
  switch (format) {
    case 'table':
      return formatText(report, stream);
    case 'json':
    case 'yaml':
      return formatDocument('TestReport', reportValue(report), format);
    case 'junit':
      return formatJunit(report);
    case 'tap':
      return formatTap(report);
  }
}

/** For example `5 tests, 1 failed; 3 of 4 rules covered (75 %)`. */
export function formatTestCount({ suites, coverage }: TestReport): string {
  const results = suites.flatMap((suite) => suite.results);
  const failed = results.filter(({ passed }) => !passed).length;
  return `${plural(results.length, 'test')}, ${failed} failed; ${coverage.covered} of ${plural(coverage.rules.length, 'rule')} covered (${coverage.percent} %)`;
}

function formatText({ suites, coverage }: TestReport, stream: NodeJS.WritableStream): string {
  const lines = suites.flatMap(({ file, results }) => [
    `${paint(file, 'bold', stream)}\n`,
    ...results.flatMap((result) => [
      `  ${result.passed ? paint('pass', 'green', stream) : paint('FAIL', 'red', stream)}  ${printable(result.name)}\n`,
      ...failureLines(result).map((line) => `        ${printable(line)}\n`),
    ]),
  ]);
  const uncovered = coverage.rules.filter(({ requests }) => requests === 0);
  if (uncovered.length > 0)
    lines.push(
      '\n',
      formatTable(
        ['RULES NOT REACHED BY ANY TEST'],
        uncovered.map(({ rule }) => [ruleText(rule)]),
        stream,
      ),
    );
  return lines.join('');
}

function reportValue({ suites, coverage }: TestReport): object {
  return {
    suites: suites.map(({ file, results }) => ({
      file,
      tests: results.map(({ name, passed, differences, explanation: { verdict, decidedBy, caveats } }) => ({
        name,
        passed,
        differences,
        verdict,
        decidedBy,
        caveats,
      })),
    })),
    coverage,
  };
}

function formatJunit({ suites }: TestReport): string {
  return formatJunitReport(
    'sallyport test',
    suites.map(({ file, results }) => ({
      file,
      cases: results.map((result) => ({ name: result.name, failure: failureLines(result), error: [] })),
    })),
  );
}

/** @see https://testanything.org/tap-version-14-specification.html */
function formatTap({ suites }: TestReport): string {
  const results = suites.flatMap(({ file, results: own }) => own.map((result) => ({ file, ...result })));
  const lines = results.flatMap(({ file, ...result }, index) => [
    `${result.passed ? 'ok' : 'not ok'} ${index + 1} - ${tapText(`${file}: ${result.name}`)}\n`,
    ...(result.passed
      ? []
      : ['  ---\n', ...failureLines(result).map((line) => `  - ${escapeSpecial(JSON.stringify(line), 'json')}\n`), '  ...\n']),
  ]);
  return `TAP version 14\n1..${results.length}\n${lines.join('')}`;
}

/** The differences, and the nearest ALLOW rule if none matched; empty for a passed test. */
function failureLines({ passed, differences, explanation }: PolicyTestResult): readonly string[] {
  const nearest = passed ? undefined : nearestText(explanation);
  return nearest === undefined ? differences : [...differences, `nearest: ${nearest}`];
}

function tapText(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll('\\', '\\\\')
    .replaceAll('#', '\\#')
    .replaceAll(/[^ -~]+/gu, printable);
}
