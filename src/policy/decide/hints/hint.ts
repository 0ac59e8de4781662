/*
 * Hints: one sentence about the likely mistake behind a clause that did not hold. This file has the type and the mistakes that any string
 * can have: case and surrounding whitespace.
 */
import type { StringTest } from '../../match/string-match.ts';
import type { PathMatch, StringMatch } from '../../model/program.ts';

/** The likely mistake behind a clause that did not hold. */
export interface Hint {
  /** One sentence without a full stop. */
  readonly message: string;
  /** The clause would hold without this mistake; a near miss counts as half a match. */
  readonly near: boolean;
}

/** A hint at a mistake without which the clause would hold. */
export function near(message: string): Hint {
  return { message, near: true };
}

/** A hint that is useful but may not name the mistake. */
export function far(message: string): Hint {
  return { message, near: false };
}

/** The items of a value that has commas between them. */
export function commaList(value: string): readonly string[] {
  return value.split(',').map((item) => item.trim());
}

/** A match in the form in which policies write it. */
export function formatString(match: StringMatch): string {
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

/** A match on a path in the form in which policies write it. */
export function formatPath(match: PathMatch): string {
  return match.kind === 'template' ? match.value : formatString(match);
}

/** The match with its value replaced by `change(value)`. */
export function changed<M extends PathMatch>(match: M, change: (value: string) => string): M {
  return match.kind === 'present' ? match : { ...match, value: change(match.value) };
}

/** The hint for a value that differs from a match only in case or in surrounding whitespace. */
export function spellingHint<M extends PathMatch>(match: M, saw: string, compile: (match: M) => StringTest): Hint | undefined {
  const lower = (value: string): string => value.toLowerCase();
  if (compile(changed(match, lower))(lower(saw))) return near(`differs only in case from ${formatPath(match)}`);
  const trim = (value: string): string => value.trim();
  if (compile(changed(match, trim))(trim(saw))) return near(`differs only in surrounding whitespace from ${formatPath(match)}`);
  return undefined;
}
