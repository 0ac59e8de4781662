/*
 * Compares which requests two programs let in: a proof that one lets in nothing that the other refuses, or a request that shows the
 * opposite.
 */
import { createEvaluator } from '../policy/decide/evaluator.ts';
import type { CustomStep, Program, Rule, Ruleset } from '../policy/model/program.ts';
import { type Budget, createBudget, OutOfTime } from './budget.ts';
import { type ConstraintTable, createConstraintTable } from './constraint.ts';
import { type RuleWay, waysForRule } from './rule-ways.ts';
import { Disagreement, type Goal, Search, type SearchContext, type Side, serverKey } from './search.ts';
import type { SolvedAttribute } from './solve-attribute.ts';
import { NO_TOKENS, type SeenRequest, situationOf, type TokenCase, type TokenSituation, tokenCases } from './token-cases.ts';
import { SENT, type View } from './view.ts';
import { type Witness, witnessOf } from './witness.ts';

/** Whether one program lets in something that the other one refuses. */
export type Direction =
  | { readonly kind: 'none' }
  | { readonly kind: 'found'; readonly witness: Witness }
  /** Neither proven nor refuted. */
  | { readonly kind: 'undecided'; readonly reason: string };

/** What the second program does in comparison with the first. */
export interface Comparison {
  /** Does it let in what the first refuses? */
  readonly widened: Direction;
  /** Does it refuse what the first lets in? */
  readonly narrowed: Direction;
}

/** What a comparison needs. */
export interface CompareOptions {
  readonly protocol: 'http' | 'tcp';
  /** Is the time over? */
  readonly isOver: () => boolean;
  /** Is the witness let in by one program and refused by the other, in the real filter chain? */
  readonly confirm: (witness: Witness, direction: 'widened' | 'narrowed') => boolean;
}

/** Candidates that the filter chain decides alike, before a search gives up. */
const MAX_IMPOSSIBLE = 50;

/** Compares what `before` and `after` let in. */
export function comparePrograms(before: Program, after: Program, options: CompareOptions): Comparison {
  const direction = directionsOf(before, after, options);
  return { widened: direction(0), narrowed: direction(1) };
}

/** Does `admitting` let in anything that `refusing` refuses (`widened`)? Half of a comparison, for callers that need no more. */
export function findAdmitted(refusing: Program, admitting: Program, options: CompareOptions): Direction {
  return directionsOf(refusing, admitting, options)(0);
}

/** The search by the side that refuses: 0 for `before`. */
function directionsOf(before: Program, after: Program, options: CompareOptions): (refusing: 0 | 1) => Direction {
  if (JSON.stringify(before) === JSON.stringify(after)) return () => ({ kind: 'none' });
  const beyond = options.protocol === 'http' ? beyondAnalysis(before, after) : undefined;
  const side = (program: Program): Sides[0] => ({ ruleset: program[options.protocol], evaluator: createEvaluator(program) });
  const sides: Sides = [side(before), side(after)];
  return (refusing) => {
    const found = new DirectionSearch([before, after], sides, refusing, options).run();
    // A witness is one whatever the search leaves out; but finding nothing proves nothing.
    return found.kind === 'none' && beyond !== undefined ? { kind: 'undecided', reason: beyond } : found;
  };
}

/** Why the search does not cover every request; undefined: it does. */
function beyondAnalysis(before: Program, after: Program): string | undefined {
  if (before.pathNormalization !== after.pathNormalization) return 'the two sets normalize paths differently';
  if (JSON.stringify(before.trustedProxies) !== JSON.stringify(after.trustedProxies)) return 'the two sets trust different proxies';
  const { claims } = situationOf([before, after]);
  const isSplit = [...before.providers, ...after.providers].some(({ spaceDelimitedClaims }) =>
    spaceDelimitedClaims.some((name) => UNSPLIT.has(name) && claims.has(name)),
  );
  return isSplit ? 'a JWT rule splits the issuer, subject or audience at spaces, which policies read' : undefined;
}

/** Claims that the analysis takes for those that JWT rules themselves compare. */
const UNSPLIT: ReadonlySet<string> = new Set(['iss', 'sub', 'aud']);

type Sides = readonly [Omit<Side, 'seen'>, Omit<Side, 'seen'>];

/** A rule without its name and source. */
function contentOf({ from, to, when }: Rule): string {
  return JSON.stringify([from, to, when]);
}

/** Rules of `own` that `others` does not have. */
function changedRules(own: readonly Rule[], others: readonly Rule[]): readonly Rule[] {
  const known = new Set(others.map(contentOf));
  return own.filter((rule) => !known.has(contentOf(rule)));
}

/** The search in one direction, over all cases of tokens and all reasons to refuse. */
class DirectionSearch {
  readonly #programs: readonly [Program, Program];
  readonly #sides: Sides;
  readonly #refusing: 0 | 1;
  readonly #options: CompareOptions;
  readonly #table: ConstraintTable = createConstraintTable();
  readonly #budget: Budget;
  readonly #situation: TokenSituation;
  #impossible: number = 0;

  constructor(programs: readonly [Program, Program], sides: Sides, refusing: 0 | 1, options: CompareOptions) {
    this.#programs = programs;
    this.#sides = sides;
    this.#refusing = refusing;
    this.#options = options;
    this.#budget = createBudget(options.isOver);
    this.#situation = situationOf(programs);
  }

  run(): Direction {
    try {
      for (const one of this.#cases()) {
        const witness = this.#search(one);
        if (witness !== undefined) return { kind: 'found', witness };
      }
    } catch (error) {
      if (!(error instanceof OutOfTime || error instanceof TooManyImpossible || error instanceof Disagreement)) throw error;
      return { kind: 'undecided', reason: error.message };
    }
    return this.#impossible === 0 ? { kind: 'none' } : { kind: 'undecided', reason: IMPOSSIBLE };
  }

  #cases(): readonly TokenCase[] {
    if (this.#options.protocol === 'tcp') return [NO_TOKENS];
    return tokenCases(this.#situation, this.#table);
  }

  #search(tokenCase: TokenCase): Witness | undefined {
    const { protocol, confirm } = this.#options;
    const [refusing, admitting] = [this.#side(this.#refusing, tokenCase), this.#side(this.#refusing === 0 ? 1 : 0, tokenCase)];
    if (admitting.seen === 'refused') return undefined;
    let confirmed: Witness | undefined;
    const context: SearchContext = {
      protocol,
      table: this.#table,
      budget: this.#budget,
      pathNormalization: this.#programs[0].pathNormalization,
      tokensSetHeaders: false,
      query: tokenCase.query,
      confirm: (values) => {
        const witness = witnessOf(values, tokenCase, protocol);
        if (confirm(witness, this.#refusing === 0 ? 'widened' : 'narrowed')) {
          confirmed = witness;
          return true;
        }
        this.#impossible += 1;
        if (this.#impossible >= MAX_IMPOSSIBLE) throw new TooManyImpossible();
        return false;
      },
    };
    const solved = new Map<string, SolvedAttribute>();
    for (const { way, ...goal } of this.#goals(refusing, admitting, context)) {
      const start = { ...way, constraints: [...tokenCase.constraints, ...way.constraints] };
      if (new Search({ refusing, admitting, ...goal }, context, solved).run(start).kind === 'found') return confirmed;
    }
    return undefined;
  }

  /** Does a rule of DENY or ALLOW match the same requests through both views? */
  #seesSame(one: View, other: View): boolean {
    const isClaimShared = [...this.#situation.claims].every((name) => one.slotOf(name) === other.slotOf(name));
    return one.slot === other.slot && isClaimShared && [...this.#situation.read].every((name) => one.keyOf(name) === other.keyOf(name));
  }

  #side(index: 0 | 1, { seen }: TokenCase): Side {
    return { ...this.#sides[index], seen: seen[index] };
  }

  /** Where to search: for every reason that the refusing side has and the admitting one has not, the request that it is about. */
  *#goals(refusing: Side, admitting: Side, context: SearchContext): Generator<Pick<Goal, 'reason' | 'server'> & { readonly way: RuleWay }> {
    const anything: RuleWay = { constraints: [], guards: [] };
    if (refusing.seen === 'refused') {
      yield { reason: 'token', way: anything };
      return;
    }
    const view = viewOf(admitting.seen);
    const seesSame = this.#seesSame(viewOf(refusing.seen), view);
    const changed = (own: readonly Rule[], others: readonly Rule[], isComparable: boolean): readonly Rule[] =>
      isComparable ? changedRules(own, others) : own;
    for (const rule of changed(refusing.ruleset.deny.rules, admitting.ruleset.deny.rules, seesSame)) {
      for (const way of waysForRule(rule, viewOf(refusing.seen), context)) yield { reason: 'rule', way };
    }
    for (const rule of changed(refusalsOf(refusing.ruleset), refusalsOf(admitting.ruleset), true)) {
      for (const way of waysForRule(rule, SENT, context)) yield { reason: 'rule', way };
    }
    for (const step of refusing.ruleset.custom) {
      if (step.provider === undefined) continue;
      for (const rule of changedRules(step.rules, rulesOfServer(admitting.ruleset, step))) {
        for (const way of waysForRule(rule, SENT, context)) yield { reason: 'server', server: serverKey(step), way };
      }
    }
    if (!refusing.ruleset.allow.attached) return;
    if (!admitting.ruleset.allow.attached) yield { reason: 'no-allow-rule', way: anything };
    else {
      for (const rule of changed(admitting.ruleset.allow.rules, refusing.ruleset.allow.rules, seesSame)) {
        for (const way of waysForRule(rule, view, context)) yield { reason: 'no-allow-rule', way };
      }
    }
  }
}

function viewOf(seen: SeenRequest): View {
  return seen === 'refused' ? SENT : seen;
}

const IMPOSSIBLE = 'the difference that the analysis finds cannot be shown with a request';

class TooManyImpossible extends Error {
  override readonly name: string = 'TooManyImpossible';

  constructor() {
    super(IMPOSSIBLE);
  }
}

function refusalsOf({ custom }: Ruleset): readonly Rule[] {
  return custom.flatMap(({ provider, rules }) => (provider === undefined ? rules : []));
}

function rulesOfServer({ custom }: Ruleset, server: CustomStep): readonly Rule[] {
  return custom.flatMap((step) => (serverKey(step) === serverKey(server) ? step.rules : []));
}
