/*
 * Findings as SARIF 2.1.0, which code hosts show beside the lines they are about. In: reported findings. Out: one JSON log.
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
import { sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeErrorCode, type ErrorCode } from '../../errors.ts';
import { VERSION } from '../../version.ts';
import type { ReportedFinding } from './findings.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

/** A whole SARIF log with one run, ended by a newline. */
export function formatSarif(reports: readonly ReportedFinding[]): string {
  const codes = [...new Set(reports.map(({ code }) => code))].toSorted();
  const rules = codes.map(ruleOf);
  const driver = { name: 'sallyport', semanticVersion: VERSION, rules };
  const results = reports.map((report) => ({
    ruleId: report.code,
    ruleIndex: codes.indexOf(report.code),
    level: report.severity === 'info' ? 'note' : report.severity,
    message: { text: messageOf(report) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(report.file) },
          region: { startLine: report.line, startColumn: report.column },
        },
        ...(report.object === '' ? {} : { logicalLocations: [{ fullyQualifiedName: report.object, kind: 'object' }] }),
      },
    ],
  }));
  return `${JSON.stringify({ $schema: SCHEMA, version: '2.1.0', runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }] }, null, 2)}\n`;
}

/** A code host shows `help` beside the line; these pages have no address of their own that it could link to. */
function ruleOf(code: ErrorCode): object {
  const { text } = describeErrorCode(code);
  const help = `${text} See docs/reference/lint.md and docs/reference/errors.md.`;
  return { id: code, shortDescription: { text }, fullDescription: { text }, help: { text: help, markdown: `**${code}** ${help}` } };
}

function messageOf({ object, path, message, hint }: ReportedFinding): string {
  const place = [object, path].filter((part) => part !== '').join(': ');
  return `${place === '' ? '' : `${place}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
}

/** Relative paths stay relative, so that the code host finds them in the checkout. */
function uriOf(file: string): string {
  if (file.startsWith('/')) return pathToFileURL(file).href;
  return file.replace(/^\.\//, '').split(sep).map(encodeURIComponent).join('/');
}
