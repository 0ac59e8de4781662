/*
 * Quick cases of "one rule matches every request that another matches": clause by clause and value by value, within a budget of comparisons.
 * True only if it is certain. `check` tries them before it asks the prover; admission, which has none, knows no others.
 */
import { blockContains, parseIpBlock } from '../../policy/match/ip-block.ts';
import { toByteMatch } from '../../policy/match/string-match.ts';
import type { Clause, RequestPrincipalMatch, Rule, StringMatch } from '../../policy/model/program.ts';

/** Remaining comparisons of values; once it is used up, nothing is certain. */
export interface Budget {
  left: number;
}

/** Is it certain that `wide` matches every request that `narrow` matches? */
export function quicklyCovers(wide: Rule, narrow: Rule, budget: Budget): boolean {
  return (
    narrow.to.every((entry) => wide.to.some((other) => coversAll(other, [...entry, ...narrow.when], budget))) &&
    narrow.from.every((entry) => wide.from.some((other) => coversAll(other, [...entry, ...narrow.when], budget))) &&
    coversAll(wide.when, narrow.when, budget)
  );
}

/** Whether each clause of `wide` holds if all of `narrow` hold. */
function coversAll(wide: readonly Clause[], narrow: readonly Clause[], budget: Budget): boolean {
  return wide.every((clause) => {
    const same = narrow.filter((other) => subjectOf(other) === subjectOf(clause));
    return coversPositive(clause, same, budget) && coversNegative(clause, same, budget);
  });
}

function coversPositive({ anyOf, ...clause }: Clause, same: readonly Clause[], budget: Budget): boolean {
  if (anyOf === undefined) return true;
  return same.some(
    (other) =>
      other.anyOf !== undefined && other.anyOf.every((value) => anyOf.some((wide) => coversValue(clause.attribute, wide, value, budget))),
  );
}

/** Values that `wide` excludes must be excluded by `narrow` as well. */
function coversNegative({ noneOf = [], ...clause }: Clause, same: readonly Clause[], budget: Budget): boolean {
  const left = same.flatMap((other): readonly unknown[] => other.noneOf ?? []);
  return noneOf.every((value) => left.some((wide) => coversValue(clause.attribute, wide, value, budget)));
}

/** Compares two values of clauses on `attribute`. */
function coversValue(attribute: Clause['attribute'], wide: unknown, narrow: unknown, budget: Budget): boolean {
  budget.left -= 1;
  if (budget.left < 0) return false;
  switch (attribute) {
    case 'destinationPort':
      return wide === narrow;
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return coversBlock(wide as string, narrow as string);
    case 'requestPrincipal': {
      const [outer, inner] = [wide as RequestPrincipalMatch, narrow as RequestPrincipalMatch];
      return coversText(outer.iss, inner.iss) && coversText(outer.sub, inner.sub);
    }
    case 'claim':
    case 'metadata':
    case 'peer':
      return coversText(wide as StringMatch, narrow as StringMatch);
    default:
      return coversBytes(attribute, wide as StringMatch, narrow as StringMatch);
  }
}

/** A match of a form that is not a string match covers only its equal. */
function coversText(wide: StringMatch, narrow: StringMatch): boolean {
  if (JSON.stringify(wide) === JSON.stringify(narrow)) return true;
  if (!('value' in narrow)) return false;
  // `*` requires one or more characters on one line; a value with a given prefix may go on in another line.
  if (wide.kind === 'present') return narrow.kind === 'exact' && narrow.value !== '' && !narrow.value.includes('\n');
  if (narrow.kind !== 'exact' && narrow.kind !== wide.kind) return false;
  if (wide.kind === 'prefix') return narrow.value.startsWith(wide.value);
  return wide.kind === 'suffix' && narrow.value.endsWith(wide.value);
}

/** The same for values of a request head, which are compared as bytes. */
function coversBytes(attribute: Clause['attribute'], wide: StringMatch, narrow: StringMatch): boolean {
  if (wide.kind === 'present') return attribute !== 'method' && attribute !== 'sni' ? true : coversText(wide, narrow);
  return coversText(asBytes(wide), asBytes(narrow));
}

/** A template of a path stays as it is: it has no `*` at its end. */
function asBytes(match: StringMatch): StringMatch {
  return match.kind === 'present' || match.kind === 'exact' || match.kind === 'prefix' || match.kind === 'suffix'
    ? toByteMatch(match)
    : match;
}

function coversBlock(wide: string, narrow: string): boolean {
  const [outer, inner] = [parseIpBlock(wide), parseIpBlock(narrow)];
  return outer !== undefined && inner !== undefined && outer.bits <= inner.bits && blockContains(outer, inner.words);
}

/** Key of the request value that a clause matches: clauses with the same key match the same value. */
export function subjectOf(clause: Clause): string {
  switch (clause.attribute) {
    case 'header':
      return `header ${clause.name}`;
    case 'claim':
      return `claim ${JSON.stringify(clause.path)}`;
    case 'metadata':
      return `metadata ${JSON.stringify([clause.filter, clause.path, clause.list])}`;
    default:
      return clause.attribute;
  }
}
