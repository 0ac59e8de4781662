/*
 * Does one rule match every request that another matches? In: two rules as they are enforced. Out: true only when that can be
 * proved clause by clause, within a budget. Called by covered-rules.
 */
import type { Clause, Rule, StringMatch } from '../../policy/model/program.ts';
import { coversBlock, coversBytes, coversIdentity, coversPath, coversPrincipal, coversText } from './match-cover.ts';

/** Comparisons of values that are still allowed; where there are none left, nothing is proved. */
export interface Budget {
  left: number;
}

/** Is every request that `narrow` matches matched by `wide`? */
export function coversRule(wide: Rule, narrow: Rule, budget: Budget): boolean {
  return (
    narrow.to.every((entry) => wide.to.some((other) => coversAll(other, [...entry, ...narrow.when], budget))) &&
    narrow.from.every((entry) => wide.from.some((other) => coversAll(other, [...entry, ...narrow.when], budget))) &&
    coversAll(wide.when, narrow.when, budget)
  );
}

/** Where `narrow` holds, does each clause of `wide` hold? */
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

/** What `wide` leaves out must be left out by `narrow` as well. */
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
const coversClaim = (wide: StringMatch, narrow: StringMatch): boolean => coversText(wide, narrow, 'non-empty');

const COVERS: Covers = {
  host: coversHead,
  method: coversHead,
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

/** Both values are of clauses on `attribute`. */
function coversValue(attribute: Clause['attribute'], wide: unknown, narrow: unknown, budget: Budget): boolean {
  budget.left -= 1;
  const covers = COVERS[attribute] as (wide: unknown, narrow: unknown) => boolean;
  return budget.left >= 0 && covers(wide, narrow);
}

/** What a clause is about: two clauses of one subject look at the same value of a request. */
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
