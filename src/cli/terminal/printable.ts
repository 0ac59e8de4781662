/*
 * Makes text of others safe to print for people. A terminal interprets control characters and bidirectional overrides, a CI service
 * what it takes for a command, and the author of a manifest or a request chooses both.
 */
import { redactSecrets } from '../../explain/redact.ts';
import { escapeControls, escapeUnits, SPECIAL_CHARACTERS } from '../../text.ts';

const MAX_TARGET = 200;
/** A longer value says no more to a person; JSON and YAML have all of it. */
const MAX_SHOWN = 2000;
/** Azure Pipelines, TeamCity and older GitHub runners take these anywhere in a line. */
const COMMAND = /##(vso\[|teamcity\[|\[)/gi;
/** What `node:util` writes to style text. */
// oxlint-disable-next-line no-control-regex -- the escape character starts a style
const STYLE = /\u001b\[\d{1,2}m/g;

/** Method and target, shortened, without tokens. */
export function requestText({ method, target }: { readonly method: string; readonly target: string }): string {
  const shown = redactSecrets(target);
  return `${method} ${shown.length > MAX_TARGET ? `${shown.slice(0, MAX_TARGET)}…` : shown}`;
}

/** `text` on one line, with escapes such as `\n` and `\u001b` for everything that a terminal or a CI service would interpret. */
export function printable(text: string): string {
  return escapeControls(text).replaceAll(COMMAND, '#\\u0023$1');
}

/** As {@link printable}, and cut if it is very long. */
export function printableStart(text: string): string {
  return printable(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}

/** As {@link printable} for text of several lines, with styles: a line that starts like a command of GitHub Actions is escaped, too. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => withoutCommand(outsideStyles(line)))
    .join('\n');
}

/** A document of several lines with escapes in place of the characters, and of the commands, that JSON and YAML leave in their strings. */
export function escapeSpecial(document: string, format: 'json' | 'yaml'): string {
  const escape = format === 'json' ? escapeUnits : escapeCodePoint;
  return document
    .replaceAll(SPECIAL_CHARACTERS, (character) => (character === '\n' ? character : escape(character)))
    .replaceAll(COMMAND, '#\\u0023$1');
}

/** Whether {@link printable} leaves `text` unchanged. */
export function isPrintable(text: string): boolean {
  return printable(text) === text;
}

function outsideStyles(line: string): string {
  let shown = '';
  let at = 0;
  for (const { 0: style, index } of line.matchAll(STYLE)) {
    shown += printable(line.slice(at, index)) + style;
    at = index + style.length;
  }
  return shown + printable(line.slice(at));
}

/** GitHub Actions ignores whitespace before `::`. */
function withoutCommand(line: string): string {
  const plain = line.replaceAll(STYLE, '').trimStart();
  return plain.startsWith('::') ? line.replace('::', '\\u003a:') : line;
}

/** YAML does not combine two escapes. */
function escapeCodePoint(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : escapeUnits(character);
}
