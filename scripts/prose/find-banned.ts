/*
 * Finds banned phrases in the prose of files.
 */
import { BANNED_PHRASES } from './banned-phrases.ts';
import { readProse } from './read-prose.ts';

/** One banned phrase at one place. */
export interface ProseFinding {
  readonly path: string;
  readonly line: number;
  /** The phrase as it stands there. */
  readonly phrase: string;
  readonly instead: string;
}

/** What {@link findBanned} makes of one file. */
export interface ProseReport {
  readonly findings: readonly ProseFinding[];
  readonly commentLines: number;
}

/** `(?i:…)` for phrases whose case does not matter; one group per phrase. */
const ALL = new RegExp(
  `(?<![\\w-])(?:${BANNED_PHRASES.map(({ pattern, isExact }) => (isExact ? `(${spaced(pattern)})` : `((?i:${spaced(pattern)}))`)).join('|')})(?![\\w-])`,
  'g',
);

/** A phrase may be split over two lines of a comment. */
function spaced(pattern: string): string {
  return pattern.replaceAll(' ', '(?: |\\s*\\n[\\s*#/>;]*)');
}

/** False when the text has no banned phrase anywhere, code included; far cheaper than {@link findBanned}. */
export function mayContainBanned(source: string): boolean {
  return source.search(ALL) >= 0;
}

/** Banned phrases of one file, in order. @throws Error when a source file cannot be parsed */
export function findBanned(path: string, source: string): ProseReport {
  const prose = readProse(path, source);
  if (prose === undefined) return { findings: [], commentLines: 0 };
  const findings: ProseFinding[] = [];
  let line = 1;
  let at = 0;
  for (const match of prose.text.matchAll(ALL)) {
    line += prose.text.slice(at, match.index).split('\n').length - 1;
    at = match.index;
    const row = match.slice(1).findIndex((group) => group !== undefined);
    findings.push({ path, line, phrase: match[0].replaceAll(/\s*\n[\s*#/>;]*/g, ' '), instead: BANNED_PHRASES[row]?.instead ?? '' });
  }
  return { findings, commentLines: prose.commentLines };
}
