/*
 * Chooses an access predicate for every rule: clauses of which one must hold whenever the rule does, chosen so that few rules share
 * what the clauses compare with. One index per axis then gives the few rules that a request may match.
 */
import type { Steps } from '../../../steps.ts';
import type { Clause, Rule } from '../../model/program.ts';
import { isManyValued, type Lookup } from './terms/axis-lookup.ts';
import { type AxisIndex, createLookups } from './terms/lookups.ts';
import { createPosting, type Posting } from './terms/posting.ts';
import { axisOf, isTokenClause, type Term, termsOf } from './terms/term.ts';
import { countTerms, type TermCounts, weightOfTerm } from './terms/term-counts.ts';
import { addTerm, buildTermIndexInSteps, createIndexDraft, type IndexDraft } from './terms/term-index.ts';

/** The access predicates of a list of rules. */
export interface AccessPredicates {
  /** Lookups that depend on the request. */
  readonly lookups: readonly Lookup[];
  /** Lookups that depend on the token alone. */
  readonly tokenLookups: readonly Lookup[];
  /** Rules without an access predicate; they are always candidates. */
  readonly unconditional: Posting | undefined;
  /** Most candidates that one request can have. */
  readonly worst: number;
  /** By rule: the clause whose positive list holds if the access predicate found the rule; `undefined`: none is known to hold. */
  readonly implied: readonly (Clause | undefined)[];
}

/** Relative cost of a lookup: an expensive axis is chosen only if it is more selective. */
const LOOKUP_COST: Readonly<Record<Clause['attribute'], number>> = {
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

const RULES_PER_STEP = 32;
const TERMS_PER_STEP = 256;

/** Clauses of which one must hold, and the weighted number of rules that a request may have to test then. */
interface Cover {
  readonly clauses: readonly Clause[];
  readonly weight: number;
}

function weightOf(clause: Clause, terms: readonly Term[], counts: TermCounts): number {
  const axis = axisOf(clause);
  let most = 0;
  for (const term of terms) most = Math.max(most, weightOfTerm(counts, axis, term));
  return most * LOOKUP_COST[clause.attribute];
}

/** The best clause of one entry; `undefined`: the entry matches anything. */
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

/** The best clauses of all entries; `undefined`: one of them matches anything. */
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

/** Chooses an access predicate for every rule and builds the indexes. */
export function* buildAccessPredicates(rules: readonly Rule[]): Steps<AccessPredicates> {
  const counts = yield* countTerms(rules);
  yield;
  const axes = new Map<string, AxisDraft>();
  const unconditional: number[] = [];
  const implied: (Clause | undefined)[] = [];
  for (let id = 0; id < rules.length; id++) {
    const cover = coverOf(rules[id] as Rule, counts);
    implied.push(cover === undefined ? undefined : yield* addPredicates(axes, cover.clauses, id));
    if (cover === undefined) unconditional.push(id);
    if (id % RULES_PER_STEP === RULES_PER_STEP - 1) yield;
  }
  yield;
  return { ...(yield* finish([...axes.values()], unconditional)), implied };
}

/** Adds the terms of `clauses`. Returns the clause that a hit proves; `undefined`: a hit proves none. */
function* addPredicates(axes: Map<string, AxisDraft>, clauses: readonly Clause[], id: number): Steps<Clause | undefined> {
  let proved: Clause | undefined;
  for (const clause of clauses) {
    const axis = axisOf(clause);
    let draft = axes.get(axis);
    if (draft === undefined) {
      draft = { clause, draft: createIndexDraft() };
      axes.set(axis, draft);
    }
    const terms = termsOf(clause, 'anyOf') as readonly Term[];
    for (const [at, term] of terms.entries()) {
      if (at % TERMS_PER_STEP === TERMS_PER_STEP - 1) yield;
      addTerm(draft.draft, term, id);
    }
    if (clauses.length === 1 && terms.every(({ exact }) => exact)) proved = clause;
  }
  return proved;
}

function* finish(axes: readonly AxisDraft[], unconditional: readonly number[]): Steps<Omit<AccessPredicates, 'implied'>> {
  const ofRequest: AxisIndex[] = [];
  const ofToken: AxisIndex[] = [];
  let worst = unconditional.length;
  for (const { clause, draft } of axes) {
    const index = yield* buildTermIndexInSteps(draft, undefined);
    worst += isManyValued(clause) ? Number.POSITIVE_INFINITY : index.worst;
    (isTokenClause(clause) ? ofToken : ofRequest).push({ clause, index });
    yield;
  }
  return {
    lookups: createLookups(ofRequest),
    tokenLookups: createLookups(ofToken),
    worst,
    unconditional: unconditional.length === 0 ? undefined : createPosting(unconditional, undefined, undefined),
  };
}
