/*
 * The linear evaluator: order of the engines, defaults, dry-run, CUSTOM, TCP.
 */
import { expect } from 'chai';
import type { Decision } from '../../../../src/policy/decide/decision.ts';
import { createEvaluator } from '../../../../src/policy/decide/evaluator.ts';
import { createLinearEvaluator } from '../../../../src/policy/decide/linear.ts';
import type { Clause, Rule, Ruleset } from '../../../../src/policy/model/program.ts';
import { engine, factsWith, programOf, rule } from './fixtures.ts';

const path = (value: string): Clause => ({ attribute: 'path', field: 'operation.paths', anyOf: [{ kind: 'exact', value }] });
const onPath = (name: string, value: string): Rule => rule(name, { to: [[path(value)]] });

/** The decision on /p as `allowed reason rule`. */
function outcome(http: Partial<Ruleset>): readonly unknown[] {
  const decision = createLinearEvaluator(programOf(http)).decide(factsWith());
  return [decision.allowed, decision.reason, decision.rule?.source.name];
}

describe('the linear evaluator', () => {
  const rows: readonly (readonly [name: string, http: Partial<Ruleset>, outcome: readonly unknown[]])[] = [
    ['allows without policies', {}, [true, 'no-allow-policy', undefined]],
    ['allows when DENY does not match', { deny: engine(onPath('d', '/x')) }, [true, 'no-allow-policy', undefined]],
    ['denies when DENY matches', { deny: engine(onPath('d', '/p')), allow: engine(rule('a')) }, [false, 'deny-rule', 'd']],
    ['denies when ALLOW is attached and empty', { allow: engine() }, [false, 'no-allow-rule-matched', undefined]],
    ['denies when no ALLOW rule matches', { allow: engine(onPath('a', '/x')) }, [false, 'no-allow-rule-matched', undefined]],
    ['allows when an ALLOW rule matches', { allow: engine(onPath('a', '/x'), onPath('b', '/p'), rule('c')) }, [true, 'allow-rule', 'b']],
    ['reports the first rule in order', { deny: engine(rule('a'), rule('b')) }, [false, 'deny-rule', 'a']],
    [
      'needs some from, some to and all of when',
      { allow: engine(rule('a', { to: [[path('/x')], [path('/p')]], when: [path('/p'), path('/x')] })) },
      [false, 'no-allow-rule-matched', undefined],
    ],
    ['takes any alternative of from', { allow: engine(rule('a', { from: [[path('/x')], [path('/p')]] })) }, [true, 'allow-rule', 'a']],
    [
      'fails when no alternative of from holds',
      { allow: engine(rule('a', { from: [[path('/x')], [path('/p'), path('/y')]] })) },
      [false, 'no-allow-rule-matched', undefined],
    ],
  ];
  for (const [name, http, wanted] of rows) {
    it(name, () => {
      expect(outcome(http)).to.deep.equal(wanted);
    });
  }

  it('reports AUDIT, whether the request is denied or not', () => {
    const decide = (http: Partial<Ruleset>): Decision => createLinearEvaluator(programOf(http)).decide(factsWith());
    expect(decide({ audit: engine(rule('a')), deny: engine(rule('d')) }).audit).to.equal(true);
    expect(decide({ audit: engine(onPath('a', '/x')) }).audit).to.equal(false);
    expect(decide({})).not.to.have.property('audit');
  });

  it('reports dry-run engines without applying them', () => {
    const watching = { dryRunDeny: engine(rule('dd')), dryRunAllow: engine(onPath('da', '/x')) };
    const decision = createLinearEvaluator(programOf(watching)).decide(factsWith());
    expect(decision).to.deep.include({ allowed: true, reason: 'no-allow-policy', dryRunAllow: { allowed: false } });
    expect(decision.dryRunDeny).to.deep.equal({ allowed: false, rule: rule('dd') });
    const other = createLinearEvaluator(programOf({ dryRunDeny: engine(), dryRunAllow: engine(rule('da')) })).decide(factsWith());
    expect([other.dryRunDeny, other.dryRunAllow]).to.deep.equal([{ allowed: true }, { allowed: true, rule: rule('da') }]);
  });

  it('does not reach the ALLOW engines after a denial', () => {
    const decision = createLinearEvaluator(
      programOf({ deny: engine(rule('d')), dryRunAllow: engine(rule('a')), dryRunDeny: engine() }),
    ).decide(factsWith());
    expect(decision).not.to.have.property('dryRunAllow');
    expect(decision).to.have.property('dryRunDeny');
  });

  it('returns the CUSTOM steps that match, ignoring claims', () => {
    const claim: Clause = { attribute: 'claim', field: 'f', path: ['a'], noneOf: [{ kind: 'exact', value: 'v' }] };
    const steps = [
      { name: 'a', refusal: 'x', rules: [onPath('a', '/x')] },
      { name: 'b', refusal: 'x', rules: [onPath('x', '/x'), rule('b', { when: [claim] })] },
    ];
    const matches = createLinearEvaluator(programOf({ custom: steps })).custom(factsWith({ claims: { a: 'v' } }));
    expect(matches).to.deep.equal([{ step: steps[1], rule: steps[1]?.rules[1] }]);
    expect(createLinearEvaluator(programOf({})).custom(factsWith())).to.deep.equal([]);
  });

  it('evaluates HTTP and TCP separately', () => {
    const evaluator = createEvaluator(programOf({}, { deny: engine(rule('d')) }));
    expect([evaluator.decide(factsWith()).allowed, evaluator.decide(factsWith(), 'tcp').allowed]).to.deep.equal([true, false]);
  });
});
