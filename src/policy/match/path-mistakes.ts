/*
 * Likely mistakes in a value of `paths`, for check, the webhook and explain alike.
 */
import { isPathTemplate } from './path-template.ts';

/** What is probably wrong, and what to write instead. */
export interface PathMistake {
  readonly reason: string;
  readonly instead: string;
  /** Whether a path may still match, by chance, because the value is compared character by character. */
  readonly isLiteral: boolean;
}

/** Marks of a regular expression that no path and no pattern of Istio has; {@link hasRegularMark} finds the others. */
const REGULAR = /^\^|\$$|\.[*+]|\\[dwsDWS.]|^\(\?/;
/** A segment that routers of many languages take for a parameter. */
const PARAMETER = /^(?::[A-Za-z]\w*|<[^<>]+>)$/;
/** An expression without these is a literal string. */
const SPECIAL = /[\\^$.*+?()[\]{}|]/;
// oxlint-disable-next-line no-control-regex -- everything but visible ASCII
const ENCODED = /[^\x21-\x7e]/;
/** How clients send each byte of a path. */
const SENT_BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

/** The mistake in `value`; undefined: none of those known here. */
export function pathMistake(value: string): PathMistake | undefined {
  return urlMistake(value) ?? regularMistake(value) ?? parameterMistake(value) ?? encodingMistake(value);
}

function urlMistake(value: string): PathMistake | undefined {
  const [, host, path = ''] = /^https?:\/\/([^/?#]+)(\/[^?#]*)?/i.exec(value) ?? [];
  if (host === undefined) return undefined;
  return {
    reason: 'it is a whole URL',
    instead: `write ${path === '' ? '/' : path} under paths and ${host} under hosts`,
    isLiteral: false,
  };
}

function regularMistake(value: string): PathMistake | undefined {
  if (isPathTemplate(value) || !hasRegularMark(value)) return undefined;
  return { reason: 'it looks like a regular expression, and paths are not regular expressions', instead: instead(value), isLiteral: true };
}

function parameterMistake(value: string): PathMistake | undefined {
  const segments = value.split('/');
  if (!segments.some((segment) => PARAMETER.test(segment))) return undefined;
  const template = segments.map((segment) => (PARAMETER.test(segment) ? '{*}' : segment)).join('/');
  const isWhole = template.endsWith('/*');
  return {
    reason: 'it looks like a path of a router, with parameters',
    instead: `write ${isWhole ? `${template.slice(0, -1)}{**}` : template}`,
    isLiteral: true,
  };
}

/** The values of `/a|/b`; undefined: the text has another form. */
function listOfPaths(value: string): readonly string[] | undefined {
  const parts = value.split('|');
  return parts.length > 1 && parts.every((part) => part.startsWith('/')) ? parts : undefined;
}

function hasRegularMark(value: string): boolean {
  const bracket = value.indexOf('[');
  return REGULAR.test(value) || listOfPaths(value) !== undefined || (bracket !== -1 && value.includes(']', bracket)) || hasChoice(value);
}

/** Whether a `(` is followed by a `|`, and that by a `)`, without another `)` in between. */
function hasChoice(value: string): boolean {
  let seen: 'nothing' | '(' | '|' = 'nothing';
  for (const character of value) {
    if (character === ')' && seen === '|') return true;
    if (character === ')') seen = 'nothing';
    else if (character === '(' && seen === 'nothing') seen = '(';
    else if (character === '|' && seen === '(') seen = '|';
  }
  return false;
}

/** The parts of `before(one|other)after`; undefined: the text has another form. */
function splitChoice(text: string): { readonly before: string; readonly choices: string; readonly after: string } | undefined {
  const [open, close] = [text.indexOf('('), text.indexOf(')')];
  if (open === -1 || close < open) return undefined;
  const [before, choices, after] = [text.slice(0, open), text.slice(open + 1, close), text.slice(close + 1)];
  return choices.includes('|') && !choices.includes('(') && !SPECIAL.test(before) && !SPECIAL.test(after)
    ? { before, choices, after }
    : undefined;
}

/** The prefix, template or list that the expression probably stands for. */
function instead(value: string): string {
  const whole = value
    .replace(/^\(\?[a-z]+\)/, '')
    .replace(/^\^/, '')
    .replace(/\$$/, '')
    .replaceAll(/\\([./-])/g, '$1')
    .replace(/\(\/\.([*+])\)$/, '/.$1');
  const list = listOfPaths(whole);
  if (list !== undefined && list.every((part) => !SPECIAL.test(part))) return `list the values: ${list.join(', ')}`;
  const choice = splitChoice(whole);
  if (choice !== undefined) {
    return `list the values: ${choice.choices
      .split('|')
      .map((part) => `${choice.before}${part}${choice.after}`)
      .join(', ')}`;
  }
  const start = /^(.*?)(?:\.[*+]|\(\.[*+]\))$/.exec(whole)?.[1];
  if (start !== undefined && !SPECIAL.test(start)) return `write ${start}*`;
  const template = whole.replaceAll(/\[[^[\]]*\][*+]?|\\[dw][*+]?(\{[^{}\\]*\})?|\(\.[*+]\)|\.[*+]/g, '{*}');
  const isTemplate = template.split('/').every((segment) => segment === '{*}' || !SPECIAL.test(segment));
  if (isTemplate) return `write ${template}`;
  return 'write a prefix such as /api/*, a template such as /api/{*}/items, or a list of values';
}

/** Clients send everything but visible ASCII as percent-encoded UTF-8. */
function encodingMistake(value: string): PathMistake | undefined {
  if (!ENCODED.test(value)) return undefined;
  // The hint must match something, and query and fragment are not part of a path.
  const end = value.search(/[?#]/);
  let path = '';
  for (const byte of Buffer.from(end === -1 ? value : value.slice(0, end), 'utf8')) path += SENT_BYTES[byte] ?? '';
  return { reason: 'clients send other characters than visible ASCII percent-encoded', instead: `write ${path}`, isLiteral: false };
}
