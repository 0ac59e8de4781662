/*
 * The indexed evaluator against the plain one on the shapes of programs that the bench finds hard: each program with the requests
 * of all of them, which mostly miss it by a little.
 */
import { expect } from 'chai';
import { createIndexedEvaluator } from '../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import { adversaries } from '../bench/support/engine-adversaries.ts';
import { attributePrograms } from '../bench/support/engine-attributes.ts';

/** Few rules, which are tried one by one; some hundreds, which fill several words of bits. */
const SIZES: readonly number[] = [3, 60, 500];

describe('the indexed evaluator on hard shapes', function () {
  this.timeout(60_000);

  for (const size of SIZES) {
    const shapes = [...adversaries(size), ...attributePrograms(size)];
    for (const { name, program } of shapes) {
      it(`decides as the plain one does: ${name}, ${size} rules at most`, () => {
        const written = program();
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const { name: other, facts } of shapes) {
          const request = facts();
          // The first time, the second, and from then on a token is treated differently.
          for (let time = 0; time < 3; time++) expect(indexed.decide(request), other).to.deep.equal(plain.decide(request));
        }
      });
    }
  }
});
