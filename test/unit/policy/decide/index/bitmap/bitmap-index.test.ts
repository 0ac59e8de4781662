/*
 * More rules than are tested one by one, with templates next to other values, so that bitmaps decide which are tested.
 */
import { expect } from 'chai';
import { type BitmapIndex, buildBitmapIndex } from '../../../../../../src/policy/decide/index/bitmap/bitmap-index.ts';
import { createIndexedEvaluator } from '../../../../../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../../../../../src/policy/decide/linear.ts';
import type { Clause, PathMatch, Rule } from '../../../../../../src/policy/model/program.ts';
import { doSteps } from '../../../../../../src/steps.ts';
import { engine, type FactsOver, factsWith, programOf, rule } from '../../fixtures.ts';

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

describe('the candidates of a request', () => {
  /** The rules that the index has tested for a request, when none of them matches. */
  function testedOf(index: BitmapIndex, over: FactsOver, gaveUp: boolean): readonly number[] {
    const seen: number[] = [];
    index.search(factsWith(over), undefined, gaveUp, (one) => {
      seen.push(one);
      return false;
    });
    return seen;
  }

  it('are tested once each, also when a request like it was searched for before', () => {
    const index = doSteps(buildBitmapIndex(rulesWith([{ kind: 'exact', value: '/a' }])));
    const all = Array.from({ length: 61 }, (_, at) => at);
    for (let times = 0; times < 2; times += 1) {
      const [put, post, get] = ['PUT', 'POST', 'GET'].map((method) => testedOf(index, { pathWithQuery: '/a', method }, false));
      expect([put, post, get]).to.deep.equal([all, [60], []]);
    }
  });

  it('are all rules that match, segment by segment, when the search for templates gave up', () => {
    const paths = (...anyOf: readonly [PathMatch, ...PathMatch[]]): Rule =>
      rule('p', { to: [[{ attribute: 'path', field: 'paths', anyOf }]] });
    // A search gives up among templates with many forks only.
    const forks = ['/{*}/f', '/d/{*}', '/d/x', '/e/{*}', '/e/x', '/f/{*}', '/f/x'].map((value) => paths({ kind: 'template', value }));
    const pairs = VALUES.slice(0, 3).flatMap((first) => VALUES.map((second) => paths(first, second)));
    const rules = [...forks, ...pairs];
    const index = doSteps(buildBitmapIndex(rules));
    const each = rules.map((one) => createLinearEvaluator(programOf({ deny: engine(one) })));
    for (const pathWithQuery of [...PATHS, '/d/x', '/x/f', '/f/y']) {
      const matching = [...each.keys()].filter((at) => each[at]?.decide(factsWith({ pathWithQuery })).allowed === false);
      expect(testedOf(index, { pathWithQuery }, true), pathWithQuery).to.include.members(matching);
    }
    expect(testedOf(index, { pathWithQuery: '/c/d/b' }, true)).to.have.length.below(rules.length);
  });
});
