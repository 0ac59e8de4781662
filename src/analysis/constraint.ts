/*
 * What a clause of a program requires of one attribute of a request, and what makes it fail.
 */

import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../policy/model/program.ts';
import { type AttributeKey, claimKey, type TokenSlot } from './attribute-key.ts';
import type { View } from './view.ts';

/** A match on any text around `value`: where JWT rules look for a token. */
export interface Containing {
  readonly kind: 'containing';
  readonly value: string;
}

/**
 * A match by the header that repeats an attribute: unlike `hosts`, that of Host distinguishes upper and lower case, and unlike `paths`, that of
 * `:path` is about the query, too.
 */
export interface Repeated {
  readonly kind: 'repeated';
  readonly match: StringMatch | Containing;
}

/** A match on a claim that no header can hold, because it contains a control character. */
export interface Unsendable {
  readonly kind: 'unsendable';
}

/** A matcher of any attribute, in the form of the program. */
export type Matcher = StringMatch | PathMatch | IdentityMatch | Containing | Repeated | Unsendable | string | number;

/** A requirement on one attribute: some value matches one of `matchers`, or no value matches any of them. */
export interface Constraint {
  /** Unique by content within one {@link ConstraintTable}. */
  readonly id: number;
  readonly key: AttributeKey;
  readonly matchers: readonly Matcher[];
  readonly holds: boolean;
}

/** Requirements that must all hold. */
export type Conjunction = readonly Constraint[];

/** Creates constraints, one object for each content. */
export interface ConstraintTable {
  create(key: AttributeKey, matchers: readonly Matcher[], holds: boolean): Constraint;
}

/** An empty table. */
export function createConstraintTable(): ConstraintTable {
  const byContent = new Map<string, Constraint>();
  return {
    create(key, matchers, holds) {
      const content = `${key} ${String(holds)} ${JSON.stringify(matchers)}`;
      const known = byContent.get(content);
      if (known !== undefined) return known;
      const created = { id: byContent.size, key, matchers, holds };
      byContent.set(content, created);
      return created;
    },
  };
}

/** The attribute that a clause other than `requestPrincipal` reads; undefined: one that no request has. */
function keyOf(clause: Clause, view: View): AttributeKey | undefined {
  switch (clause.attribute) {
    case 'claim': {
      const slot = view.slotOf(clause.path[0] ?? '');
      return slot === undefined ? undefined : claimKey(slot, clause.path);
    }
    case 'header':
      return view.keyOf(clause.name);
    case 'destinationPort':
      return 'port';
    case 'metadata':
    case 'requestPrincipal':
      return undefined;
    default:
      return clause.attribute;
  }
}

/** The matcher of a header, on the attribute that has its value. */
export function headerMatcher(key: AttributeKey, match: StringMatch | Containing): Matcher {
  return key === 'host' || key === 'path' ? { kind: 'repeated', match } : match;
}

interface MatcherLists {
  readonly anyOf?: readonly Matcher[];
  readonly noneOf?: readonly Matcher[];
}

function listsOf(clause: Exclude<Clause, { readonly attribute: 'requestPrincipal' }>, key: AttributeKey | undefined): MatcherLists {
  if (clause.attribute !== 'header' || key === undefined) return clause;
  const onAttribute = (matches: readonly StringMatch[]): readonly Matcher[] => matches.map((match) => headerMatcher(key, match));
  return {
    ...(clause.anyOf === undefined ? {} : { anyOf: onAttribute(clause.anyOf) }),
    ...(clause.noneOf === undefined ? {} : { noneOf: onAttribute(clause.noneOf) }),
  };
}

/** The alternatives that make a clause hold; empty: nothing does. */
export function waysToHold(clause: Clause, view: View, table: ConstraintTable): readonly Conjunction[] {
  if (clause.attribute === 'requestPrincipal') return principalHolds(clause, view.slot, table);
  const key = keyOf(clause, view);
  const { anyOf, noneOf } = listsOf(clause, key);
  if (key === undefined) return anyOf === undefined ? [[]] : [];
  return [
    [
      ...(anyOf === undefined ? [] : [table.create(key, anyOf, true)]),
      ...(noneOf === undefined || noneOf.length === 0 ? [] : [table.create(key, noneOf, false)]),
    ],
  ];
}

/**
 * The alternatives that make a clause fail; empty: nothing does.
 * @param matches does the current candidate match the pair? Other pairs of a list need not be excluded yet.
 */
export function waysToFail(
  clause: Clause,
  view: View,
  table: ConstraintTable,
  matches: (pair: RequestPrincipalMatch) => boolean,
): readonly Conjunction[] {
  if (clause.attribute === 'requestPrincipal') return principalFails(clause, view.slot, table, matches);
  const key = keyOf(clause, view);
  const { anyOf, noneOf } = listsOf(clause, key);
  if (key === undefined) return [];
  return [
    ...(anyOf === undefined ? [] : [[table.create(key, anyOf, false)]]),
    ...(noneOf === undefined || noneOf.length === 0 ? [] : [[table.create(key, noneOf, true)]]),
  ];
}

type PrincipalClause = Extract<Clause, { readonly attribute: 'requestPrincipal' }>;

interface Principals {
  readonly iss: StringMatch;
  readonly subs: readonly StringMatch[];
}

/** Pairs with the same issuer together, so that they are one alternative. */
function byIssuer(pairs: readonly RequestPrincipalMatch[]): readonly Principals[] {
  return [...Map.groupBy(pairs, ({ iss }) => JSON.stringify(iss)).values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ iss: first.iss, subs: group.map(({ sub }) => sub) }];
  });
}

const ISS: readonly string[] = ['iss'];
const SUB: readonly string[] = ['sub'];

/** Pairs of a negative list are excluded one by one, when a candidate matches them: see {@link excludePair}. */
function principalHolds({ anyOf }: PrincipalClause, slot: TokenSlot, table: ConstraintTable): readonly Conjunction[] {
  if (anyOf === undefined) return [[]];
  if (slot === undefined) return [];
  return byIssuer(anyOf).map((group) => [
    table.create(claimKey(slot, ISS), [group.iss], true),
    table.create(claimKey(slot, SUB), group.subs, true),
  ]);
}

/** The alternatives that exclude the pairs of `pairs` that the current candidate matches; undefined: it matches none. */
export function excludePair(
  pairs: readonly RequestPrincipalMatch[],
  slot: 0 | 1,
  table: ConstraintTable,
  matches: (pair: RequestPrincipalMatch) => boolean,
): readonly Conjunction[] | undefined {
  const matched = byIssuer(pairs).find(({ iss, subs }) => subs.some((sub) => matches({ iss, sub })));
  if (matched === undefined) return undefined;
  return [[table.create(claimKey(slot, SUB), matched.subs, false)], [table.create(claimKey(slot, ISS), [matched.iss], false)]];
}

function principalFails(
  { anyOf, noneOf = [] }: PrincipalClause,
  slot: TokenSlot,
  table: ConstraintTable,
  matches: (pair: RequestPrincipalMatch) => boolean,
): readonly Conjunction[] {
  if (slot === undefined) return [];
  return [
    ...(excludePair(anyOf ?? [], slot, table, matches) ?? []),
    ...byIssuer(noneOf).map((group) => [
      table.create(claimKey(slot, ISS), [group.iss], true),
      table.create(claimKey(slot, SUB), group.subs, true),
    ]),
  ];
}
