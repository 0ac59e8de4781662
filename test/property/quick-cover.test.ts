/*
 * A rule that a quick case reports as covered is covered: the prover says so, too, and whenever it matches a request, the evaluator matches
 * the covering rule. Rules have few clauses on few attributes, because otherwise no rule would ever cover another.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { createRuleProver } from '../../src/analysis/rule-prover.ts';
import { quicklyCovers } from '../../src/lint/cover/quick-cover.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import type { Clause, Program, Rule, Ruleset } from '../../src/policy/model/program.ts';
import { caller, clause, factsOf, head } from './engine-arbitraries.ts';

const RUNS = 10;
const REQUESTS = 20;
const UNBOUNDED = 1_000_000;
const LIMITS = { stepsPerQuestion: UNBOUNDED, steps: Number.POSITIVE_INFINITY };
const HTTP = { protocol: 'http', seesClaims: true } as const;

/** Shortens every list to one value: short lists often cover or miss each other. */
const shortClause: fc.Arbitrary<Clause> = clause.map(
  ({ anyOf, noneOf, ...rest }) =>
    ({
      ...rest,
      ...(anyOf !== undefined && { anyOf: anyOf.slice(0, 1) }),
      ...(noneOf !== undefined && { noneOf: noneOf.slice(0, 1) }),
    }) as Clause,
);

/** Two rules of two clauses each, in every placement, from a few clauses on the same attribute. */
function* rulesOf(clauses: readonly Clause[]): Generator<Rule> {
  for (const [index, one] of clauses.entries()) {
    const other = clauses[(index + 1) % clauses.length] ?? one;
    yield ruleOf([[one]], [[]], []);
    yield ruleOf([[one], [other]], [[]], []);
    yield ruleOf([[one, other]], [[]], []);
    yield ruleOf([[]], [[one], [other]], []);
    yield ruleOf([[one]], [[]], [other]);
  }
}

function ruleOf(to: Rule['to'], from: Rule['from'], when: Rule['when']): Rule {
  return { id: 'r', source: { kind: 'AuthorizationPolicy', namespace: 'n', name: 'p', generation: 0, rule: 0 }, from, to, when };
}

function matcherOf(rule: Rule): (facts: RequestFacts) => boolean {
  const none = { attached: false, rules: [] };
  const deny = { attached: true, rules: [rule] };
  const http: Ruleset = { custom: [], audit: none, deny, allow: none, dryRunDeny: none, dryRunAllow: none };
  const program: Program = { pathNormalization: 'BASE', trustedProxies: [], providers: [], http, tcp: http };
  const evaluator = createLinearEvaluator(program);
  return (facts) => !evaluator.decide(facts).allowed;
}

const handful: fc.Arbitrary<readonly Clause[]> = fc
  .array(shortClause, { minLength: 30, maxLength: 30 })
  .map((all) => Object.values(Object.groupBy(all, ({ attribute }) => attribute)).toSorted((a, b) => b.length - a.length)[0] ?? []);
const facts: fc.Arbitrary<readonly RequestFacts[]> = fc
  .array(fc.tuple(caller, head), { minLength: REQUESTS, maxLength: REQUESTS })
  .map((all) => all.map(([one, two]) => factsOf(one, two)));

describe('quicklyCovers', () => {
  it('reports no rule as covered that the prover or a request shows to match more', function () {
    let [covered, matched] = [0, 0];
    fc.assert(
      fc.property(handful, facts, (clauses, requests) => {
        const prover = createRuleProver('BASE', LIMITS);
        const rules = [...rulesOf(clauses)].map((rule) => {
          const isMatch = matcherOf(rule);
          return { rule, hits: requests.map(isMatch) };
        });
        for (const narrow of rules) {
          for (const wide of rules) {
            if (narrow === wide || !quicklyCovers(wide.rule, narrow.rule, { left: UNBOUNDED })) continue;
            covered++;
            const proven = prover.subsumes(wide.rule, narrow.rule, HTTP);
            if (proven !== true) expect.fail(`${proven}: ${JSON.stringify({ narrow: narrow.rule, wide: wide.rule })}`);
            const missed = requests.find((_, index) => narrow.hits[index] === true && wide.hits[index] !== true);
            matched += narrow.hits.filter(Boolean).length;
            if (missed !== undefined) expect.fail(JSON.stringify({ narrow: narrow.rule, wide: wide.rule, missed }));
          }
        }
      }),
      { numRuns: RUNS },
    );
    expect(covered, `covered`).to.be.greaterThan(RUNS);
    expect(matched, `matched`).to.be.greaterThan(RUNS);
  });
});
