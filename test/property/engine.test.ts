/*
 * The indexed evaluator compared with the linear one, which is simple enough to be verified by reading: the same decision and the same
 * rule for random programs and requests.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { BUNDLE_SCHEMA } from '../../src/bundle/bundle.ts';
import { encodeBundle } from '../../src/bundle/encode.ts';
import type { Decision, Evaluator } from '../../src/policy/decide/decision.ts';
import { createIndexedEvaluator } from '../../src/policy/decide/indexed.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import type { Program, Rule, Ruleset } from '../../src/policy/model/program.ts';
import { type Caller, caller, crowd, factsOf, type Head, head, program } from './engine-arbitraries.ts';

const PROGRAMS = 360;
const HALVES = 18;
const CROWDS = 40;

interface Requests {
  readonly callers: readonly Caller[];
  readonly heads: readonly Head[];
}

const requests: fc.Arbitrary<Requests> = fc.record({
  callers: fc.array(caller, { minLength: HALVES, maxLength: HALVES }),
  heads: fc.array(head, { minLength: HALVES, maxLength: HALVES }),
});

/** The combinations of every caller with every head. */
function* crossed({ callers, heads }: Requests): Generator<RequestFacts> {
  for (const one of callers) for (const other of heads) yield factsOf(one, other);
}

interface Tally {
  decisions: number;
  readonly byReason: Map<string, number>;
}

function check(plain: Evaluator, indexed: Evaluator, facts: RequestFacts, tally: Tally): void {
  const expected = plain.decide(facts);
  const actual = indexed.decide(facts);
  tally.decisions++;
  tally.byReason.set(expected.reason, (tally.byReason.get(expected.reason) ?? 0) + 1);
  if (!isSame(actual, expected)) expect(actual).to.deep.equal(expected);
}

/** A cheap comparison; a deep one follows only if it fails. */
function isSame(actual: Decision, expected: Decision): boolean {
  return (
    actual.allowed === expected.allowed &&
    actual.reason === expected.reason &&
    actual.rule === expected.rule &&
    actual.audit === expected.audit &&
    actual.dryRunAllow?.rule === expected.dryRunAllow?.rule &&
    actual.dryRunAllow?.allowed === expected.dryRunAllow?.allowed &&
    actual.dryRunDeny?.rule === expected.dryRunDeny?.rule &&
    actual.dryRunDeny?.allowed === expected.dryRunDeny?.allowed
  );
}

function shuffled(ruleset: Ruleset, order: number): Ruleset {
  const turn = (rules: readonly Rule[]): readonly Rule[] => {
    const at = rules.length === 0 ? 0 : order % rules.length;
    return [...rules.slice(at), ...rules.slice(0, at)].toReversed();
  };
  const deny = { ...ruleset.deny, rules: turn(ruleset.deny.rules) };
  return { ...ruleset, deny, allow: { ...ruleset.allow, rules: turn(ruleset.allow.rules) } };
}

describe('the indexed evaluator', () => {
  it('returns the decision and the rule of the linear evaluator', () => {
    const tally: Tally = { decisions: 0, byReason: new Map() };
    fc.assert(
      fc.property(program, requests, (written, requested) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(requested)) check(plain, indexed, facts, tally);
      }),
      { numRuns: PROGRAMS },
    );
    console.log(`      ${tally.decisions} decisions: ${JSON.stringify(Object.fromEntries(tally.byReason))}`);
    expect(tally.decisions).to.be.at.least(100_000);
    for (const reason of ['deny-rule', 'allow-rule', 'no-allow-rule-matched']) {
      expect(tally.byReason.get(reason), reason).to.be.at.least(tally.decisions / 20);
    }
  });

  it('returns the decision of the linear evaluator when there are hundreds of rules', () => {
    const tally: Tally = { decisions: 0, byReason: new Map() };
    fc.assert(
      fc.property(crowd, requests, (written, requested) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(requested)) check(plain, indexed, facts, tally);
      }),
      { numRuns: CROWDS },
    );
    console.log(`      ${tally.decisions} decisions: ${JSON.stringify(Object.fromEntries(tally.byReason))}`);
  });

  it('returns the same CUSTOM steps, and the same decision on TCP', () => {
    fc.assert(
      fc.property(program, requests, (written, requested) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(requested)) {
          expect(indexed.custom(facts, 'tcp')).to.deep.equal(plain.custom(facts, 'tcp'));
          expect(isSame(indexed.decide(facts, 'tcp'), plain.decide(facts, 'tcp'))).to.equal(true);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('allows the same requests when the rules are in another order', () => {
    fc.assert(
      fc.property(program, requests, fc.nat(1000), (written, requested, order) => {
        const one = createIndexedEvaluator(written);
        const other = createIndexedEvaluator({ ...written, http: shuffled(written.http, order) });
        for (const facts of crossed(requested)) {
          const { allowed, reason } = one.decide(facts);
          expect(other.decide(facts)).to.include({ allowed, reason });
        }
      }),
      { numRuns: 20 },
    );
  });

  it('returns the same decision after the program is transferred as a bundle', () => {
    fc.assert(
      fc.property(program, requests, (written, requested) => {
        const before = createIndexedEvaluator(written);
        const after = createIndexedEvaluator(transferred(written));
        for (const facts of crossed(requested)) expect(after.decide(facts)).to.deep.equal(before.decide(facts));
      }),
      { numRuns: 15 },
    );
  });

  it('returns the trace of the linear evaluator', () => {
    fc.assert(
      fc.property(program, caller, head, (written, one, other) => {
        const facts = factsOf(one, other);
        expect(createIndexedEvaluator(written).trace(facts)).to.deep.equal(createLinearEvaluator(written).trace(facts));
      }),
      { numRuns: 20 },
    );
  });
});

function transferred(written: Program): Program {
  const { json } = encodeBundle({
    schema: BUNDLE_SCHEMA,
    workload: { namespace: 'n', kind: 'deployment', name: 'w' },
    relevantLabels: [],
    variants: [{ labels: {}, program: 0 }],
    programs: [written],
    keySets: {},
  });
  return (JSON.parse(json) as { readonly programs: readonly [Program] }).programs[0];
}
