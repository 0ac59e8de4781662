/*
 * Prints findings as SARIF 2.1.0, which code hosts show next to the lines concerned.
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
import { sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeErrorCode, type ErrorCode } from '../../errors.ts';
import { VERSION } from '../../version.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { formatJson } from './structured.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

/** A complete SARIF log with one run, ended by a newline. */
export function formatSarif(findings: readonly LocatedFinding[]): string {
  const codes = [...new Set(findings.map(({ code }) => code))].toSorted();
  const driver = { name: 'sallyport', semanticVersion: VERSION, rules: codes.map(ruleOf) };
  const results = findings.map((finding) => ({
    ruleId: finding.code,
    ruleIndex: codes.indexOf(finding.code),
    level: finding.severity === 'info' ? 'note' : finding.severity,
    message: { text: resultText(finding) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(finding.file) },
          region: { startLine: finding.line, startColumn: finding.column },
        },
        ...(finding.object === '' ? {} : { logicalLocations: [{ fullyQualifiedName: finding.object, kind: 'object' }] }),
      },
    ],
  }));
  return formatJson({ $schema: SCHEMA, version: '2.1.0', runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }] });
}

/** Code hosts show `help` next to the line. The reference pages have no URL, so `help` names their files instead of a link. */
function ruleOf(code: ErrorCode): object {
  const { text } = describeErrorCode(code);
  const help = `${text} See docs/reference/lint.md and docs/reference/errors.md.`;
  return { id: code, shortDescription: { text }, fullDescription: { text }, help: { text: help, markdown: `**${code}** ${help}` } };
}

function resultText({ object, path, message, hint }: LocatedFinding): string {
  const place = [object, path].filter((part) => part !== '').join(': ');
  return `${place === '' ? '' : `${place}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
}

/** Relative paths stay relative, so that the code host finds them in the checkout. */
function uriOf(file: string): string {
  if (file.startsWith('/')) return pathToFileURL(file).href;
  return file.replace(/^\.\//, '').split(sep).map(encodeURIComponent).join('/');
}
