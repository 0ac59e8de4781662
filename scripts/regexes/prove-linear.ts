/*
 * Proves that matching a regular expression takes time proportional to the length of the text.
 */
import recheck from 'recheck/lib/browser.js';
import type { Regex } from './find-regexes.ts';

/** The longest time of one proof; what takes longer is not proven. */
const TIMEOUT_MS = 120_000;

/**
 * Why `regex` is not proven to be linear; undefined: it is.
 *
 * The proof is that of recheck's automata, which count the paths of a backtracking engine over all texts, the search for a start
 * included. For an expression whose matches are searched for again and again it is the proof of the whole search: each match, or one
 * character where no match starts, then the next.
 */
export function superLinear({ source, flags, isRepeated }: Pick<Regex, 'source' | 'flags' | 'isRepeated'>): string | undefined {
  const isSticky = flags.includes('y');
  const plain = flags.replaceAll(/[gyd]/g, '');
  const searched = isRepeated ? `^(?:${isSticky ? `(?:${source})` : `(?:${source})|[^]`})*` : isSticky ? `^(?:${source})` : source;
  const { status, complexity, error } = recheck.checkSync(searched, plain, { checker: 'automaton', timeout: TIMEOUT_MS });
  if (status === 'safe') return undefined;
  return status === 'vulnerable' ? `its time is not linear: ${complexity?.summary ?? 'unknown'}` : `no proof: ${error?.kind ?? 'unknown'}`;
}
