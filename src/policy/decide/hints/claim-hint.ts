/*
 * Guesses at the mistake in `request.auth.claims[...]`: names, nesting, types, lists that are none. In: the clause and the
 * claims of the token. Out: one sentence, or nothing.
 */

import type { Claims, Json } from '../../facts.ts';
import { lookUpClaim } from '../../match/claim.ts';
import { compileStringMatch } from '../../match/string-match.ts';
import type { StringMatch } from '../../model/program.ts';
import { far, type Hint, near, spellingHint } from './hint.ts';

/** More names than this say nothing to anybody. */
const MAX_NAMES = 12;

const compile = (match: StringMatch): ((value: string) => boolean) => compileStringMatch(match, 'non-empty');

/** What keeps the claim at `path` from being one of `wanted`. */
export function claimHint(path: readonly string[], wanted: readonly StringMatch[], claims: Claims): Hint | undefined {
  const value = lookUpClaim(claims, path);
  const name = path.join('.');
  if (value === undefined) return absentHint(path, claims);
  if (typeof value === 'string') return textHint(name, value, wanted);
  if (Array.isArray(value)) return listHint(name, value as readonly Json[], wanted);
  if (value === null) return far(`claim ${name} is null`);
  const type = typeof value === 'object' ? 'an object' : `a ${typeof value}`;
  const note = `claim ${name} is ${type}; only strings and lists of strings match`;
  return typeof value === 'object' ? far(note) : wanted.some((match) => compile(match)(String(value))) ? near(note) : far(note);
}

function textHint(name: string, value: string, wanted: readonly StringMatch[]): Hint | undefined {
  for (const match of wanted) {
    const loose = spellingHint(match, value, compile);
    if (loose !== undefined) return loose;
    if (value.split(/\s*,\s*/).some(compile(match)))
      return near(`claim ${name} is one text with commas; only lists are compared item by item`);
    if (value.split(' ').some(compile(match))) {
      return near(`claim ${name} is one text with blanks: name it in spaceDelimitedClaims of the JWT rule`);
    }
  }
  return undefined;
}

function listHint(name: string, values: readonly Json[], wanted: readonly StringMatch[]): Hint | undefined {
  if (values.length === 0) return far(`claim ${name} is an empty list`);
  const texts = values.filter((value) => typeof value === 'string');
  if (texts.length === 0) return far(`claim ${name} is a list without strings; only strings in a list match`);
  for (const text of texts) {
    for (const match of wanted) {
      const loose = spellingHint(match, text, compile);
      if (loose !== undefined) return loose;
    }
  }
  return undefined;
}

/** The name that was probably meant: without quotes, in other letters, nested or flat. */
function absentHint(path: readonly string[], claims: Claims): Hint {
  const name = path.join('.');
  const meant = otherWays(path).find((other) => lookUpClaim(claims, other) !== undefined);
  if (meant !== undefined) return near(`claim ${name} is absent; the token has it as request.auth.claims${brackets(meant)}`);
  const depth = path.findIndex((_, index) => lookUpClaim(claims, path.slice(0, index + 1)) === undefined);
  const parent = depth === 0 ? claims : lookUpClaim(claims, path.slice(0, depth));
  if (typeof parent !== 'object' || parent === null || Array.isArray(parent)) {
    return far(`claim ${path.slice(0, depth).join('.')} is no object, so there is no ${name}`);
  }
  const names = Object.keys(parent);
  const other = names.find((one) => one.toLowerCase() === path[depth]?.toLowerCase());
  if (other !== undefined) return near(`claim ${name} is absent; the token has ${other}, and case counts`);
  const where = depth === 0 ? 'the token' : path.slice(0, depth).join('.');
  return far(
    `claim ${name} is absent${names.length === 0 || names.length > MAX_NAMES ? '' : `; ${where} has ${names.toSorted().join(', ')}`}`,
  );
}

function otherWays(path: readonly string[]): readonly (readonly string[])[] {
  const bare = path.map((key) => key.replaceAll(/^["']|["']$/g, ''));
  const nested = bare.flatMap((key) => key.split('.'));
  return [bare, nested, [bare.join('.')], [bare.join('/')]].filter((other) => other.join('\n') !== path.join('\n'));
}

function brackets(path: readonly string[]): string {
  return path.map((key) => `[${key}]`).join('');
}
