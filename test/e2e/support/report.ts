/*
 * Prints the final table of a suite to stdout: rows and times.
 */
import { formatTable } from '../../../src/cli/output/table.ts';
import type { Lap } from './stopwatch.ts';
import { summary } from './stopwatch.ts';
import type { Row } from './task.ts';

/** A single measured time. */
export interface Figure {
  readonly what: string;
  readonly text: string;
}

/** Prints requests and status codes, then the measurements. */
export function printReport(title: string, rows: readonly Row[], figures: readonly Figure[]): void {
  const lines = rows.map(({ state, token, expected, got }, index) => [
    String(index + 1),
    state,
    token === 'none' ? '(none)' : token,
    expected,
    { text: got, style: got === expected ? ('green' as const) : ('red' as const) },
  ]);
  process.stdout.write(`\n${title}\n${formatTable(['', 'state', 'token', 'expected', 'got'], lines)}`);
  if (figures.length === 0) return;
  process.stdout.write(
    `\n${formatTable(
      ['measured', ''],
      figures.map(({ what, text }) => [what, text]),
    )}\n`,
  );
}

/** How long requests got 503 in some laps, as a string. */
export function unavailableFigure(what: string, laps: readonly Lap[]): Figure {
  const { median, max } = summary(laps.map((lap) => lap.unavailableMs));
  return { what, text: `median ${median.toFixed(0)} ms, max ${max.toFixed(0)} ms, ${laps.length} times` };
}

/** Median and maximum of some laps, as a string. */
export function lapFigure(what: string, laps: readonly Lap[]): Figure {
  const start = summary(laps.map((lap) => lap.fromStartMs));
  const end = summary(laps.map((lap) => lap.fromEndMs));
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const text = `median ${ms(end.median)}, max ${ms(end.max)} after kubectl ended (${ms(start.median)}, ${ms(start.max)} after it began), ${laps.length} times`;
  return { what, text };
}
