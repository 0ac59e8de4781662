import { expect } from 'chai';
import fc from 'fast-check';
import { allowOnly } from '../../../src/analysis/allow-only.ts';
import { factsOf } from '../../../src/analysis/candidate.ts';
import { findAdmitted } from '../../../src/analysis/compare-programs.ts';
import { exampleOf } from '../../../src/analysis/example-request.ts';
import { createRuleProver, type RuleProver } from '../../../src/analysis/rule-prover.ts';
import { sentView } from '../../../src/analysis/view.ts';
import { normalizePath } from '../../../src/http/normalize/normalize-path.ts';
import { compileRules, matchesRule } from '../../../src/policy/decide/compile-rules.ts';
import type { Clause, Program, Rule } from '../../../src/policy/model/program.ts';
import { modelFacts, modelPair, requestsOver } from '../../support/analysis-model.ts';

const HTTP = { protocol: 'http', seesClaims: true } as const;
const MODES = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const;
const LIMITS = { stepsPerQuestion: 1_000_000, steps: Number.POSITIVE_INFINITY };

function prover(limits = LIMITS): RuleProver {
  return createRuleProver('BASE', limits);
}

function ruleOf(...when: readonly Clause[]): Rule {
  const source = { kind: 'AuthorizationPolicy', namespace: 'n', name: 'p', generation: 0, rule: 0 } as const;
  return { id: 'r', source, from: [[]], to: [[]], when };
}

function paths(anyOf: readonly string[], noneOf?: readonly string[]): Clause {
  const exact = (all: readonly string[]): { kind: 'exact'; value: string }[] => all.map((value) => ({ kind: 'exact', value }));
  return { attribute: 'path', field: 'paths', anyOf: exact(anyOf), ...(noneOf === undefined ? {} : { noneOf: exact(noneOf) }) };
}

describe('createRuleProver', () => {
  it('agrees with brute force over every request of a small vocabulary', () => {
    let [subsumed, unmatched] = [0, 0];
    fc.assert(
      fc.property(modelPair, ({ attributes, programs }) => {
        const rules = programs.flatMap(({ http }) => [...http.allow.rules, ...http.deny.rules]);
        const requests = [...requestsOver(attributes)].map((request) => modelFacts(request));
        const hits = compileRules(rules).map((rule) => requests.map((facts) => matchesRule(rule, facts, facts.claims)));
        const asked = prover();
        for (const [at, rule] of rules.entries()) {
          const canMatch = asked.canMatch(rule, HTTP);
          expect(canMatch, 'decided').to.not.equal(undefined);
          if (canMatch === false) {
            unmatched += 1;
            expect(hits[at], JSON.stringify(rule)).to.not.include(true);
          }
          for (const [index, wide] of rules.entries()) {
            const answer = asked.subsumes(wide, rule, HTTP);
            expect(answer, 'decided').to.not.equal(undefined);
            if (answer !== true) continue;
            subsumed += 1;
            const missed = requests.find((_, position) => hits[at]?.[position] === true && hits[index]?.[position] !== true);
            expect(missed, JSON.stringify({ wide, rule })).to.equal(undefined);
          }
        }
      }),
      { numRuns: 12 },
    );
    expect(subsumed).to.be.greaterThan(0);
    expect(unmatched).to.be.greaterThan(0);
  });

  it('has examples of rules only where the search finds the rule possible, and as paths that normalization leaves as they are', () => {
    let examples = 0;
    fc.assert(
      fc.property(modelPair, fc.constantFrom('http' as const, 'tcp' as const), ({ programs }, protocol) => {
        for (const program of programs) {
          for (const rule of [...program.http.allow.rules, ...program.http.deny.rules]) {
            const [values, [compiled]] = [exampleOf(rule), compileRules([rule])];
            if (values === undefined || compiled === undefined) continue;
            const facts = factsOf(values, sentView(0), protocol);
            if (!matchesRule(compiled, facts, facts.claims)) continue;
            examples += 1;
            const [nothing, own] = [[], [rule]].map((rules) => allowOnly(program, { http: rules, tcp: rules }));
            const found = findAdmitted(nothing as Program, own as Program, { protocol, isOver: () => false, confirm: () => true });
            expect(found.kind, JSON.stringify(rule)).to.equal('found');
            for (const mode of MODES) expect(normalizePath(facts.path || '/', mode)).to.equal(facts.path || '/');
          }
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
    expect(examples).to.be.greaterThan(500);
  });

  for (const value of ['/a/../b', '/a//b', '/./a', '/a%2e', 'a', '/a?b', '/a;b', '/a b']) {
    it(`has no example for the path ${value}`, () => {
      expect(exampleOf(ruleOf(paths([value])))).to.equal(undefined);
    });
  }

  it('sees no claims in rules of CUSTOM', () => {
    const rule = ruleOf({ attribute: 'claim', field: 'claims', path: ['g'], anyOf: [{ kind: 'present' }] });

    expect(prover().canMatch(rule, HTTP)).to.equal(true);
    expect(prover().canMatch(rule, { protocol: 'http', seesClaims: false })).to.equal(false);
  });

  it('takes any header for possible, because a JWT rule may set it', () => {
    const rule = ruleOf({ attribute: 'header', field: 'headers', name: 'connection', anyOf: [{ kind: 'exact', value: ' x' }] });

    expect(prover().canMatch(rule, HTTP)).to.equal(true);
  });

  it('knows that exact values may be all that is left', () => {
    expect(prover().canMatch(ruleOf(paths(['/a', '/b'], ['/a', '/b'])), HTTP)).to.equal(false);
    expect(prover().subsumes(ruleOf(paths(['/b'])), ruleOf(paths(['/a', '/b'], ['/a'])), HTTP)).to.equal(true);
    expect(prover().subsumes(ruleOf(paths(['/b'])), ruleOf(paths(['/a', '/b'])), HTTP)).to.equal(false);
  });

  it('decides nothing when the limit on the work is reached', () => {
    const rule = ruleOf(paths(['/a', '/b'], ['/a', '/b']));
    const tired = prover({ stepsPerQuestion: 1_000_000, steps: 3 });

    expect(prover({ stepsPerQuestion: 3, steps: 1_000_000 }).canMatch(rule, HTTP)).to.equal(undefined);
    expect([tired.canMatch(rule, HTTP), tired.subsumes(rule, rule, HTTP)]).to.deep.equal([undefined, undefined]);
  });
});
