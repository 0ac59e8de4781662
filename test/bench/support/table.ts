/*
 * Prints tables and progress of benchmarks.
 */

/** Prints a table, heading first, and an empty line. The first column is aligned left, the others right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] as readonly string[]).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) {
    const cells = widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width)));
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
  process.stdout.write('\n');
}

/** Formats nanoseconds as nanoseconds, microseconds or milliseconds, whichever is shortest. */
export function duration(ns: number): string {
  if (ns < 10_000) return ns.toFixed(0);
  return ns < 10e6 ? `${(ns / 1e3).toFixed(0)} us` : `${(ns / 1e6).toFixed(0)} ms`;
}

/** Prints progress on stderr, in place if it is a terminal. */
export function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
}

/** Clears the progress line. */
export function progressEnds(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}
