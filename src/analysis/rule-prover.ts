/*
 * Decides questions about single rules, whatever JWT rules and other rules are next to them: can a request match the rule, and does one
 * rule match whatever another matches?
 */
import type { PathNormalization } from '../api/mesh-config.ts';
import { compileRules, firstMatch } from '../policy/decide/compile-rules.ts';
import type { Decision } from '../policy/decide/decision.ts';
import type { RequestFacts } from '../policy/facts.ts';
import type { Rule } from '../policy/model/program.ts';
import { allowRuleset } from './allow-only.ts';
import { OutOfTime } from './budget.ts';
import { factsOf } from './candidate.ts';
import { type ConstraintTable, createConstraintTable } from './constraint.ts';
import { exampleOf } from './example-request.ts';
import { waysForRule } from './rule-ways.ts';
import { Disagreement, Search, type SearchContext, type Side } from './search.ts';
import type { SolvedAttribute } from './solve-attribute.ts';
import { SENT, sentView, type View } from './view.ts';

/** What a question about rules is about. */
export interface RuleQuestion {
  readonly protocol: 'http' | 'tcp';
  /** False for rules of CUSTOM, which are evaluated before tokens are verified. */
  readonly seesClaims: boolean;
}

/** Answers questions about rules; undefined: not decided within the limit. */
export interface RuleProver {
  /** Can a request match the rule? */
  canMatch(rule: Rule, question: RuleQuestion): boolean | undefined;
  /** Does `wide` match every request that `narrow` matches? */
  subsumes(wide: Rule, narrow: Rule, question: RuleQuestion): boolean | undefined;
}

/** Limits on the work, in steps and not in time, so that the same questions always have the same answers. */
export interface ProverLimits {
  readonly stepsPerQuestion: number;
  /** Of all questions together; when they are used up, no question is decided. */
  readonly steps: number;
}

/** A prover for a mesh with this normalization of paths. */
export function createRuleProver(pathNormalization: PathNormalization, limits: ProverLimits): RuleProver {
  return new Prover(pathNormalization, limits);
}

/** Questions whose constraints are kept, to reuse what is known of them. */
const QUESTIONS_PER_TABLE = 5000;

/** A rule as a program that lets in what it matches. */
interface Subject extends Pick<Side, 'ruleset' | 'evaluator'> {
  readonly isMatch: (facts: RequestFacts) => boolean;
  /** A request that it matches, by question; undefined: none is obvious. */
  readonly matched: Map<string, RequestFacts | undefined>;
}

function subjectOf(rules: readonly Rule[]): Subject {
  const compiled = compileRules(rules);
  const decide = (facts: RequestFacts): Decision => {
    const rule = firstMatch(compiled, facts, facts.claims);
    return rule === undefined ? { allowed: false, reason: 'no-allow-rule-matched' } : { allowed: true, reason: 'allow-rule', rule };
  };
  return {
    ruleset: allowRuleset(rules),
    evaluator: { custom: () => [], decide },
    isMatch: (facts) => decide(facts).allowed,
    matched: new Map(),
  };
}

class Prover implements RuleProver {
  readonly #pathNormalization: PathNormalization;
  readonly #limits: ProverLimits;
  readonly #nothing: Subject = subjectOf([]);
  readonly #subjects: WeakMap<Rule, Subject> = new WeakMap<Rule, Subject>();
  #table: ConstraintTable = createConstraintTable();
  #solved: Map<string, SolvedAttribute> = new Map<string, SolvedAttribute>();
  #questions: number = 0;
  #left: number;

  constructor(pathNormalization: PathNormalization, limits: ProverLimits) {
    this.#pathNormalization = pathNormalization;
    this.#limits = limits;
    this.#left = limits.steps;
  }

  canMatch(rule: Rule, question: RuleQuestion): boolean | undefined {
    return this.#example(rule, question) !== undefined || this.#finds(this.#nothing, rule, question);
  }

  subsumes(wide: Rule, narrow: Rule, question: RuleQuestion): boolean | undefined {
    const outer = this.#subject(wide);
    const known = this.#example(narrow, question);
    if (known !== undefined && !outer.isMatch(known)) return false;
    const found = this.#finds(outer, narrow, question);
    return found === undefined ? undefined : !found;
  }

  /** A request that the rule matches; undefined: none is known yet. */
  #example(rule: Rule, question: RuleQuestion): RequestFacts | undefined {
    const { matched, isMatch } = this.#subject(rule);
    const key = keyOf(question);
    if (matched.has(key)) return matched.get(key);
    const values = exampleOf(rule);
    const facts = values === undefined ? undefined : factsOf(values, sentView(question.seesClaims ? 0 : undefined), question.protocol);
    const example = facts !== undefined && isMatch(facts) ? facts : undefined;
    matched.set(key, example);
    return example;
  }

  /** Is there a request that `rule` matches and `refusing` does not let in? */
  #finds(refusing: Subject, rule: Rule, question: RuleQuestion): boolean | undefined {
    const { protocol, seesClaims } = question;
    const admitting = this.#subject(rule);
    const views: readonly View[] = protocol === 'http' && seesClaims ? [SENT, sentView(0)] : [SENT];
    const spend = this.#budget();
    try {
      return views.some((seen) => {
        const context: SearchContext = {
          protocol,
          table: this.#table,
          budget: { spend },
          pathNormalization: this.#pathNormalization,
          // A JWT rule may set any header from a claim, and decode any query.
          tokensSetHeaders: true,
          query: 'rewritten',
          confirm: (values) => {
            admitting.matched.set(keyOf(question), factsOf(values, seen, protocol));
            return true;
          },
        };
        const goal = { refusing: { ...refusing, seen }, admitting: { ...admitting, seen }, reason: 'no-allow-rule' } as const;
        const search = new Search(goal, context, this.#solved);
        for (const way of waysForRule(rule, seen, context)) if (search.run(way).kind === 'found') return true;
        return false;
      });
    } catch (error) {
      if (error instanceof OutOfTime || error instanceof Disagreement) return undefined;
      throw error;
    }
  }

  #subject(rule: Rule): Subject {
    const known = this.#subjects.get(rule);
    if (known !== undefined) return known;
    const created = subjectOf([rule]);
    this.#subjects.set(rule, created);
    return created;
  }

  #budget(): (steps: number) => void {
    if (this.#questions++ === QUESTIONS_PER_TABLE) {
      this.#questions = 0;
      this.#table = createConstraintTable();
      this.#solved = new Map();
    }
    let left = Math.min(this.#limits.stepsPerQuestion, this.#left);
    return (steps) => {
      left -= steps;
      this.#left -= steps;
      if (left < 0) throw new OutOfTime('the limit on the work is reached');
    };
  }
}

function keyOf({ protocol, seesClaims }: RuleQuestion): string {
  return `${protocol} ${seesClaims}`;
}
