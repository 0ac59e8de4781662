/*
 * Tables for people: aligned, coloured where the stream takes colour (NO_COLOR and FORCE_COLOR honoured), one row a line.
 * In: rows of cells. Out: text. Used by the commands and the example.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** A cell with a style; plain strings are unstyled. */
export type Cell = string | { readonly text: string; readonly style: Style };

/** `text` styled for `stream`; unchanged when the stream takes no colour. */
export function paint(text: string, style: Style, stream: NodeJS.WritableStream = process.stdout): string {
  return styleText(style, text, { stream });
}

function render(cell: Cell, width: number, stream: NodeJS.WritableStream): string {
  const text = typeof cell === 'string' ? cell : cell.text;
  const padded = text + ' '.repeat(Math.max(0, width - stripVTControlCharacters(text).length));
  return typeof cell === 'string' ? padded : paint(padded, cell.style, stream);
}

/** The widths that make `rows` align, one per column, in characters. */
export function columnWidths(rows: readonly (readonly Cell[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      const text = typeof cell === 'string' ? cell : cell.text;
      widths[column] = Math.max(widths[column] ?? 0, stripVTControlCharacters(text).length);
    });
  }
  return widths;
}

/** One line of a table with given column widths, without a newline. */
export function formatRow(row: readonly Cell[], widths: readonly number[], stream: NodeJS.WritableStream = process.stdout): string {
  return row
    .map((cell, column) => render(cell, widths[column] ?? 0, stream))
    .join('  ')
    .trimEnd();
}

/** A whole table: header in bold, then the rows, each line ended by a newline. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  stream: NodeJS.WritableStream = process.stdout,
): string {
  const head: Cell[] = header.map((text) => ({ text, style: 'bold' }));
  const widths = columnWidths([head, ...rows]);
  return [head, ...rows].map((row) => `${formatRow(row, widths, stream)}\n`).join('');
}
