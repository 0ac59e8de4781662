import { expect } from 'chai';
import { nearnessOf, sortMisses } from '../../../src/explain/nearness.ts';
import type { ClauseMiss, RuleTrace } from '../../../src/policy/decide/decision.ts';
import type { Clause, Rule } from '../../../src/policy/model/program.ts';

const clause = (field: string): Clause => ({ attribute: 'method', field, anyOf: [{ kind: 'exact', value: 'GET' }] });
const miss = (path: string, hint?: string): ClauseMiss => ({ path, saw: 'a', wanted: 'b', ...(hint === undefined ? {} : { hint }) });
const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'a', generation: 0, rule: 0 } as const;

function trace(parts: Pick<Rule, 'from' | 'to' | 'when'>, misses: readonly ClauseMiss[]): RuleTrace {
  return { action: 'ALLOW', dryRun: false, rule: { id: 'x', source, ...parts }, matched: misses.length === 0, misses };
}

const from = [[clause('source.a'), clause('source.b')], [clause('source.a')]];
const to = [[clause('operation.methods'), clause('operation.paths')]];
const when = [clause('x'), clause('y')];

describe('nearnessOf', () => {
  const cases: readonly (readonly [name: string, misses: readonly ClauseMiss[], share: number])[] = [
    ['is 1 for a match', [], 1],
    ['counts the clauses before the one that failed', [miss('when[1] y')], 5 / 6],
    ['counts nothing of a part whose first clause failed', [miss('to[0].operation.methods')], 4 / 6],
    ['takes the best of several alternatives', [miss('from[0].source.b'), miss('from[1].source.a')], 5 / 6],
  ];
  for (const [name, misses, share] of cases) {
    it(name, () => {
      expect(
        nearnessOf(trace({ from: misses.some(({ path }) => path.startsWith('from')) ? from : [from[0] ?? []], to, when }, misses)),
      ).to.equal(share);
    });
  }
});

describe('sortMisses', () => {
  it('puts the alternative first that held longest', () => {
    const [first] = sortMisses(trace({ from, to, when }, [miss('from[1].source.a'), miss('from[0].source.b')]));

    expect(first?.path).to.equal('from[0].source.b');
  });

  it('prefers the miss that knows what would mend it', () => {
    const [first] = sortMisses(trace({ from, to, when }, [miss('when[0] x'), miss('to[0].operation.methods', 'case')]));

    expect(first?.hint).to.equal('case');
  });
});
