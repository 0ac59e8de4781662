import { expect } from 'chai';
import fc from 'fast-check';
import { findIdleRules } from '../../../src/analysis/idle-rules.ts';
import type { Program, Rule } from '../../../src/policy/model/program.ts';
import { directionTests, modelFacts, modelPair, requestsOver } from '../../support/analysis-model.ts';

const limit = (): { readonly isOver: () => boolean } => ({ isOver: () => false });

function withoutRules(program: Program, names: ReadonlySet<string>): Program {
  const kept = (rules: readonly Rule[]): readonly Rule[] => rules.filter(({ source }) => !names.has(source.name));
  const { http } = program;
  const rest = {
    ...http,
    custom: http.custom.map((step) => ({ ...step, rules: kept(step.rules) })),
    deny: { ...http.deny, rules: kept(http.deny.rules) },
    allow: { ...http.allow, rules: kept(http.allow.rules) },
  };
  return { ...program, http: rest, tcp: rest };
}

describe('findIdleRules', () => {
  it('finds rules without which all together every request is decided alike', () => {
    let found = 0;
    fc.assert(
      fc.property(modelPair, ({ attributes, programs: [program] }) => {
        const idle = [...findIdleRules([program], limit)];
        found += idle.length;
        expect(idle.every(({ reason }) => reason !== undefined)).to.equal(true);
        const tests = directionTests([program, withoutRules(program, new Set(idle.map(({ source }) => source.name)))]);
        for (const request of requestsOver(attributes)) {
          const facts = modelFacts(request);
          expect(tests.widened(facts) || tests.narrowed(facts)).to.equal(false, JSON.stringify({ idle, request }));
        }
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(found).to.be.greaterThan(100);
  });
});
