import { expect } from 'chai';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { FETCHED_KEYS_BYTES } from '../../../src/compile/budgets.ts';
import { keySetId } from '../../../src/compile/key-set-id.ts';
import { limitFetchedKeys } from '../../../src/compile/limit-fetched-keys.ts';
import { tokens } from '../resolve/policies.ts';

function keySet(bytes: number): KeySet {
  return { source: 'https://a', keys: [{ kty: 'oct', k: 'k'.repeat(bytes) }] };
}

const rule = (issuer: string): { readonly issuer: string; readonly jwksUri: string } => ({ issuer, jwksUri: `https://${issuer}/keys` });

describe('limitFetchedKeys', () => {
  const half = keySet(FETCHED_KEYS_BYTES / 2 - 100);
  const large = keySet(FETCHED_KEYS_BYTES);

  it('leaves out the key sets of the youngest policies, and says for which rule', () => {
    const policies = ['c', 'b', 'a'].map((name) => tokens(name, [rule(name)]));
    const sets = Object.fromEntries(['a', 'b', 'c'].map((name) => [keySetId(rule(name)), half]));
    const { keySets, findings } = limitFetchedKeys(policies, sets, 'root');

    expect(Object.keys(keySets)).to.have.members([keySetId(rule('a')), keySetId(rule('b'))]);
    expect(findings.map(({ code, policy, path }) => [code, policy.name, path])).to.deep.equal([
      ['SP_OVER_BUDGET', 'c', 'spec.jwtRules[0]'],
    ]);
  });

  it('has a separate budget for the root namespace', () => {
    const policies = [tokens('a', [rule('large'), rule('a')]), tokens('b', [rule('b')], { namespace: 'root' })];
    const sets = { [keySetId(rule('large'))]: large, [keySetId(rule('a'))]: half, [keySetId(rule('b'))]: half };

    expect(Object.keys(limitFetchedKeys(policies, sets, 'root').keySets)).to.have.members([keySetId(rule('a')), keySetId(rule('b'))]);
  });

  it('reports no rule whose keys are kept for another policy with the same source', () => {
    const policies = [
      tokens('full', [rule('one'), rule('two')], { namespace: 'root' }),
      tokens('over', [rule('shared')], { namespace: 'root' }),
      tokens('own', [rule('shared')]),
    ];
    const sets = Object.fromEntries(['one', 'two', 'shared'].map((name) => [keySetId(rule(name)), half]));

    expect(limitFetchedKeys(policies, sets, 'root')).to.deep.equal({ keySets: sets, findings: [] });
  });

  it('does not count inline keys, which are part of the size of their policy', () => {
    const inline = { issuer: 'i', jwks: '{}' };
    const sets = { [keySetId(inline)]: large };

    expect(limitFetchedKeys([tokens('a', [inline])], sets, 'root')).to.deep.equal({ keySets: sets, findings: [] });
  });
});
