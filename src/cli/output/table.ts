/*
 * Tables for people: aligned, coloured where the stream takes colour (NO_COLOR and FORCE_COLOR honoured), one row a line.
 * In: rows of cells. Out: text. Used by the commands and the example.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** A cell with a style; plain strings are unstyled. */
export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = '  ';

/** `text` styled for `stream`; unchanged when the stream takes no colour. */
export function paint(text: string, style: Style, stream: NodeJS.WritableStream = process.stdout): string {
  return styleText(style, text, { stream });
}

function render(cell: Cell, width: number, stream: NodeJS.WritableStream): string {
  const text = textOf(cell);
  const padded = text + ' '.repeat(Math.max(0, width - displayWidth(text)));
  return typeof cell === 'string' ? padded : paint(padded, cell.style, stream);
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u;
const NO_WIDTH = /^\p{Mn}$/u;

/** Columns of a terminal that `text` takes: East Asian characters and pictures two, combining marks none. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) width += NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** The widths that make `rows` align, one per column, in characters. */
export function columnWidths(rows: readonly (readonly Cell[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(textOf(cell)));
    });
  }
  return widths;
}

/** One line of a table with given column widths, without a newline. */
export function formatRow(row: readonly Cell[], widths: readonly number[], stream: NodeJS.WritableStream = process.stdout): string {
  return row
    .map((cell, column) => render(cell, widths[column] ?? 0, stream))
    .join(GAP)
    .trimEnd();
}

/**
 * A whole table: header in bold, then the rows, each line ended by a newline. Where the terminal is too narrow for it, a row
 * is a paragraph instead, one named value a line.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  stream: NodeJS.WritableStream = process.stdout,
): string {
  const head: Cell[] = header.map((text) => ({ text, style: 'bold' }));
  const filled = header.flatMap((_, column) => (rows.some((row) => textOf(row[column]) !== '') ? [column] : []));
  const shown = [head, ...rows].map((row) => filled.map((column) => row[column] ?? ''));
  const widths = columnWidths(shown);
  const width = widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length);
  if (width > columnsOf(stream)) return formatParagraphs(shown, stream);
  return shown.map((row) => `${formatRow(row, widths, stream)}\n`).join('');
}

/** Characters a line; endless where nobody says. `COLUMNS` stands above what the terminal says. */
function columnsOf(stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }): number {
  const wanted = Number(process.env['COLUMNS']);
  if (Number.isInteger(wanted) && wanted > 0) return wanted;
  return stream.isTTY === true ? (stream.columns ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
}

function formatParagraphs([head = [], ...rows]: readonly (readonly Cell[])[], stream: NodeJS.WritableStream): string {
  const [width = 0] = columnWidths(head.map((cell) => [cell]));
  const paragraphs = rows.map((row) =>
    row.flatMap((cell, column) => (textOf(cell) === '' ? [] : [`${formatRow([head[column] ?? '', cell], [width], stream)}\n`])).join(''),
  );
  return paragraphs.join('\n');
}

function textOf(cell: Cell | undefined): string {
  return typeof cell === 'object' ? cell.text : (cell ?? '');
}
