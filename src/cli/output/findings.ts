/*
 * Prints findings: one line each, as a table, or as a count. JSON and YAML print them as they are.
 */
import type { Severity } from '../../errors.ts';
import type { OutputStream } from '../context/command-context.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { CLUSTER_NAME } from '../input/read-file.ts';
import { printableStart } from '../terminal/printable.ts';
import { writeText } from '../terminal/writers.ts';
import { plural } from './plural.ts';
import { type Cell, formatTable, paint, type Style } from './table.ts';

const SEVERITY_STYLE: Readonly<Record<Severity, Style>> = { error: 'red', warning: 'yellow', info: 'cyan' };

/** `file:line:column: severity: Kind ns/name: field: reason (hint) [CODE]`, without the parts that are empty. */
export function formatFindingLine(finding: LocatedFinding): string {
  const parts = [placeText(finding), finding.severity, finding.object, finding.path, reasonText(finding)];
  const shown = parts.filter((part) => part !== '').map(printableStart);
  return `${shown.join(': ')} [${finding.code}]`;
}

/** Writes one line per finding. */
export function writeFindingLines(findings: readonly LocatedFinding[], stream: OutputStream): void {
  for (const finding of findings) writeText(stream, `${formatFindingLine(finding)}\n`);
}

/** A table of findings in the given order; `''` without findings. */
export function formatFindingTable(findings: readonly LocatedFinding[], stream: NodeJS.WritableStream): string {
  if (findings.length === 0) return '';
  const rows = findings.map((finding): readonly Cell[] => [
    placeText(finding),
    { text: finding.severity, style: SEVERITY_STYLE[finding.severity] },
    finding.code,
    finding.object,
    finding.path,
    reasonText(finding),
  ]);
  return formatTable(['WHERE', 'SEVERITY', 'CODE', 'OBJECT', 'FIELD', 'REASON'], rows, stream);
}

/** For example `2 errors, 1 warning`, coloured by the worst severity; the count of info findings is appended if not 0. */
export function formatFindingCount(findings: readonly LocatedFinding[], stream: NodeJS.WritableStream): string {
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings, infos] = [count('error'), count('warning'), count('info')];
  const text = `${plural(errors, 'error')}, ${plural(warnings, 'warning')}${infos === 0 ? '' : `, ${infos} info`}`;
  if (errors > 0) return paint(text, 'red', stream);
  return paint(text, warnings > 0 ? 'yellow' : 'green', stream);
}

function placeText({ file, line, column }: LocatedFinding): string {
  return file === CLUSTER_NAME ? '' : `${file}:${line}:${column}`;
}

function reasonText({ message, hint }: LocatedFinding): string {
  return hint === undefined ? message : `${message} (${hint})`;
}
