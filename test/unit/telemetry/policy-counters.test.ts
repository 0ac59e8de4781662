import { expect } from 'chai';
import { count } from '../../../src/limits/limit.ts';
import { renderMetrics } from '../../../src/telemetry/metric-text.ts';
import { createPolicyCounters, type PolicyCounters, type PolicyRule } from '../../../src/telemetry/policy-counters.ts';

type Action = 'allow' | 'deny';

describe('counters by policy', () => {
  const limit = count('test', 3);
  let counters: PolicyCounters<Action>;
  beforeEach(() => {
    limit.reached = 0;
    counters = createPolicyCounters({ name: 'decisions_total', help: 'help' }, ['allow', 'deny'], limit);
  });
  const ruleOf = (name: string): PolicyRule => ({ namespace: 'foo', name });
  const samples = (): readonly string[] =>
    renderMetrics([counters])
      .split('\n')
      .filter((line) => line.startsWith('decisions_total'));

  it('have no series before they count', () => {
    expect(samples()).to.deep.equal([]);
  });

  it('count the rules of one policy together, and its actions apart', () => {
    const rule = ruleOf('a');
    counters.add(rule, 'allow');
    counters.add(rule, 'allow');
    counters.add(ruleOf('a'), 'allow');
    counters.add(rule, 'deny');
    counters.add(undefined, 'deny');
    expect(samples()).to.deep.equal([
      'decisions_total{policy="none",action="deny"} 1',
      'decisions_total{policy="foo/a",action="allow"} 3',
      'decisions_total{policy="foo/a",action="deny"} 1',
    ]);
  });

  it('count policies beyond the limit as other', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'a']) counters.add(ruleOf(name), 'allow');
    counters.add(ruleOf('f'), 'deny');
    expect(samples()).to.deep.equal([
      'decisions_total{policy="foo/a",action="allow"} 2',
      'decisions_total{policy="foo/b",action="allow"} 1',
      'decisions_total{policy="foo/c",action="allow"} 1',
      'decisions_total{policy="other",action="allow"} 2',
      'decisions_total{policy="other",action="deny"} 1',
    ]);
    expect(limit.reached).to.equal(3);
  });

  it('drop series that no longer count when another bundle needs them', () => {
    const [kept, gone] = [ruleOf('kept'), ruleOf('gone')];
    counters.add(gone, 'allow');
    counters.add(kept, 'allow');
    counters.add(ruleOf('c'), 'allow');
    counters.onBundle();
    counters.add(kept, 'allow');
    counters.add(ruleOf('new'), 'allow');
    expect(samples()).to.deep.equal([
      'decisions_total{policy="foo/kept",action="allow"} 2',
      'decisions_total{policy="foo/c",action="allow"} 1',
      'decisions_total{policy="foo/new",action="allow"} 1',
    ]);
    counters.add(gone, 'allow');
    expect(samples()).to.include('decisions_total{policy="foo/gone",action="allow"} 1');
    counters.add(ruleOf('c'), 'allow');
    expect(samples()).to.include('decisions_total{policy="other",action="allow"} 1');
  });

  it('keep their number of series under any flood of policies and bundles', () => {
    for (let at = 0; at < 2000; at++) {
      counters.add(ruleOf(`p${at}`), at % 2 === 0 ? 'allow' : 'deny');
      if (at % 7 === 0) counters.onBundle();
    }
    expect(samples().length).to.be.at.most(3 + 2 * 2);
  });
});
