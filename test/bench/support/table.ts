/*
 * Tables on standard output. In: rows of cells, the heading first. Out: aligned columns. Used by the benches.
 */

/** Prints columns, the first to the left and the others to the right, and an empty line. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] as readonly string[]).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) {
    const cells = widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width)));
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
  process.stdout.write('\n');
}

/** Nanoseconds as nanoseconds, microseconds or milliseconds, whichever is short. */
export function duration(ns: number): string {
  if (ns < 10_000) return ns.toFixed(0);
  return ns < 10e6 ? `${(ns / 1e3).toFixed(0)} us` : `${(ns / 1e6).toFixed(0)} ms`;
}

/** Tells of progress on standard error, in place when it is a terminal. */
export function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
}

/** Takes the line of progress away. */
export function progressEnds(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}
