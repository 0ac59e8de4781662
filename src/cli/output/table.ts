/*
 * Tables for people: aligned columns, colour where the stream supports it (NO_COLOR and FORCE_COLOR are honoured), one row per
 * line.
 */
import { styleText } from 'node:util';
import stringWidth from 'string-width';
import { printable, printableStart } from '../terminal/printable.ts';

/** A style of `node:util`, e.g. `bold` or `red`. */
export type Style = Parameters<typeof styleText>[0];

/** A cell with a style; a plain string is unstyled. */
export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = '  ';

/** Printable `text`, styled for `stream` if that supports colour. */
export function paint(text: string, style: Style, stream: NodeJS.WritableStream = process.stdout): string {
  return styleText(style, printable(text), { stream });
}

/** The width of each column that aligns `rows`, in terminal columns: an East Asian character or an emoji takes two. */
export function columnWidths(rows: readonly (readonly Cell[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, stringWidth(cellText(cell)));
    });
  }
  return widths;
}

/** One table line with the given column widths, without a newline. */
export function formatRow(row: readonly Cell[], widths: readonly number[], stream: NodeJS.WritableStream = process.stdout): string {
  return row
    .map((cell, column) => formatCell(cell, widths[column] ?? 0, stream))
    .join(GAP)
    .trimEnd();
}

function formatCell(cell: Cell, width: number, stream: NodeJS.WritableStream): string {
  const text = cellText(cell);
  const padded = text + ' '.repeat(Math.max(0, width - stringWidth(text)));
  return typeof cell === 'string' ? padded : paint(padded, cell.style, stream);
}

/**
 * A whole table: the header in bold, then the rows, each line ended by a newline. Columns without any text are left out. If the
 * table is wider than the terminal, each row becomes a paragraph with one named value per line.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  stream: NodeJS.WritableStream = process.stdout,
): string {
  const head: Cell[] = header.map((text) => ({ text, style: 'bold' }));
  const filled = header.flatMap((_, column) => (rows.some((row) => cellText(row[column]) !== '') ? [column] : []));
  const shown = [head, ...rows].map((row) => filled.map((column) => row[column] ?? ''));
  const widths = columnWidths(shown);
  const width = widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length);
  if (width > terminalWidth(stream)) return formatParagraphs(shown, stream);
  return shown.map((row) => `${formatRow(row, widths, stream)}\n`).join('');
}

/** Columns per line, infinite when unknown. `COLUMNS` in the environment takes precedence over the terminal's own value. */
function terminalWidth(stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }): number {
  const requested = Number(process.env['COLUMNS']);
  if (Number.isInteger(requested) && requested > 0) return requested;
  return stream.isTTY === true ? (stream.columns ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
}

function formatParagraphs([head = [], ...rows]: readonly (readonly Cell[])[], stream: NodeJS.WritableStream): string {
  const [width = 0] = columnWidths(head.map((cell) => [cell]));
  const space = terminalWidth(stream) - width - GAP.length;
  const paragraphs = rows.map((row) =>
    row
      .flatMap((cell, column) =>
        wrapCell(cell, space).map((line, index) => `${formatRow([index === 0 ? (head[column] ?? '') : '', line], [width], stream)}\n`),
      )
      .join(''),
  );
  return paragraphs.join('\n');
}

/** The lines of a cell that is at most `width` columns wide; a longer word stays whole. Empty for an empty cell. */
function wrapCell(cell: Cell, width: number): readonly Cell[] {
  const lines: string[] = [];
  for (const word of cellText(cell).split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || stringWidth(`${last} ${word}`) > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.filter((line) => line !== '').map((text) => (typeof cell === 'string' ? text : { text, style: cell.style }));
}

function cellText(cell: Cell | undefined): string {
  return printableStart(typeof cell === 'object' ? cell.text : (cell ?? ''));
}
