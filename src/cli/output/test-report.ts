/*
 * Results of policy tests in five forms. In: results by table, and coverage. Out: text for people, JSON, YAML, JUnit XML for build
 * servers, TAP for whatever reads TAP.
 */
import type { Coverage } from '../../explain/coverage.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import type { PolicyTestResult } from '../../explain/run-tests.ts';
import { nearestText, printable } from './explanation.ts';
import { plural } from './findings.ts';
import { formatStructured, type StructuredFormat } from './structured.ts';
import { formatTable, paint } from './table.ts';

export type TestReportFormat = 'table' | StructuredFormat | 'junit' | 'tap';

export interface TestReport {
  readonly suites: readonly { readonly file: string; readonly results: readonly PolicyTestResult[] }[];
  readonly coverage: Coverage;
}

/** The report in `format`, ended by a newline. */
export function formatTestReport(report: TestReport, format: TestReportFormat, stream: NodeJS.WritableStream): string {
  switch (format) {
    case 'table':
      return formatPeople(report, stream);
    case 'json':
    case 'yaml':
      return formatStructured(reportValue(report), format);
    case 'junit':
      return formatJunit(report);
    case 'tap':
      return formatTap(report);
  }
}

/** `5 tests, 1 failed; 3 of 4 rules covered (75 %)`. */
export function formatTestCount({ suites, coverage }: TestReport): string {
  const results = suites.flatMap((suite) => suite.results);
  const failed = results.filter(({ passed }) => !passed).length;
  return `${plural(results.length, 'test')}, ${failed} failed; ${coverage.covered} of ${plural(coverage.rules.length, 'rule')} covered (${coverage.percent} %)`;
}

function formatPeople({ suites, coverage }: TestReport, stream: NodeJS.WritableStream): string {
  const lines = suites.flatMap(({ file, results }) => [
    `${paint(file, 'bold', stream)}\n`,
    ...results.flatMap((result) => [
      `  ${result.passed ? paint('pass', 'green', stream) : paint('FAIL', 'red', stream)}  ${result.name}\n`,
      ...faultsOf(result).map((difference) => `        ${difference}\n`),
    ]),
  ]);
  const bare = coverage.rules.filter(({ requests }) => requests === 0);
  if (bare.length > 0)
    lines.push(
      '\n',
      formatTable(
        ['RULES THAT NO TEST REACHES'],
        bare.map(({ rule }) => [ruleText(rule)]),
        stream,
      ),
    );
  return lines.join('');
}

function reportValue({ suites, coverage }: TestReport): unknown {
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

/** @see https://github.com/testmoapp/junitxml */
function formatJunit({ suites }: TestReport): string {
  const body = suites.map(({ file, results }) => {
    const failed = results.filter(({ passed }) => !passed).length;
    const cases = results.map((result) => {
      const { name } = result;
      const differences = faultsOf(result);
      const open = `    <testcase name="${xml(name)}" classname="${xml(file)}" file="${xml(file)}"`;
      if (differences.length === 0) return `${open}/>\n`;
      return `${open}>\n      <failure message="${xml(differences[0] ?? '')}">${xml(differences.join('\n'))}</failure>\n    </testcase>\n`;
    });
    return `  <testsuite name="${xml(file)}" tests="${results.length}" failures="${failed}" errors="0">\n${cases.join('')}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sallyport test">\n${body.join('')}</testsuites>\n`;
}

/** @see https://testanything.org/tap-version-14-specification.html */
function formatTap({ suites }: TestReport): string {
  const results = suites.flatMap(({ file, results: own }) => own.map((result) => ({ file, ...result })));
  const lines = results.flatMap(({ file, ...result }, index) => [
    `${result.passed ? 'ok' : 'not ok'} ${index + 1} - ${tapText(`${file}: ${result.name}`)}\n`,
    ...(result.passed ? [] : ['  ---\n', ...faultsOf(result).map((difference) => `  - ${JSON.stringify(difference)}\n`), '  ...\n']),
  ]);
  return `TAP version 14\n1..${results.length}\n${lines.join('')}`;
}

/** What differs, and where no ALLOW rule matched, what the nearest one wanted; empty when passed. */
function faultsOf({ passed, differences, explanation }: PolicyTestResult): readonly string[] {
  const nearest = passed ? undefined : nearestText(explanation);
  return nearest === undefined ? differences : [...differences, `nearest: ${nearest}`];
}

function tapText(text: string): string {
  return printable(text.replaceAll(/\s+/g, ' ')).replaceAll('\\', '\\\\').replaceAll('#', '\\#');
}

function xml(text: string): string {
  // oxlint-disable-next-line no-control-regex -- XML 1.0 has no way to write them
  const legal = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '?');
  const escaped = legal.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  // Parsers make blanks of them in attributes.
  return escaped.replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
