/*
 * Log lines for people: the fields of a JSON line in the same order, aligned, on one line that no value can break.
 */
import { styleText } from 'node:util';
import { escapeControls } from '../text.ts';

/** Form of log lines: `json`, one object per line; `text`, for people. */
export type LogFormat = 'json' | 'text';

const LEVEL_COLUMNS = 5;
const MESSAGE_COLUMNS = 44;
/** A line that starts with these is part of the entry above; no value can start a line. */
const STACK_INDENT = '      ';
const LEVEL_STYLES: Readonly<Record<string, Style>> = { fatal: 'red', error: 'red', warn: 'yellow', info: 'green' };

type Style = Parameters<typeof styleText>[0];

/** Is `stream` a terminal that shows colours? NO_COLOR and FORCE_COLOR are honoured. */
export function hasColours(stream: NodeJS.WritableStream): boolean {
  return styleText('dim', '.', { stream }) !== '.';
}

/**
 * `TIME LEVEL message  key=value …`, and the stack of an error in indented lines. Values with spaces, quotes or `=` are quoted as in JSON;
 * control characters are escaped.
 * @param line a JSON object of the logger, with its line feed
 * @returns with a line feed
 */
export function textLine(line: string, isColoured: boolean): string {
  const { time, level, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const paint = (style: Style, text: string): string => (isColoured ? styleText(style, text, { validateStream: false }) : text);
  const shown = Object.entries(fields).flatMap(([key, value]) => pairsOf(key, value));
  const pairs = shown.map(([key, value]) => `${paint('dim', `${escapeControls(key)}=`)}${value}`).join(' ');
  const name = String(level);
  const head = [
    paint('dim', escapeControls(String(time))),
    paint(LEVEL_STYLES[name] ?? 'dim', escapeControls(name.toUpperCase()).padEnd(LEVEL_COLUMNS)),
    escapeControls(typeof message === 'string' ? message : '').padEnd(MESSAGE_COLUMNS),
  ];
  return `${head.join(' ')} ${pairs}\n${stackOf(fields['err'])}`;
}

/** An error is shown by its fields, without its stack. */
function pairsOf(key: string, value: unknown): readonly (readonly [key: string, value: string])[] {
  if (key !== 'err' || typeof value !== 'object' || value === null) return [[key, valueText(value)]];
  const { stack: _, ...fields } = value as Record<string, unknown>;
  return Object.entries(fields).map(([name, inner]) => [`err.${name}`, valueText(inner)]);
}

function valueText(value: unknown): string {
  const isPlain = typeof value === 'string' && /^[^\s"=]+$/.test(value);
  return escapeControls(isPlain ? value : JSON.stringify(value));
}

function stackOf(error: unknown): string {
  const stack = typeof error === 'object' && error !== null ? Reflect.get(error, 'stack') : undefined;
  if (typeof stack !== 'string') return '';
  const lines = stack.split('\n').map((line) => `${STACK_INDENT}${escapeControls(line.trim())}\n`);
  return lines.join('');
}
