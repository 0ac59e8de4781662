/*
 * What a hint is, and the mistakes that any text can have: case, blanks. In: texts and matches. Out: one sentence. Used by the
 * hints of each attribute.
 */
import type { StringTest } from '../../match/string-match.ts';
import type { PathMatch, StringMatch } from '../../model/program.ts';

/** A guess at the mistake behind a clause that failed. */
export interface Hint {
  /** One sentence, for people. */
  readonly text: string;
  /** The value would do but for this: such a miss counts as half a match. */
  readonly near: boolean;
}

/** The mistake is all that is wrong. */
export function near(text: string): Hint {
  return { text, near: true };
}

/** Worth saying, and yet perhaps not the mistake. */
export function far(text: string): Hint {
  return { text, near: false };
}

/** A match as one would write it in a policy. */
export function stringText(match: StringMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value;
    case 'prefix':
      return `${match.value}*`;
    case 'suffix':
      return `*${match.value}`;
    case 'present':
      return '*';
  }
}

/** Likewise for paths. */
export function pathText(match: PathMatch): string {
  return match.kind === 'template' ? match.value : stringText(match);
}

/** The match with its text changed by `change`. */
export function changed<M extends PathMatch>(match: M, change: (text: string) => string): M {
  return match.kind === 'present' ? match : { ...match, value: change(match.value) };
}

/** A value that differs from what a match takes by case or by blanks around it. */
export function spellingHint<M extends PathMatch>(match: M, saw: string, compile: (match: M) => StringTest): Hint | undefined {
  const lower = (text: string): string => text.toLowerCase();
  if (compile(changed(match, lower))(lower(saw))) return near(`differs only in case from ${pathText(match)}`);
  const trim = (text: string): string => text.trim();
  if (compile(changed(match, trim))(trim(saw))) return near(`differs only in blanks from ${pathText(match)}`);
  return undefined;
}
