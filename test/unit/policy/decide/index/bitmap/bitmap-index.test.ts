/*
 * More rules than are tested one by one, with templates next to other values, so that bitmaps decide which are tested.
 */
import { expect } from 'chai';
import { createIndexedEvaluator } from '../../../../../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../../../../../src/policy/decide/linear.ts';
import type { Clause, PathMatch, Rule } from '../../../../../../src/policy/model/program.ts';
import { engine, factsWith, programOf, rule } from '../../fixtures.ts';

const VALUES: readonly PathMatch[] = [
  { kind: 'template', value: '/a/{*}/b' },
  { kind: 'template', value: '/a/{**}' },
  { kind: 'template', value: '/{*}' },
  { kind: 'exact', value: '/a/x/b' },
  { kind: 'exact', value: '/a' },
  { kind: 'prefix', value: '/a/' },
  { kind: 'prefix', value: '/a/x' },
  { kind: 'suffix', value: '/b' },
];
const PATHS = ['/', '/a', '/a/', '/a/x', '/a/xy', '/a/x/b', '/a/x/c', '/a/x/b/c', '/b', '/c/d/b', '/a/x/b/'];

const except = (...methods: readonly [string, ...string[]]): Clause => {
  const [first, ...others] = methods.map((value) => ({ kind: 'exact', value }) as const);
  return { attribute: 'method', field: 'notMethods', noneOf: [first ?? { kind: 'exact', value: '' }, ...others] };
};

/** Sixty rules that exclude both methods, and one that excludes GET: their paths alone make them candidates. */
function rulesWith(values: readonly PathMatch[]): readonly Rule[] {
  const path: Clause = { attribute: 'path', field: 'paths', anyOf: values as [PathMatch, ...PathMatch[]] };
  return Array.from({ length: 61 }, (_, at) => rule(`p${at}`, { to: [[path, at === 60 ? except('GET') : except('GET', 'POST')]] }));
}

describe('rules with templates next to other paths', () => {
  for (const first of VALUES.slice(0, 3)) {
    for (const second of VALUES) {
      it(`deny by ${first.kind === 'template' && first.value} and ${second.kind} ${second.kind === 'present' ? '' : second.value}`, () => {
        const program = programOf({ deny: engine(...rulesWith([first, second])) });
        const [plain, indexed] = [createLinearEvaluator(program), createIndexedEvaluator(program)];
        for (const pathWithQuery of PATHS) {
          for (const method of ['POST', 'GET']) {
            const facts = factsWith({ pathWithQuery, method });
            expect(indexed.decide(facts), `${method} ${pathWithQuery}`).to.deep.equal(plain.decide(facts));
          }
        }
      });
    }
  }
});
