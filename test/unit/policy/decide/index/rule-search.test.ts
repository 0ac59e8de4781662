/*
 * The index compared with the linear evaluator on a few programs, always the same ones. test/property/engine.test.ts takes many, and others
 * each time.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { createIndexedEvaluator } from '../../../../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../../../../src/policy/decide/linear.ts';
import type { Program } from '../../../../../src/policy/model/program.ts';
import { caller, crowd, factsOf, head, program } from '../../../../property/engine-arbitraries.ts';
import { ruleset } from '../fixtures.ts';

const CALLERS = fc.sample(caller, { seed: 1, numRuns: 8 });
const HEADS = fc.sample(head, { seed: 1, numRuns: 8 });

/** Compares what they decide about HTTP requests. */
function expectSameDecisions({ http, ...others }: Program): void {
  const written: Program = { ...others, http, tcp: ruleset() };
  const plain = createLinearEvaluator(written);
  const indexed = createIndexedEvaluator(written);
  for (const one of CALLERS) {
    for (const other of HEADS) {
      const facts = factsOf(one, other);
      const expected = plain.decide(facts);
      const actual = indexed.decide(facts);
      if (actual.rule !== expected.rule || actual.allowed !== expected.allowed || 'audit' in expected || 'dryRunAllow' in expected)
        expect(actual).to.deep.equal(expected);
      const [steps, plainSteps] = [indexed.custom(facts, 'http'), plain.custom(facts, 'http')];
      if (steps.length + plainSteps.length > 0) expect(steps).to.deep.equal(plainSteps);
    }
  }
}

describe('the search for a rule', () => {
  it('finds what the linear evaluator finds among a few rules', () => {
    for (const written of fc.sample(program, { seed: 1, numRuns: 24 })) expectSameDecisions(written);
  });

  it('finds what the linear evaluator finds among hundreds of rules', () => {
    for (const written of fc.sample(crowd, { seed: 1, numRuns: 4 })) expectSameDecisions(written);
  });
});
