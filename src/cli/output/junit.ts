/*
 * Prints results as JUnit XML, which build servers show.
 * @see https://github.com/testmoapp/junitxml
 */

/** One result. Without lines it passed. */
export interface JunitCase {
  readonly name: string;
  /** What did not hold; the first line is the summary. */
  readonly failure: readonly string[];
  /** Why there is no result; the first line is the summary. */
  readonly error: readonly string[];
}

/** Results of one file. */
export interface JunitSuite {
  readonly file: string;
  readonly cases: readonly JunitCase[];
}

/** The report, ended by a newline. @param name of the command */
export function formatJunitReport(name: string, suites: readonly JunitSuite[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="${xml(name)}">\n${suites.map(suiteText).join('')}</testsuites>\n`;
}

function suiteText({ file, cases }: JunitSuite): string {
  const count = (kind: 'failure' | 'error'): number => cases.filter((one) => one[kind].length > 0).length;
  const open = `  <testsuite name="${xml(file)}" tests="${cases.length}" failures="${count('failure')}" errors="${count('error')}">\n`;
  return `${open}${cases.map((one) => caseText(one, file)).join('')}  </testsuite>\n`;
}

function caseText({ name, failure, error }: JunitCase, file: string): string {
  const open = `    <testcase name="${xml(name)}" classname="${xml(file)}" file="${xml(file)}"`;
  const [kind, lines] = failure.length > 0 ? ['failure', failure] : ['error', error];
  if (lines.length === 0) return `${open}/>\n`;
  return `${open}>\n      <${kind} message="${xml(lines[0] ?? '')}">${xml(lines.join('\n'))}</${kind}>\n    </testcase>\n`;
}

function xml(text: string): string {
  // oxlint-disable-next-line no-control-regex -- XML 1.0 cannot represent these characters
  const legal = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\p{Cs}\ufffe\uffff]/gu, '?');
  const escaped = legal.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  // Parsers replace literal tabs and line breaks in attributes by spaces, and a terminal interprets the others.
  return escaped
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `&#${character.codePointAt(0) ?? 0};`)
    .replaceAll('##', '#&#35;');
}
