/*
 * Hints at likely mistakes in `paths`: slashes, queries, `*`, percent-encoding. A hint is given only if the corrected path or match does
 * match.
 */

import { matchesGlob } from '../../match/glob.ts';
import { pathMistake } from '../../match/path-mistakes.ts';
import type { StringTest } from '../../match/string-match.ts';
import type { PathMatch } from '../../model/program.ts';
import { changed, far, formatPath, type Hint, near, spellingHint } from './hint.ts';

type Compile = (match: PathMatch) => StringTest;
type Guess = (match: PathMatch, saw: string, compile: Compile) => Hint | undefined;

/** The most obvious mistake first. */
const GUESSES: readonly Guess[] = [
  spellingHint,
  slashHint,
  queryHint,
  firstSlashHint,
  encodingHint,
  regularHint,
  starHint,
  segmentHint,
  sentPathHint,
];

/** The mistake in `match`, or in the path `saw` that a client sent, if one explains the miss; `undefined`: unknown. */
export function pathHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (saw === '') return undefined;
  for (const guess of GUESSES) {
    const hint = guess(match, saw, compile);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

function slashHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const matches = compile(match);
  const written = formatPath(match);
  if (matches(`${saw}/`)) {
    return near(
      match.kind === 'exact' ? `differs only in a trailing slash from ${written}` : `${written} does not match ${saw} itself: add ${saw}`,
    );
  }
  return saw.endsWith('/') && matches(saw.slice(0, -1)) ? near(`differs only in a trailing slash from ${written}`) : undefined;
}

function queryHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind === 'present' || !/[?#]/.test(match.value)) return undefined;
  const bare = { kind: 'exact', value: match.value.replace(/[?#].*$/s, '') } as const;
  return compile(bare)(saw) ? near(`a path is compared without its query: write ${bare.value}`) : undefined;
}

function firstSlashHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind === 'present' || match.kind === 'suffix' || match.value.startsWith('/')) return undefined;
  const fixed = changed(match, (value) => `/${value}`);
  return compile(fixed)(saw) ? near(`a path starts with a slash: write ${formatPath(fixed)}`) : undefined;
}

/** Policies are compared with what is sent, and clients percent-encode spaces and everything that is not ASCII. */
function encodingHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const fixed = changed(match, encodeURI);
  return compile(fixed)(saw) ? near(`a path is compared as the client sends it, percent-encoded: write ${formatPath(fixed)}`) : undefined;
}

/** A value that no request matches as it was intended. */
function regularHint(match: PathMatch): Hint | undefined {
  const mistake = match.kind === 'present' ? undefined : pathMistake(formatPath(match));
  return mistake === undefined ? undefined : far(`${mistake.reason}: ${mistake.instead}`);
}

function starHint(match: PathMatch, saw: string): Hint | undefined {
  if (match.kind === 'present' || match.kind === 'template' || !match.value.includes('*')) return undefined;
  const written = formatPath(match);
  if (!matchesGlob(written, saw)) return undefined;
  const isWhole = written.split('/').every((segment) => segment === '*' || !segment.includes('*'));
  return near(
    isWhole
      ? `* inside a path is literal: write ${written.replaceAll('*', '{*}')}`
      : '* inside a path is literal; {*} matches one whole segment, {**} any number of segments',
  );
}

function segmentHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind !== 'template' || match.value.includes('{**}')) return undefined;
  const at = match.value.lastIndexOf('{*}');
  const wider = { kind: 'template', value: `${match.value.slice(0, at)}{**}${match.value.slice(at + '{*}'.length)}` } as const;
  return compile(wider)(saw) ? near(`{*} matches one segment: ${wider.value} matches any number of segments`) : undefined;
}

/** Mistakes of the client: a path that would match in another form. */
function sentPathHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const matches = compile(match);
  if (matches(saw.replaceAll(/\/{2,}/g, '/'))) return near('the path contains //, which the path normalization MERGE_SLASHES would merge');
  if (matches(saw.replaceAll(/%2f|%5c/gi, '/').replaceAll(/\/{2,}/g, '/'))) {
    return near('the path contains an encoded slash, which the path normalization DECODE_AND_MERGE_SLASHES would decode');
  }
  const plain = saw.replaceAll(/;[^/]*/g, '');
  return plain !== saw && matches(plain) ? near(`everything after ; is part of the path: ${saw}`) : undefined;
}
