/*
 * The guard of a rule: clauses of which one must hold whenever the rule does, chosen so that few rules share what they look for.
 * In: the rules of an engine. Out: for each axis an index of guards, which gives the few rules that a request may match. Used by
 * `RuleSearch`.
 */
import type { Clause, Rule } from '../../model/program.ts';
import { isManyValued, type Lookup } from './axis.ts';
import { type AxisIndex, createLookups } from './lookups.ts';
import { createPosting, type Posting } from './posting.ts';
import { axisOf, isTokenClause, type Term, termsOf } from './term.ts';
import { countTerms, type TermCounts, weightOfTerm } from './term-counts.ts';
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
  /** By rule: the clause whose positive list holds if the guard found the rule; `undefined`: nothing is known to hold. */
  readonly implied: readonly (Clause | undefined)[];
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

/** Clauses of which one must hold, and the number of rules that a request may have to try then. */
interface Cover {
  readonly clauses: readonly Clause[];
  readonly weight: number;
}

function weightOf(clause: Clause, terms: readonly Term[], counts: TermCounts): number {
  const axis = axisOf(clause);
  let most = 0;
  for (const term of terms) most = Math.max(most, weightOfTerm(counts, axis, term));
  return most * DEARNESS[clause.attribute];
}

/** The best clause of one entry; `undefined`: anything passes it. */
function bestClause(clauses: readonly Clause[], counts: TermCounts): Cover | undefined {
  let best: Clause | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const clause of clauses) {
    const terms = termsOf(clause, 'anyOf');
    if (terms === undefined) continue;
    const weight = weightOf(clause, terms, counts);
    if (best === undefined || weight < fewest) {
      best = clause;
      fewest = weight;
    }
  }
  return best === undefined ? undefined : { clauses: [best], weight: fewest };
}

/** The best clauses of all entries; `undefined`: anything passes one of them. */
function coverEntries(entries: readonly (readonly Clause[])[], counts: TermCounts): Cover | undefined {
  const [first, second] = entries;
  if (first !== undefined && second === undefined) return bestClause(first, counts);
  const clauses: Clause[] = [];
  let weight = 0;
  for (const entry of entries) {
    const cover = bestClause(entry, counts);
    if (cover === undefined) return undefined;
    clauses.push(...cover.clauses);
    weight = Math.max(weight, cover.weight);
  }
  return { clauses, weight };
}

function coverOf({ to, from, when }: Rule, counts: TermCounts): Cover | undefined {
  return lightest(lightest(coverEntries(to, counts), coverEntries(from, counts)), bestClause(when, counts));
}

function lightest(left: Cover | undefined, right: Cover | undefined): Cover | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return right.weight < left.weight ? right : left;
}

interface AxisDraft {
  readonly clause: Clause;
  readonly draft: IndexDraft;
}

/** Chooses a guard for every rule and builds the indexes. */
export function buildGuards(rules: readonly Rule[]): Guards {
  const counts = countTerms(rules);
  const axes = new Map<string, AxisDraft>();
  const unguarded: number[] = [];
  const implied: (Clause | undefined)[] = [];
  for (let id = 0; id < rules.length; id++) {
    const cover = coverOf(rules[id] as Rule, counts);
    implied.push(cover === undefined ? undefined : addGuards(axes, cover.clauses, id));
    if (cover === undefined) unguarded.push(id);
  }
  return { ...finish([...axes.values()], unguarded), implied };
}

/** Gives the one clause that a hit proves, if it does. */
function addGuards(axes: Map<string, AxisDraft>, clauses: readonly Clause[], id: number): Clause | undefined {
  let proved: Clause | undefined;
  for (const clause of clauses) {
    const axis = axisOf(clause);
    let draft = axes.get(axis);
    if (draft === undefined) {
      draft = { clause, draft: createIndexDraft() };
      axes.set(axis, draft);
    }
    const terms = termsOf(clause, 'anyOf') as readonly Term[];
    for (const term of terms) addTerm(draft.draft, term, id);
    if (clauses.length === 1 && terms.every(({ exact }) => exact)) proved = clause;
  }
  return proved;
}

function finish(axes: readonly AxisDraft[], unguarded: readonly number[]): Omit<Guards, 'implied'> {
  const ofRequest: AxisIndex[] = [];
  const ofToken: AxisIndex[] = [];
  let worst = unguarded.length;
  for (const { clause, draft } of axes) {
    const index = buildTermIndex(draft, undefined);
    worst += isManyValued(clause) ? Number.POSITIVE_INFINITY : index.worst;
    (isTokenClause(clause) ? ofToken : ofRequest).push({ clause, index });
  }
  return {
    lookups: createLookups(ofRequest),
    tokenLookups: createLookups(ofToken),
    worst,
    unguarded: unguarded.length === 0 ? undefined : createPosting(unguarded, undefined, undefined),
  };
}
