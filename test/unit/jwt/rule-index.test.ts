import { expect } from 'chai';
import { findTokens, indexRules, rulesFor } from '../../../src/jwt/rule-index.ts';
import { createTokenRule, type TokenRule } from '../../../src/jwt/token-rule.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { provider, requestWith } from './tokens.ts';

const rules = (...providers: readonly Partial<JwtProvider>[]): readonly TokenRule[] =>
  providers.map((changes, at) => createTokenRule(provider(changes), at, undefined));
const numbers = (of: readonly TokenRule[]): readonly number[] => of.map(({ index }) => index);
const ELSEWHERE = { headers: [{ name: 'x-jwt', prefix: '' }], params: [], cookies: [] };

describe('the index of JWT rules', () => {
  it('groups rules that look in the same places, and keeps the order of the rules', () => {
    const all = rules({}, ELSEWHERE, {}, { ...ELSEWHERE, cookies: ['t'] });
    const { groups, groupOf } = indexRules(all);

    expect(groups.map(({ rules: of }) => numbers(of))).to.deep.equal([[0, 2], [1], [3]]);
    for (const rule of all) expect(groupOf.get(rule)?.rules).to.include(rule);
  });

  it('finds the rules for an issuer among those for any, in their order', () => {
    const [group] = indexRules(rules({ issuer: 'a' }, { issuer: '' }, { issuer: 'b' }, { issuer: 'a' }, { issuer: '' })).groups;
    if (group === undefined) throw new Error('no group');

    expect(numbers(rulesFor(group, 'a'))).to.deep.equal([0, 1, 3, 4]);
    expect(numbers(rulesFor(group, 'b'))).to.deep.equal([1, 2, 4]);
    expect(numbers(rulesFor(group, 'c'))).to.deep.equal([1, 4]);
    expect(numbers(rulesFor(group, ''))).to.deep.equal([1, 4]);
  });

  it('finds no rule for an issuer that none names', () => {
    const [group] = indexRules(rules({ issuer: 'a' })).groups;
    if (group === undefined) throw new Error('no group');

    expect(rulesFor(group, 'c')).to.deep.equal([]);
    expect(rulesFor(group, '')).to.deep.equal([]);
  });

  it('finds the tokens of a request by the groups that have any', () => {
    const index = indexRules(rules({}, ELSEWHERE));
    const found = (...headers: readonly string[]) =>
      findTokens(index, requestWith(headers)).map(({ group, tokens }) => [numbers(group.rules), tokens.map(({ text }) => text)]);

    expect(found()).to.deep.equal([]);
    expect(found('x-jwt', 'a')).to.deep.equal([[[1], ['a']]]);
    expect(found('x-jwt', 'a', 'authorization', 'Bearer b')).to.deep.equal([
      [[0], ['b']],
      [[1], ['a']],
    ]);
  });
});
