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

/** Marks of a regular expression that no path and no pattern of Istio has. */
const REGULAR = /^\^|\$$|\.[*+]|\[[^\]]*\]|\([^)]*\|[^)]*\)|\\[dwsDWS.]/;
/** An expression without these is a literal string. */
const SPECIAL = /[\\^$.*+?()[\]{}|]/;
// oxlint-disable-next-line no-control-regex -- everything but visible ASCII
const ENCODED = /[^\x21-\x7e]+/g;

/** The mistake in `value`; undefined: none of those known here. */
export function pathMistake(value: string): PathMistake | undefined {
  return urlMistake(value) ?? regularMistake(value) ?? encodingMistake(value);
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
  if (isPathTemplate(value) || !REGULAR.test(value)) return undefined;
  return { reason: 'it looks like a regular expression, and paths are not regular expressions', instead: instead(value), isLiteral: true };
}

/** The prefix, template or list that the expression probably stands for. */
function instead(value: string): string {
  const whole = value
    .replace(/^\^/, '')
    .replace(/\$$/, '')
    .replaceAll(/\\([./-])/g, '$1')
    .replace(/\(\/\.([*+])\)$/, '/.$1');
  const choice = /^([^()|]*)\(([^()]*\|[^()]*)\)([^()|]*)$/.exec(whole);
  if (choice !== null && !SPECIAL.test(`${choice[1]}${choice[3]}`)) {
    return `list the values: ${(choice[2] ?? '')
      .split('|')
      .map((part) => `${choice[1] ?? ''}${part}${choice[3] ?? ''}`)
      .join(', ')}`;
  }
  const start = /^(.*?)(?:\.[*+]|\(\.[*+]\))$/.exec(whole)?.[1];
  if (start !== undefined && !SPECIAL.test(start)) return `write ${start}*`;
  const template = whole.replaceAll(/\[\^?[^\]]*\][*+]?|\\[dw][*+]?(\{[^}]*\})?|\(\.[*+]\)|\.[*+]/g, '{*}');
  const isTemplate = template.split('/').every((segment) => segment === '{*}' || !SPECIAL.test(segment));
  if (isTemplate) return `write ${template}`;
  return 'write a prefix such as /api/*, a template such as /api/{*}/items, or a list of values';
}

/** Clients send everything but visible ASCII as percent-encoded UTF-8. */
function encodingMistake(value: string): PathMistake | undefined {
  const encoded = value.replaceAll(ENCODED, (character) => encode(character));
  return encoded === value
    ? undefined
    : { reason: 'clients send other characters than visible ASCII percent-encoded', instead: `write ${encoded}`, isLiteral: false };
}

function encode(character: string): string {
  return [...Buffer.from(character, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
