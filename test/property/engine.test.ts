/*
 * The indexed evaluator against the plain one, which is short enough to be seen to be right: the same decision, the same rule,
 * for any program and request. The seed is printed; SALLYPORT_SEED repeats a run.
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

const seed: number = Number(process.env['SALLYPORT_SEED'] ?? Date.now() % 2 ** 31);
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

/** Every caller with every head. */
function* crossed({ callers, heads }: Requests): Generator<RequestFacts> {
  for (const one of callers) for (const other of heads) yield factsOf(one, other);
}

interface Tally {
  decisions: number;
  readonly byReason: Map<string, number>;
}

function check(plain: Evaluator, indexed: Evaluator, facts: RequestFacts, tally: Tally): void {
  const wanted = plain.decide(facts);
  const got = indexed.decide(facts);
  tally.decisions++;
  tally.byReason.set(wanted.reason, (tally.byReason.get(wanted.reason) ?? 0) + 1);
  if (!isSame(got, wanted)) expect(got).to.deep.equal(wanted);
}

/** Cheaper than a deep comparison, which is left for what differs. */
function isSame(got: Decision, wanted: Decision): boolean {
  return (
    got.allowed === wanted.allowed &&
    got.reason === wanted.reason &&
    got.rule === wanted.rule &&
    got.audit === wanted.audit &&
    got.dryRunAllow?.rule === wanted.dryRunAllow?.rule &&
    got.dryRunAllow?.allowed === wanted.dryRunAllow?.allowed &&
    got.dryRunDeny?.rule === wanted.dryRunDeny?.rule &&
    got.dryRunDeny?.allowed === wanted.dryRunDeny?.allowed
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

describe('the indexed evaluator', function () {
  this.timeout(60_000);

  before(() => {
    console.log(`      seed ${seed}`);
  });

  it('decides as the plain evaluator does, naming the same rule', () => {
    const tally: Tally = { decisions: 0, byReason: new Map() };
    fc.assert(
      fc.property(program, requests, (written, asked) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(asked)) check(plain, indexed, facts, tally);
      }),
      { seed, numRuns: PROGRAMS },
    );
    console.log(`      ${tally.decisions} decisions: ${JSON.stringify(Object.fromEntries(tally.byReason))}`);
    expect(tally.decisions).to.be.at.least(100_000);
    for (const reason of ['deny-rule', 'allow-rule', 'no-allow-rule-matched']) {
      expect(tally.byReason.get(reason), reason).to.be.at.least(tally.decisions / 20);
    }
  });

  it('decides as the plain evaluator does under crowds of rules', () => {
    const tally: Tally = { decisions: 0, byReason: new Map() };
    fc.assert(
      fc.property(crowd, requests, (written, asked) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(asked)) check(plain, indexed, facts, tally);
      }),
      { seed, numRuns: CROWDS },
    );
    console.log(`      ${tally.decisions} decisions: ${JSON.stringify(Object.fromEntries(tally.byReason))}`);
  });

  it('finds the same CUSTOM steps, and decides the same on TCP', () => {
    fc.assert(
      fc.property(program, requests, (written, asked) => {
        const plain = createLinearEvaluator(written);
        const indexed = createIndexedEvaluator(written);
        for (const facts of crossed(asked)) {
          expect(indexed.custom(facts, 'tcp')).to.deep.equal(plain.custom(facts, 'tcp'));
          expect(isSame(indexed.decide(facts, 'tcp'), plain.decide(facts, 'tcp'))).to.equal(true);
        }
      }),
      { seed, numRuns: 15 },
    );
  });

  it('allows the same whatever the order of the rules', () => {
    fc.assert(
      fc.property(program, requests, fc.nat(1000), (written, asked, order) => {
        const one = createIndexedEvaluator(written);
        const other = createIndexedEvaluator({ ...written, http: shuffled(written.http, order) });
        for (const facts of crossed(asked)) {
          const { allowed, reason } = one.decide(facts);
          expect(other.decide(facts)).to.include({ allowed, reason });
        }
      }),
      { seed, numRuns: 20 },
    );
  });

  it('decides the same after the program has travelled as a bundle', () => {
    fc.assert(
      fc.property(program, requests, (written, asked) => {
        const before = createIndexedEvaluator(written);
        const after = createIndexedEvaluator(travelled(written));
        for (const facts of crossed(asked)) expect(after.decide(facts)).to.deep.equal(before.decide(facts));
      }),
      { seed, numRuns: 15 },
    );
  });

  it('explains as the plain evaluator does', () => {
    fc.assert(
      fc.property(program, caller, head, (written, one, other) => {
        const facts = factsOf(one, other);
        expect(createIndexedEvaluator(written).trace(facts)).to.deep.equal(createLinearEvaluator(written).trace(facts));
      }),
      { seed, numRuns: 20 },
    );
  });
});

function travelled(written: Program): Program {
  const { json } = encodeBundle({
    schema: BUNDLE_SCHEMA,
    workload: { namespace: 'n', name: 'w' },
    relevantLabels: [],
    variants: [{ labels: {}, program: 0 }],
    programs: [written],
    keySets: {},
  });
  return (JSON.parse(json) as { readonly programs: readonly [Program] }).programs[0];
}
