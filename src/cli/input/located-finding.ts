/*
 * Findings with the position in a file that they are about, as all commands print them.
 */
import type { ErrorCode, Finding, Severity } from '../../errors.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { onOneLine } from '../../text.ts';
import type { Locate } from './locate-field.ts';

/** A finding with its position. Printed as JSON with these member names, which are stable. */
export interface LocatedFinding {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly severity: Severity;
  readonly code: ErrorCode;
  /** `Kind namespace/name`; `''`: the finding is about the file. */
  readonly object: string;
  /** Path within the object; `''`: the whole object. */
  readonly path: string;
  readonly message: string;
  /** What to do; absent: unknown. */
  readonly hint?: string;
}

/** `finding` about `item`, located at the line and column of its field. */
export function locateInObject(finding: Finding, item: ManifestObject, locate: Locate): LocatedFinding {
  const position = locate(item, finding.path);
  const { kind, metadata } = item.object;
  return {
    ...locateInFile(finding, { file: item.origin.file, ...position }),
    object: `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`,
  };
}

/** Findings with one code about one object that are listed; thousands say no more. */
const MAX_LISTED = 200;

/** The first {@link MAX_LISTED} of `findings` about one object with each code, and how many more there are. None is left out without a word. */
export function listedFindings<F extends Finding>(findings: readonly F[]): readonly F[] {
  if (findings.length <= MAX_LISTED) return findings;
  return [...Map.groupBy(findings, ({ code }) => code).values()].flatMap((alike) => {
    const [listed, others] = [alike.slice(0, MAX_LISTED), alike.slice(MAX_LISTED)];
    const [first] = others.toSorted((one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
    if (first === undefined) return listed;
    const { hint: _hint, ...rest } = first;
    return [
      ...listed,
      { ...rest, path: '', message: `${others.length} more findings with this code about this object are not listed` } as F,
    ];
  });
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

/** `finding` about a place in a file; an absent `column` is 1. */
export function locateInFile(
  finding: Finding,
  place: { readonly file: string; readonly line: number; readonly column?: number },
): LocatedFinding {
  return {
    file: place.file,
    line: place.line,
    column: place.column ?? 1,
    severity: finding.severity,
    code: finding.code,
    object: '',
    path: finding.path,
    message: onOneLine(finding.message),
    ...(finding.hint === undefined ? {} : { hint: onOneLine(finding.hint) }),
  };
}

/** `findings` sorted by file, line, column and path, without duplicates. */
export function sortFindings(findings: readonly LocatedFinding[]): readonly LocatedFinding[] {
  const byText = new Map(findings.map((finding) => [JSON.stringify(finding), finding]));
  return [...byText.values()].toSorted(
    (one, other) =>
      compareStrings(one.file, other.file) || one.line - other.line || one.column - other.column || compareStrings(one.path, other.path),
  );
}

function compareStrings(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
