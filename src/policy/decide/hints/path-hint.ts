/*
 * Guesses at the mistake in `paths`: slashes, queries, stars, percent-encoding. In: one match and the path that was judged.
 * Out: one sentence, or nothing. Each guess is tried: the path or the match is changed, and must fit then.
 */
import type { StringTest } from '../../match/string-match.ts';
import type { PathMatch } from '../../model/program.ts';
import { changed, type Hint, near, pathText, spellingHint } from './hint.ts';

type Compile = (match: PathMatch) => StringTest;
type Guess = (match: PathMatch, saw: string, compile: Compile) => Hint | undefined;

/** Cheapest mistake to see first. */
const GUESSES: readonly Guess[] = [spellingHint, slashHint, queryHint, firstSlashHint, encodingHint, starHint, segmentHint, sentPathHint];

/** What is wrong with `match`, or with the path that a client sent, when a mistake explains it. */
export function pathHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (saw === '') return undefined;
  for (const guess of GUESSES) {
    const hint = guess(match, saw, compile);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

function slashHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const takes = compile(match);
  const text = pathText(match);
  if (takes(`${saw}/`)) {
    return near(
      match.kind === 'exact' ? `differs only in a slash at the end from ${text}` : `${text} does not take ${saw} itself: add ${saw}`,
    );
  }
  return saw.endsWith('/') && takes(saw.slice(0, -1)) ? near(`differs only in a slash at the end from ${text}`) : undefined;
}

function queryHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind === 'present' || !/[?#]/.test(match.value)) return undefined;
  const bare = { kind: 'exact', value: match.value.replace(/[?#].*$/s, '') } as const;
  return compile(bare)(saw) ? near(`a path is compared without its query: write ${bare.value}`) : undefined;
}

function firstSlashHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind === 'present' || match.kind === 'suffix' || match.value.startsWith('/')) return undefined;
  const fixed = changed(match, (text) => `/${text}`);
  return compile(fixed)(saw) ? near(`a path begins with a slash: write ${pathText(fixed)}`) : undefined;
}

/** Policies are compared with what is sent, and clients encode blanks and whatever is not ASCII. */
function encodingHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const fixed = changed(match, encodeURI);
  return compile(fixed)(saw) ? near(`a path is compared as it is sent, percent-encoded: write ${pathText(fixed)}`) : undefined;
}

function starHint(match: PathMatch, saw: string): Hint | undefined {
  if (match.kind === 'present' || match.kind === 'template' || !match.value.includes('*')) return undefined;
  const text = pathText(match);
  if (!fitsGlob(text, saw)) return undefined;
  const isWhole = text.split('/').every((segment) => segment === '*' || !segment.includes('*'));
  return near(
    isWhole
      ? `a star inside a path is literal: write ${text.replaceAll('*', '{*}')}`
      : 'a star inside a path is literal; {*} stands for one whole segment, {**} for any number of them',
  );
}

/** Each star takes any text; linear, for texts are a stranger's. */
function fitsGlob(glob: string, text: string): boolean {
  const parts = glob.split('*');
  const [first, last] = [parts[0] as string, parts.at(-1) as string];
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

function segmentHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  if (match.kind !== 'template' || match.value.includes('{**}')) return undefined;
  const at = match.value.lastIndexOf('{*}');
  const wider = { kind: 'template', value: `${match.value.slice(0, at)}{**}${match.value.slice(at + '{*}'.length)}` } as const;
  return compile(wider)(saw) ? near(`{*} takes one segment: ${wider.value} takes any number`) : undefined;
}

/** What the path would have to be, were it written in another way. */
function sentPathHint(match: PathMatch, saw: string, compile: Compile): Hint | undefined {
  const takes = compile(match);
  if (takes(saw.replaceAll(/\/{2,}/g, '/'))) return near('the path holds //, which the path normalization MERGE_SLASHES would merge');
  if (takes(saw.replaceAll(/%2f|%5c/gi, '/').replaceAll(/\/{2,}/g, '/'))) {
    return near('the path holds an encoded slash, which the path normalization DECODE_AND_MERGE_SLASHES would decode');
  }
  const plain = saw.replaceAll(/;[^/]*/g, '');
  return plain !== saw && takes(plain) ? near(`what follows ; belongs to the path: ${saw}`) : undefined;
}
