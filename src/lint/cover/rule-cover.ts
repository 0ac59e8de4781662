/*
 * Decides whether one rule matches every request that another matches. Proves it clause by clause, within a budget of
 * comparisons; returns true only if it is certain.
 */
import type { Clause, Rule, StringMatch } from '../../policy/model/program.ts';
import { coversBlock, coversBytes, coversIdentity, coversPath, coversPrincipal, coversString } from './match-cover.ts';

/** Remaining comparisons of values; once it is used up, nothing is proved. */
export interface Budget {
  left: number;
}

/** Whether `wide` matches every request that `narrow` matches. */
export function coversRule(wide: Rule, narrow: Rule, budget: Budget): boolean {
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

/** A value in the lists of a clause on `A`. */
type ValueOf<A extends Clause['attribute'], C extends Clause = Clause> = C extends { readonly attribute: infer T }
  ? A extends T
    ? NonNullable<C['anyOf']>[number]
    : never
  : never;

type Covers = { readonly [A in Clause['attribute']]: (wide: ValueOf<A>, narrow: ValueOf<A>) => boolean };

const coversHead = (wide: StringMatch, narrow: StringMatch): boolean => coversBytes(wide, narrow, 'any');
const coversClaim = (wide: StringMatch, narrow: StringMatch): boolean => coversString(wide, narrow, 'non-empty');

const COVERS: Covers = {
  host: coversHead,
  method: (wide, narrow) => coversBytes(wide, narrow, 'non-empty'),
  header: coversHead,
  sni: (wide, narrow) => coversBytes(wide, narrow, 'non-empty'),
  claim: coversClaim,
  metadata: coversClaim,
  path: coversPath,
  sourceIp: coversBlock,
  remoteIp: coversBlock,
  destinationIp: coversBlock,
  destinationPort: (wide, narrow) => wide === narrow,
  peer: coversIdentity,
  requestPrincipal: coversPrincipal,
};

/** Compares two values of clauses on `attribute`. */
function coversValue(attribute: Clause['attribute'], wide: unknown, narrow: unknown, budget: Budget): boolean {
  budget.left -= 1;
  const covers = COVERS[attribute] as (wide: unknown, narrow: unknown) => boolean;
  return budget.left >= 0 && covers(wide, narrow);
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
