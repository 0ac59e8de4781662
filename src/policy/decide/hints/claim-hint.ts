/*
 * Hints at likely mistakes in `request.auth.claims[...]`: names, nesting, types, and strings that should be arrays.
 */

import type { Claims, Json } from '../../facts.ts';
import { lookUpClaim } from '../../match/claim.ts';
import { compileStringMatch } from '../../match/string-match.ts';
import type { StringMatch } from '../../model/program.ts';
import { commaList, far, type Hint, near, spellingHint } from './hint.ts';

/** More names than this are not listed. */
const MAX_NAMES = 12;

const compile = (match: StringMatch): ((value: string) => boolean) => compileStringMatch(match, 'non-empty');

/** Why the claim at `path` is not one of `wanted`; `undefined`: unknown. */
export function claimHint(path: readonly string[], wanted: readonly StringMatch[], claims: Claims): Hint | undefined {
  const value = lookUpClaim(claims, path);
  const name = path.join('.');
  if (value === undefined) return absentHint(path, claims);
  if (typeof value === 'string') return stringHint(name, value, wanted);
  if (Array.isArray(value)) return arrayHint(name, value as readonly Json[], wanted);
  if (value === null) return far(`claim ${name} is null`);
  const member = typeof value === 'object' ? memberHint(path, wanted, value as Claims) : undefined;
  if (member !== undefined) return member;
  const type = typeof value === 'object' ? 'an object' : `a ${typeof value}`;
  const note = `claim ${name} is ${type}; only strings and arrays of strings match`;
  return typeof value === 'object' ? far(note) : wanted.some((match) => compile(match)(String(value))) ? near(note) : far(note);
}

/** Some identity providers send roles as names of members; a policy can only compare the strings inside. */
function memberHint(path: readonly string[], wanted: readonly StringMatch[], claim: Claims): Hint | undefined {
  const name = Object.keys(claim).find((key) => wanted.some((match) => match.kind !== 'present' && compile(match)(key)));
  if (name === undefined) return undefined;
  const start = `${name} is the name of a member of claim ${path.join('.')}`;
  const leaf = pathToString(claim[name], [name]);
  return leaf === undefined
    ? near(`${start}, and only values are compared: let the identity provider send a flat claim`)
    : near(`${start}: use request.auth.claims${brackets([...path, ...leaf])} with values ["*"], or a flat claim of the identity provider`);
}

/** The names that lead to the first string in `value`, at most one level down. */
function pathToString(value: Json | undefined, path: readonly string[]): readonly string[] | undefined {
  if (typeof value === 'string' && value !== '') return path;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entry = Object.entries(value).find(([, inner]) => typeof inner === 'string' && inner !== '');
  return entry === undefined ? undefined : [...path, entry[0]];
}

function stringHint(name: string, value: string, wanted: readonly StringMatch[]): Hint | undefined {
  for (const match of wanted) {
    const spelling = spellingHint(match, value, compile);
    if (spelling !== undefined) return spelling;
    if (commaList(value).some(compile(match)))
      return near(`claim ${name} is one string with commas; only arrays are compared element by element`);
    if (value.split(' ').some(compile(match))) {
      return near(`claim ${name} is one string with spaces: add it to spaceDelimitedClaims of the JWT rule`);
    }
  }
  return undefined;
}

function arrayHint(name: string, values: readonly Json[], wanted: readonly StringMatch[]): Hint | undefined {
  if (values.length === 0) return far(`claim ${name} is an empty array`);
  const strings = values.filter((value) => typeof value === 'string');
  if (strings.length === 0) return far(`claim ${name} is an array without strings; only strings match`);
  for (const one of strings) {
    for (const match of wanted) {
      const spelling = spellingHint(match, one, compile);
      if (spelling !== undefined) return spelling;
    }
  }
  return undefined;
}

/** The name that was probably intended: without quotes, in different case, nested or flat. */
function absentHint(path: readonly string[], claims: Claims): Hint {
  const name = path.join('.');
  const intended = alternativePaths(path).find((other) => lookUpClaim(claims, other) !== undefined);
  if (intended !== undefined) return near(`claim ${name} is absent; the token has it as request.auth.claims${brackets(intended)}`);
  const depth = path.findIndex((_, index) => lookUpClaim(claims, path.slice(0, index + 1)) === undefined);
  const parent = depth === 0 ? claims : lookUpClaim(claims, path.slice(0, depth));
  if (typeof parent !== 'object' || parent === null || Array.isArray(parent)) {
    return far(`claim ${path.slice(0, depth).join('.')} is not an object, so ${name} is absent`);
  }
  const names = Object.keys(parent);
  const other = names.find((one) => one.toLowerCase() === path[depth]?.toLowerCase());
  if (other !== undefined) return near(`claim ${name} is absent; the token has ${other}: claim names are case-sensitive`);
  const where = depth === 0 ? 'the token' : path.slice(0, depth).join('.');
  return far(
    `claim ${name} is absent${names.length === 0 || names.length > MAX_NAMES ? '' : `; ${where} has ${names.toSorted().join(', ')}`}`,
  );
}

function alternativePaths(path: readonly string[]): readonly (readonly string[])[] {
  const bare = path.map((key) => key.replaceAll(/^["']|["']$/g, ''));
  const nested = bare.flatMap((key) => key.split('.'));
  return [bare, nested, [bare.join('.')], [bare.join('/')]].filter((other) => other.join('\n') !== path.join('\n'));
}

function brackets(path: readonly string[]): string {
  return path.map((key) => `[${key}]`).join('');
}
