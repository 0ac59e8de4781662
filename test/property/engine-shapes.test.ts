/*
 * The indexed evaluator compared with the linear one on programs that are difficult for an index. Each program gets the requests of all
 * programs, which mostly miss it by a little.
 */
import { expect } from 'chai';
import { createIndexedEvaluator } from '../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import { adversaries } from '../bench/support/engine-adversaries.ts';
import { attributePrograms } from '../bench/support/engine-attributes.ts';

/** Few rules, which are tested one by one, and hundreds, which fill several words of a bitmap. */
const SIZES: readonly number[] = [3, 60, 500];

describe('the indexed evaluator on difficult programs', function () {
  for (const size of SIZES) {
    const shapes = [...adversaries(size), ...attributePrograms(size)];
    for (const { name, program } of shapes) {
      it(`returns the decision of the linear evaluator: ${name}, at most ${size} rules`, () => {
        const written = program();
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const { name: other, facts } of shapes) {
          const request = facts();
          // A token is handled differently the first time, the second time, and after that.
          for (let time = 0; time < 3; time++) expect(indexed.decide(request), other).to.deep.equal(plain.decide(request));
        }
      });
    }
  }
});
