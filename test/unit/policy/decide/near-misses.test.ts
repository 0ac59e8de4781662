import { expect } from 'chai';
import { createEvaluator } from '../../../../src/policy/decide/evaluator.ts';
import type { RequestFacts } from '../../../../src/policy/facts.ts';
import type { Clause, Rule } from '../../../../src/policy/model/program.ts';
import { engine, factsWith, programOf, rule } from './fixtures.ts';

const exact = (value: string) => ({ kind: 'exact', value }) as const;
const path = (...values: string[]): Clause => ({ attribute: 'path', field: 'paths', anyOf: values.map(exact) });
const method = (...values: string[]): Clause => ({ attribute: 'method', field: 'methods', anyOf: values.map(exact) });
const claim = (name: string): Clause => ({
  attribute: 'claim',
  field: `request.auth.claims[${name}]`,
  path: [name],
  anyOf: [exact('yes')],
});

function nearest(facts: RequestFacts, ...rules: readonly Rule[]): readonly unknown[] {
  const evaluator = createEvaluator(programOf({ allow: engine(...rules) }));
  const miss = evaluator.nearMisses.nearest(facts);
  const [byTrace] = evaluator.trace(facts).toSorted((one, other) => one.failing - other.failing || other.nearness - one.nearness);
  expect(miss?.source.name).to.equal(byTrace?.rule.source.name);
  expect(miss?.clause).to.equal(byTrace?.misses[0]?.path);
  return [miss?.source.name, miss?.clause, miss?.failing];
}

describe('near misses', () => {
  it('names nothing when there is no rule', () => {
    expect(nearest(factsWith())).to.deep.equal([undefined, undefined, undefined]);
  });

  it('names the rule with the fewest failing clauses', () => {
    const far = rule('far', { to: [[path('/x'), method('POST')]] });
    const near = rule('near', { to: [[path('/x'), method('GET')]] });
    expect(nearest(factsWith({ pathWithQuery: '/y' }), far, near)).to.deep.equal(['near', 'to[0].paths', 1]);
  });

  it('names the nearest rule behind many others', () => {
    const far = Array.from({ length: 40 }, (_, at) => rule(`far-${at}`, { to: [[path('/x'), method('POST')]] }));
    const near = rule('near', { to: [[path('/x'), method('GET')]] });
    expect(nearest(factsWith({ pathWithQuery: '/y' }), ...far, near)).to.deep.equal(['near', 'to[0].paths', 1]);
  });

  it('takes the nearest alternative of each part', () => {
    const alternatives = rule('a', { to: [[path('/x'), method('POST')], [path('/p')], [method('GET'), path('/q')]], when: [claim('c')] });
    expect(nearest(factsWith({ claims: { c: 'no' } }), alternatives)).to.deep.equal(['a', 'when[0] request.auth.claims[c]', 1]);
    expect(nearest(factsWith({ pathWithQuery: '/z', claims: { c: 'yes' } }), alternatives)[2]).to.equal(1);
  });

  it('counts all clauses that lack a token once', () => {
    const token = rule('token', { from: [[claim('a'), claim('b')]], when: [claim('c')] });
    const two = rule('two', { to: [[path('/x'), method('POST')]] });
    expect(nearest(factsWith(), two, token)).to.deep.equal(['token', 'from[0].request.auth.claims[a]', 1]);
    expect(nearest(factsWith({ claims: {} }), two, token)[0]).to.equal('two');
  });

  it('prefers a likely mistake to another rule that misses as many clauses', () => {
    const other = rule('other', { to: [[path('/zebra')]] });
    const typo = rule('typo', { to: [[path('/orders')]] });
    expect(nearest(factsWith({ pathWithQuery: '/orders/' }), other, typo)[0]).to.equal('typo');
  });

  it('agrees with the trace on random rules', () => {
    let seed = 7;
    const pick = (n: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 16) % n;
    };
    const clauses = [path('/a'), path('/b', '/c'), method('GET'), method('POST', 'PUT'), claim('a'), claim('b')];
    const some = (n: number): Clause[] => Array.from({ length: pick(n) }, () => clauses[pick(clauses.length)] as Clause);
    const alternatives = (): Clause[][] => Array.from({ length: 1 + pick(2) }, () => some(3));
    for (let round = 0; round < 300; round++) {
      const rules = Array.from({ length: 1 + pick(6) }, (_, at) =>
        rule(`r${at}`, { from: alternatives(), to: alternatives(), when: some(3) }),
      );
      const claims = pick(2) === 0 ? {} : { claims: { a: pick(2) === 0 ? 'yes' : 'no' } };
      const facts = factsWith({ pathWithQuery: ['/a', '/b', '/x'][pick(3)] ?? '', method: pick(2) === 0 ? 'GET' : 'PUT', ...claims });
      const evaluator = createEvaluator(programOf({ allow: engine(...rules) }));
      if (!evaluator.decide(facts).allowed) nearest(facts, ...rules);
    }
  });

  it('compares a limited number of rules', () => {
    const many = Array.from({ length: 5000 }, (_, at) => rule(`r${String(at).padStart(4, '0')}`, { to: [[path('/x'), method('POST')]] }));
    const last = rule('z', { to: [[path('/x')]] });
    const { nearMisses } = createEvaluator(programOf({ allow: engine(...many, last) }));
    expect(nearMisses.policies).to.equal(1000);
    expect(nearMisses.nearest(factsWith())?.source.name).to.equal('r0000');
  });
});
