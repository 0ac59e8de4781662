import { expect } from 'chai';
import { allow, authorizer, custom, deny, filterChainOf, paths, raw } from './chains.ts';

describe('evaluating a connection', () => {
  const connection = raw('/').connection;
  const ports = (...values: readonly string[]): object => ({ to: [{ operation: { ports: values } }] });

  it('ignores rules that cannot apply to TCP', () => {
    expect(filterChainOf([]).evaluateConnection(connection)).to.deep.include({ kind: 'allow' });
    expect(filterChainOf([allow('a', ports('8080'))]).evaluateConnection(connection).kind).to.equal('allow');
    expect(filterChainOf([allow('a', paths('/'))]).evaluateConnection(connection)).to.deep.include({
      kind: 'deny',
      details: 'rbac_access_denied_matched_policy[none]',
    });
    expect(filterChainOf([deny('d', paths('/'))]).evaluateConnection(connection)).to.deep.include({
      kind: 'deny',
      details: 'rbac_access_denied_matched_policy[ns[foo]-policy[d]-rule[0]]',
    });
  });

  it('checks with gRPC providers only', () => {
    const mesh = { extensionProviders: [authorizer('ext'), authorizer('web', 'http')] };
    const asked = filterChainOf([custom('c', 'ext', {}), deny('d', ports('9'))], { mesh }).evaluateConnection(connection);

    if (asked.kind !== 'check') throw new Error(asked.kind);
    expect(asked.provider.name).to.equal('ext');
    expect(asked.resume(true).kind).to.equal('allow');
    expect(asked.resume(false)).to.deep.equal({ kind: 'deny', details: 'ext_authz_denied' });
    expect(filterChainOf([custom('c', 'web', {})], { mesh }).evaluateConnection(connection).kind).to.equal('allow');
    expect(filterChainOf([custom('c', 'missing', {})], { mesh }).evaluateConnection(connection).kind).to.equal('deny');
  });

  it('checks with one provider after the other, and denies when one of them is unknown', () => {
    const mesh = { extensionProviders: [authorizer('a'), authorizer('b')], multipleCustomProviders: true };
    const policies = [custom('c', 'b', {}), custom('d', 'a', {}), custom('e', 'missing', {})];
    const first = filterChainOf(policies.slice(0, 2), { mesh }).evaluateConnection(connection);
    if (first.kind !== 'check') throw new Error(first.kind);
    const second = first.resume(true);
    if (second.kind !== 'check') throw new Error(second.kind);

    expect([first.provider.name, second.provider.name, second.rule.source.name]).to.deep.equal(['a', 'b', 'c']);
    expect(second.resume(true).kind).to.equal('allow');
    expect(second.resume(false)).to.deep.equal({ kind: 'deny', details: 'ext_authz_denied' });

    let last = filterChainOf(policies, { mesh }).evaluateConnection(connection);
    while (last.kind === 'check') last = last.resume(true);
    expect(last).to.deep.equal({
      kind: 'deny',
      details: 'rbac_access_denied_matched_policy[istio-ext-authz-missing-ns[foo]-policy[e]-rule[0]-deny-due-to-bad-CUSTOM-action]',
    });
  });
});
