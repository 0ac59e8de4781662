/*
 * Compares which requests two programs let in: a proof that one lets in nothing that the other refuses, or a request that shows the
 * opposite.
 */
import { createEvaluator } from '../policy/decide/evaluator.ts';
import type { Claims } from '../policy/facts.ts';
import type { CustomStep, JwtProvider, Program, Rule, Ruleset } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { type Budget, createBudget, OutOfTime } from './budget.ts';
import { claimsOf, requestOf, type Values, type WitnessRequest } from './candidate.ts';
import { type ConstraintTable, claimOfKey, createConstraintTable, isClaimKey } from './constraint.ts';
import { type RuleWay, waysForRule } from './rule-ways.ts';
import { Disagreement, type Goal, Search, type SearchContext, type Side, serverKey } from './search.ts';
import type { SolvedAttribute } from './solve-attribute.ts';
import { type TokenCase, type TokenPlace, tokenCases } from './token-cases.ts';

/** A token of a witness, for the caller to sign. */
export interface WitnessToken {
  readonly claims: Claims;
  /** A JWT rule that accepts it. */
  readonly provider: JwtProvider;
}

/** A request or connection that the two programs decide differently. */
export interface Witness {
  readonly protocol: 'http' | 'tcp';
  readonly request: WitnessRequest;
  readonly tokens: readonly WitnessToken[];
  /** A place where the request has something that is not a token; absent: it has none. */
  readonly invalidTokenAt?: TokenPlace;
}

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
  if (JSON.stringify(before) === JSON.stringify(after)) return { widened: { kind: 'none' }, narrowed: { kind: 'none' } };
  const beyond = options.protocol === 'http' ? beyondAnalysis(before, after) : undefined;
  const side = (program: Program): Sides[0] => ({ ruleset: program[options.protocol], evaluator: createEvaluator(program) });
  const sides: Sides = [side(before), side(after)];
  const direction = (refusing: 0 | 1): Direction => new DirectionSearch([before, after], sides, refusing, options).run();
  // A witness is one whatever the search leaves out; but finding nothing proves nothing.
  const honest = (found: Direction): Direction =>
    found.kind === 'none' && beyond !== undefined ? { kind: 'undecided', reason: beyond } : found;
  return { widened: honest(direction(0)), narrowed: honest(direction(1)) };
}

/** Why the search does not cover every request; undefined: it does. */
function beyondAnalysis(before: Program, after: Program): string | undefined {
  if (before.pathNormalization !== after.pathNormalization) return 'the two sets normalize paths differently';
  if (JSON.stringify(before.trustedProxies) !== JSON.stringify(after.trustedProxies)) return 'the two sets trust different proxies';
  const hasPseudo = [...before.providers, ...after.providers].some((provider) =>
    [...provider.headers.map(({ name }) => name), ...outputsOf(provider)].some(isPseudoHeader),
  );
  return hasPseudo ? 'a JWT rule reads or writes a pseudo header' : undefined;
}

/** Lower-case names of the headers that tokens of the rule set. */
function outputsOf({ payloadHeader, claimHeaders }: JwtProvider): readonly string[] {
  return [payloadHeader, ...claimHeaders.map(({ header }) => header)].map((name) => name.toLowerCase());
}

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
  #impossible: number = 0;

  constructor(programs: readonly [Program, Program], sides: Sides, refusing: 0 | 1, options: CompareOptions) {
    this.#programs = programs;
    this.#sides = sides;
    this.#refusing = refusing;
    this.#options = options;
    this.#budget = createBudget(options.isOver);
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
    if (this.#options.protocol === 'tcp') return [{ seen: [undefined, undefined], constraints: [], accepting: [] }];
    return tokenCases(this.#programs[0].providers, this.#programs[1].providers, this.#table);
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
      outputs: new Set(this.#programs.flatMap(({ providers }) => providers.flatMap(outputsOf))),
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
    const seesSame = refusing.seen === admitting.seen;
    const changed = (own: readonly Rule[], others: readonly Rule[], isComparable: boolean): readonly Rule[] =>
      isComparable ? changedRules(own, others) : own;
    for (const rule of changed(refusing.ruleset.deny.rules, admitting.ruleset.deny.rules, seesSame)) {
      for (const way of waysForRule(rule, refusing.seen, context)) yield { reason: 'rule', way };
    }
    for (const rule of changed(refusalsOf(refusing.ruleset), refusalsOf(admitting.ruleset), true)) {
      for (const way of waysForRule(rule, undefined, context)) yield { reason: 'rule', way };
    }
    for (const step of refusing.ruleset.custom) {
      if (step.provider === undefined) continue;
      for (const rule of changedRules(step.rules, rulesOfServer(admitting.ruleset, step))) {
        for (const way of waysForRule(rule, undefined, context)) yield { reason: 'server', server: serverKey(step), way };
      }
    }
    if (!refusing.ruleset.allow.attached) return;
    if (!admitting.ruleset.allow.attached) yield { reason: 'no-allow-rule', way: anything };
    else {
      for (const rule of changed(admitting.ruleset.allow.rules, refusing.ruleset.allow.rules, seesSame)) {
        for (const way of waysForRule(rule, admitting.seen === 'refused' ? undefined : admitting.seen, context))
          yield { reason: 'no-allow-rule', way };
      }
    }
  }
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

function witnessOf(values: Values, { accepting, invalidAt }: TokenCase, protocol: 'http' | 'tcp'): Witness {
  const tokens = accepting.flatMap((providers, slot) => {
    const claims = claimsOf(values, slot === 0 ? 0 : 1);
    const provider = providers.find(({ issuer }) => issuer === '' || issuer === claims['iss']);
    return provider === undefined ? [] : [{ claims: withArrays(claims, values, provider), provider }];
  });
  return { protocol, request: requestOf(values), tokens, ...(invalidAt === undefined ? {} : { invalidTokenAt: invalidAt }) };
}

/** Claims that are split at spaces are written as arrays, so that a value may contain a space. */
function withArrays(claims: Claims, values: Values, { spaceDelimitedClaims }: JwtProvider): Claims {
  const delimited = new Set(spaceDelimitedClaims);
  const names = [...values.keys()].flatMap((key) => (isClaimKey(key) ? [claimOfKey(key).path] : []));
  return names.reduce<Claims>((all, [name = '', ...rest]) => {
    const value = all[name];
    return rest.length === 0 && delimited.has(name) && typeof value === 'string' ? { ...all, [name]: [value] } : all;
  }, claims);
}
