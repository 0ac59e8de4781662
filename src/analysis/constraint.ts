/*
 * What a clause of a program requires of one attribute of a request, and what makes it fail.
 */

import type { Clause, IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';

/** A match on Host that distinguishes upper and lower case: that of `request.headers[host]`, while `hosts` does not. */
export interface ExactCase {
  readonly kind: 'exactCase';
  readonly match: StringMatch;
}

/** A matcher of any attribute, in the form of the program. */
export type Matcher = StringMatch | PathMatch | IdentityMatch | ExactCase | string | number;

/** A requirement on one attribute: some value matches one of `matchers`, or no value matches any of them. */
export interface Constraint {
  /** Unique by content within one {@link ConstraintTable}. */
  readonly id: number;
  readonly key: AttributeKey;
  readonly matchers: readonly Matcher[];
  readonly holds: boolean;
}

/** Claims of one of the tokens of a request: `claim 0 ["groups"]`. */
export type ClaimKey = `claim ${0 | 1} ${string}`;

/** An attribute of a request. Constraints with equal keys are about the same values. */
export type AttributeKey =
  | 'path'
  | 'method'
  | 'host'
  | 'sni'
  | 'sourceIp'
  | 'remoteIp'
  | 'destinationIp'
  | 'port'
  | 'peer'
  | `header ${string}`
  | ClaimKey;

/** The token whose claims a clause reads; absent: the side sees no claims. */
export type TokenSlot = 0 | 1 | undefined;

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

/** The key of the claim at `path`. */
export function claimKey(slot: 0 | 1, path: readonly string[]): ClaimKey {
  return `claim ${slot} ${JSON.stringify(path)}`;
}

/** The claim that a key names. */
export function claimOfKey(key: ClaimKey): { readonly slot: 0 | 1; readonly path: readonly string[] } {
  return { slot: key.charAt('claim '.length) === '0' ? 0 : 1, path: JSON.parse(key.slice('claim 0 '.length)) as readonly string[] };
}

/** Is it the key of a claim? */
export function isClaimKey(key: AttributeKey): key is ClaimKey {
  return key.startsWith('claim ');
}

/** The attribute that a clause other than `requestPrincipal` reads; undefined: one that no request has. */
function keyOf(clause: Clause, slot: TokenSlot): AttributeKey | undefined {
  switch (clause.attribute) {
    case 'claim':
      return slot === undefined ? undefined : claimKey(slot, clause.path);
    case 'header':
      return headerKey(clause.name);
    case 'destinationPort':
      return 'port';
    case 'metadata':
    case 'requestPrincipal':
      return undefined;
    default:
      return clause.attribute;
  }
}

function headerKey(name: string): AttributeKey {
  if (!isPseudoHeader(name)) return `header ${name}`;
  if (name === ':method') return 'method';
  return name === ':authority' || name === 'host' ? 'host' : `header ${name}`;
}

interface MatcherLists {
  readonly anyOf?: readonly Matcher[];
  readonly noneOf?: readonly Matcher[];
}

function listsOf(clause: Exclude<Clause, { readonly attribute: 'requestPrincipal' }>): MatcherLists {
  if (clause.attribute !== 'header' || headerKey(clause.name) !== 'host') return clause;
  const exact = (matches: readonly StringMatch[]): readonly ExactCase[] => matches.map((match) => ({ kind: 'exactCase', match }));
  return {
    ...(clause.anyOf === undefined ? {} : { anyOf: exact(clause.anyOf) }),
    ...(clause.noneOf === undefined ? {} : { noneOf: exact(clause.noneOf) }),
  };
}

/** The alternatives that make a clause hold; empty: nothing does. */
export function waysToHold(clause: Clause, slot: TokenSlot, table: ConstraintTable): readonly Conjunction[] {
  if (clause.attribute === 'requestPrincipal') return principalHolds(clause, slot, table);
  const { anyOf, noneOf } = listsOf(clause);
  const key = keyOf(clause, slot);
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
  slot: TokenSlot,
  table: ConstraintTable,
  matches: (pair: RequestPrincipalMatch) => boolean,
): readonly Conjunction[] {
  if (clause.attribute === 'requestPrincipal') return principalFails(clause, slot, table, matches);
  const { anyOf, noneOf } = listsOf(clause);
  const key = keyOf(clause, slot);
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
