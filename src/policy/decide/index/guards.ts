/*
 * The guard of a rule: one list of matches of which one must hold whenever the rule does, chosen so that few rules share it. In:
 * the rules of an engine. Out: for each axis an index of guards, which gives the few rules that a request may match. Used by
 * `RuleSearch`.
 */
import type { Clause, Rule } from '../../model/program.ts';
import { createLookup, isManyValued, type Lookup } from './axis.ts';
import { createPosting, type Posting } from './posting.ts';
import { axisOf, isTokenClause, type Term, termsOf } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft, type IndexDraft } from './term-index.ts';

export interface Guards {
  /** Lookups that depend on the request. */
  readonly lookups: readonly Lookup[];
  /** Lookups that depend on the token alone. */
  readonly tokenLookups: readonly Lookup[];
  /** Rules that have no guard; they are always candidates. */
  readonly unguarded: Posting | undefined;
  /** Most candidates that one request can have. */
  readonly worst: number;
}

/** A clause with its positive terms. */
interface Guard {
  readonly clause: Clause;
  readonly axis: string;
  readonly terms: readonly Term[];
  /** How many rules a request that passes may have to try; what its lookup costs is weighed in. */
  readonly weight: number;
}

/** What a lookup costs, as a factor: an axis that is dear must be the more selective for it. */
const DEARNESS: Readonly<Record<Clause['attribute'], number>> = {
  path: 1,
  method: 1.5,
  destinationPort: 1.5,
  claim: 1.2,
  requestPrincipal: 1.2,
  sni: 1.5,
  host: 1.5,
  sourceIp: 1.5,
  remoteIp: 1.5,
  destinationIp: 1.5,
  peer: 2,
  header: 3,
  metadata: 1,
};

/** Patterns may hold together where exact texts exclude each other. */
const PATTERN_FACTOR = 4;

type Frequencies = Map<string, Map<string, number>>;

function keyOf({ kind, text }: Term): string {
  return `${kind} ${text}`;
}

function readGuards(clauses: readonly Clause[]): readonly Omit<Guard, 'weight'>[] {
  const guards: Omit<Guard, 'weight'>[] = [];
  for (const clause of clauses) {
    const terms = termsOf(clause, 'anyOf');
    if (terms !== undefined) guards.push({ clause, axis: axisOf(clause), terms });
  }
  return guards;
}

/** The positive clauses of a rule, entry by entry. */
interface RuleGuards {
  readonly alternatives: readonly (readonly (readonly Omit<Guard, 'weight'>[])[])[];
}

function readRule(rule: Rule): RuleGuards {
  // Each clause of `when` guards alone, as an alternative with a single entry.
  return { alternatives: [rule.to.map(readGuards), rule.from.map(readGuards), ...readGuards(rule.when).map((guard) => [[guard]])] };
}

function countTerms(rules: readonly RuleGuards[]): Frequencies {
  const frequencies: Frequencies = new Map();
  for (const { alternatives } of rules) {
    for (const { axis, terms } of alternatives.flat(2)) {
      let counts = frequencies.get(axis);
      if (counts === undefined) {
        counts = new Map();
        frequencies.set(axis, counts);
      }
      for (const term of terms) counts.set(keyOf(term), (counts.get(keyOf(term)) ?? 0) + 1);
    }
  }
  return frequencies;
}

function weigh(guard: Omit<Guard, 'weight'>, frequencies: Frequencies, ruleCount: number): Guard {
  const counts = frequencies.get(guard.axis) as ReadonlyMap<string, number>;
  let most = 0;
  for (const term of guard.terms) {
    const count = term.kind === 'present' ? ruleCount : (counts.get(keyOf(term)) as number);
    most = Math.max(most, term.kind === 'exact' || term.kind === 'port' ? count : count * PATTERN_FACTOR);
  }
  return { ...guard, weight: most * DEARNESS[guard.clause.attribute] };
}

function lighter(left: Guard | undefined, right: Guard): Guard {
  return left === undefined || right.weight < left.weight ? right : left;
}

/** The best clause of each entry; `undefined`: an entry has none, and anything passes it. */
function coverOf(
  entries: readonly (readonly Omit<Guard, 'weight'>[])[],
  weighGuard: (guard: Omit<Guard, 'weight'>) => Guard,
): readonly Guard[] | undefined {
  const cover: Guard[] = [];
  for (const guards of entries) {
    const best = guards.map(weighGuard).reduce<Guard | undefined>(lighter, undefined);
    if (best === undefined) return undefined;
    cover.push(best);
  }
  return cover;
}

function weightOf(cover: readonly Guard[]): number {
  return cover.reduce((sum, { weight }) => Math.max(sum, weight), 0);
}

function bestCover({ alternatives }: RuleGuards, weighGuard: (guard: Omit<Guard, 'weight'>) => Guard): readonly Guard[] | undefined {
  let best: readonly Guard[] | undefined;
  for (const entries of alternatives) {
    const cover = coverOf(entries, weighGuard);
    if (cover !== undefined && (best === undefined || weightOf(cover) < weightOf(best))) best = cover;
  }
  return best;
}

interface AxisDraft {
  readonly clause: Clause;
  readonly draft: IndexDraft;
}

/** Chooses a guard for every rule and builds the indexes. */
export function buildGuards(rules: readonly Rule[]): Guards {
  const read = rules.map(readRule);
  const frequencies = countTerms(read);
  const axes = new Map<string, AxisDraft>();
  const unguarded: number[] = [];
  for (const [id, rule] of read.entries()) {
    const cover = bestCover(rule, (guard) => weigh(guard, frequencies, rules.length));
    if (cover === undefined) unguarded.push(id);
    else for (const guard of cover) addGuard(axes, guard, id);
  }
  return finish([...axes.values()], unguarded);
}

function addGuard(axes: Map<string, AxisDraft>, { axis, clause, terms }: Guard, id: number): void {
  let draft = axes.get(axis);
  if (draft === undefined) {
    draft = { clause, draft: createIndexDraft() };
    axes.set(axis, draft);
  }
  for (const term of terms) addTerm(draft.draft, term, id);
}

function finish(axes: readonly AxisDraft[], unguarded: readonly number[]): Guards {
  const lookups: Lookup[] = [];
  const tokenLookups: Lookup[] = [];
  let worst = unguarded.length;
  for (const { clause, draft } of axes) {
    const index = buildTermIndex(draft, 0);
    worst += isManyValued(clause) ? Number.POSITIVE_INFINITY : index.worst;
    (isTokenClause(clause) ? tokenLookups : lookups).push(createLookup(clause, index));
  }
  return { lookups, tokenLookups, worst, unguarded: unguarded.length === 0 ? undefined : createPosting(unguarded, undefined, 0) };
}
