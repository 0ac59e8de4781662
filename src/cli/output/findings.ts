/*
 * Findings for people and for programs. In: findings with the place they are about. Out: one line each, a table, or plain
 * values for JSON and YAML. Called by every command that looks at manifests.
 */
import type { ErrorCode, Finding, Severity } from '../../errors.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { Locate } from '../input/locate-field.ts';
import { type Cell, formatTable, paint, type Style } from './table.ts';

/** A finding as it is shown; the member names are stable in JSON. */
export interface ReportedFinding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: Severity;
  readonly code: ErrorCode;
  /** `Kind namespace/name`; `''` when it is about the file. */
  readonly object: string;
  /** Within the object; `''` for the whole. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

const SEVERITY_STYLE: Readonly<Record<Severity, Style>> = { error: 'red', warning: 'yellow', info: 'cyan' };

/** A finding about `item`, placed at the line and column of its field. */
export function reportOnObject(finding: Finding, item: ManifestObject, locate: Locate): ReportedFinding {
  const position = locate(item, finding.path);
  const { kind, metadata } = item.object;
  return {
    ...reportOnFile(finding, { file: item.origin.file, ...position }),
    object: `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`,
  };
}

/** A finding about a place in a file; `column` is 1 when absent. */
export function reportOnFile(
  finding: Finding,
  place: { readonly file: string; readonly line: number; readonly column?: number },
): ReportedFinding {
  return {
    file: place.file,
    line: place.line,
    column: place.column ?? 1,
    severity: finding.severity,
    code: finding.code,
    object: '',
    path: finding.path,
    message: oneLine(finding.message),
    ...(finding.hint === undefined ? {} : { hint: oneLine(finding.hint) }),
  };
}

/** Sorted by place, each once. */
export function sortReports(reports: readonly ReportedFinding[]): readonly ReportedFinding[] {
  const byText = new Map(reports.map((report) => [JSON.stringify(report), report]));
  return [...byText.values()].toSorted(
    (one, other) => compare(one.file, other.file) || one.line - other.line || one.column - other.column || compare(one.path, other.path),
  );
}

/** `file:line:column: severity: Kind ns/name: field: reason (hint) [CODE]`, without what is not known. */
export function formatFindingLine(report: ReportedFinding): string {
  const parts = [`${report.file}:${report.line}:${report.column}`, report.severity, report.object, report.path, reasonOf(report)];
  return `${parts.filter((part) => part !== '').join(': ')} [${report.code}]`;
}

/** A table of findings, worst places first by file; empty text when there are none. */
export function formatFindingTable(reports: readonly ReportedFinding[], stream: NodeJS.WritableStream): string {
  if (reports.length === 0) return '';
  const rows = reports.map((report): readonly Cell[] => [
    `${report.file}:${report.line}:${report.column}`,
    { text: report.severity, style: SEVERITY_STYLE[report.severity] },
    report.code,
    report.object,
    report.path,
    reasonOf(report),
  ]);
  return formatTable(['WHERE', 'SEVERITY', 'CODE', 'OBJECT', 'FIELD', 'REASON'], rows, stream);
}

/** `2 errors, 1 warning`, coloured by the worst of them; what is only information is counted when there is any. */
export function formatFindingCount(reports: readonly ReportedFinding[], stream: NodeJS.WritableStream): string {
  const count = (severity: Severity): number => reports.filter((report) => report.severity === severity).length;
  const [errors, warnings, infos] = [count('error'), count('warning'), count('info')];
  const text = `${plural(errors, 'error')}, ${plural(warnings, 'warning')}${infos === 0 ? '' : `, ${infos} info`}`;
  if (errors > 0) return paint(text, 'red', stream);
  return paint(text, warnings > 0 ? 'yellow' : 'green', stream);
}

/** `1 thing`, `2 things`. @param many where an s alone does not make it */
export function plural(count: number, noun: string, many: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}

function reasonOf(report: ReportedFinding): string {
  return report.hint === undefined ? report.message : `${report.message} (${report.hint})`;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ');
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
