/*
 * The content of one report from the results of its policies: sorted, limited, and with the times at which results were first found, so
 * that it changes only when what it says does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { PolicyResult } from './policy-results.ts';

/** Most results of a report; a report counts what it leaves out. At 1 to 2 KB each, it stays well below the 1.5 MB of etcd. */
export const MAX_RESULTS = 256;

/** `source` of reports and results. */
export const REPORT_SOURCE = 'sallyport';

/** A result in a report. */
export interface ReportResult extends PolicyResult {
  readonly source: string;
  /** When it was first found. */
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
}

/** Everything of a report but its metadata. */
export interface ReportContent {
  readonly source: string;
  readonly configuration: { readonly limits: { readonly maxResults: number } };
  /** Counts all results, also those that are left out. */
  readonly summary: Readonly<Record<'pass' | 'fail' | 'warn' | 'error' | 'skip', number>>;
  readonly results: readonly ReportResult[];
}

/** The gravest first. */
const RESULT_ORDER: readonly PolicyResult['result'][] = ['error', 'fail', 'warn'];

/**
 * The content of a report.
 * @param before what the report says now; undefined: there is no report
 * @param nowMs wall-clock time, for results that are new
 * @returns undefined when there is nothing to report
 */
export function reportContent(
  results: readonly PolicyResult[],
  before: ReportContent | undefined,
  nowMs: number,
): ReportContent | undefined {
  if (results.length === 0) return undefined;
  const unique = [...new Map(results.map((result) => [identityOf(result), result]))].sort(
    ([oneKey, one], [otherKey, other]) =>
      RESULT_ORDER.indexOf(one.result) - RESULT_ORDER.indexOf(other.result) || (oneKey < otherKey ? -1 : 1),
  );
  const known = new Map((before?.results ?? []).map((result) => [identityOf(result), result.timestamp]));
  const now = { seconds: Math.floor(nowMs / 1000), nanos: 0 };
  const count = (kind: PolicyResult['result']): number => unique.filter(([, { result }]) => result === kind).length;
  return {
    source: REPORT_SOURCE,
    configuration: { limits: { maxResults: MAX_RESULTS } },
    summary: { pass: 0, fail: count('fail'), warn: count('warn'), error: count('error'), skip: 0 },
    results: unique.slice(0, MAX_RESULTS).map(([key, result]) => ({ source: REPORT_SOURCE, ...result, timestamp: known.get(key) ?? now })),
  };
}

/** Whether two reports say the same. */
export function isSameReport(one: ReportContent | undefined, other: ReportContent | undefined): boolean {
  return isDeepStrictEqual(one, other);
}

function identityOf({ policy, rule, message, resources }: PolicyResult): string {
  return JSON.stringify([policy, rule, ...resources.map(({ kind, namespace, name }) => [kind, namespace, name]), message]);
}
