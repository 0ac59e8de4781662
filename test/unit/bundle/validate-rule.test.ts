/* A rule with long lists, which are validated in parts, is accepted exactly when its schema accepts the whole, and is the same. */
import { expect } from 'chai';
import { ruleSchema } from '../../../src/bundle/bundle-schema.ts';
import { validateRule } from '../../../src/bundle/validate-rule.ts';
import type { Clause, Rule } from '../../../src/policy/model/program.ts';
import { doSteps } from '../../../src/steps.ts';
import { EVERY_CLAUSE, SAMPLE } from './sample-bundle.ts';

type Json = Record<string, unknown>;

const RULE = SAMPLE.programs[0]?.http.allow.rules[0] as Rule;
const LENGTH = 1000;

/** The clause, with lists that repeat their first value. */
function long(clause: Clause, length: number = LENGTH): Json {
  const lists = (['anyOf', 'noneOf'] as const).filter((name) => clause[name] !== undefined);
  return { ...clause, ...Object.fromEntries(lists.map((name) => [name, new Array(length).fill(clause[name]?.[0])])) };
}

const PLACES: readonly ((clause: Json) => Json)[] = [
  (clause) => ({ ...RULE, from: [RULE.from[0], [clause]] }),
  (clause) => ({ ...RULE, to: [[clause], RULE.to[0]] }),
  (clause) => ({ ...RULE, when: [...RULE.when, clause] }),
];

describe('validateRule', () => {
  it('returns a rule with long lists whole, in many steps', () => {
    for (const [at, clause] of EVERY_CLAUSE.entries()) {
      const rule = (PLACES[at % PLACES.length] as (typeof PLACES)[number])(long(clause));
      let steps = 0;
      const validation = validateRule(rule);
      let step = validation.next();
      for (; step.done !== true; step = validation.next()) steps += 1;

      expect(step.value).to.deep.equal({ success: true, data: rule });
      expect(steps).to.be.above(2);
    }
  });

  it('returns lists as long as one part or two, or one value more or less', () => {
    const [clause] = EVERY_CLAUSE as readonly [Clause];
    for (const length of [255, 256, 257, 511, 512, 513]) {
      const rule = PLACES[2]?.(long(clause, length));
      expect(doSteps(validateRule(rule)), `${length}`).to.deep.equal({ success: true, data: rule });
    }
  });

  it('takes every kind of match of each attribute, and no other', () => {
    const accepts = (attribute: string, field: string, kind: string): boolean => {
      const value = kind === 'present' ? { kind } : { kind, value: '/a' };
      return doSteps(validateRule({ ...RULE, when: [{ attribute, field, anyOf: [value] }] })).success;
    };
    for (const kind of ['exact', 'prefix', 'suffix', 'present']) {
      expect(accepts('path', 'paths', kind), `path ${kind}`).to.equal(true);
      expect(accepts('host', 'hosts', kind), `host ${kind}`).to.equal(true);
    }
    for (const kind of ['', 'regex', 'Exact']) {
      expect(accepts('path', 'paths', kind), kind).to.equal(false);
      expect(accepts('host', 'hosts', kind), kind).to.equal(false);
    }
    expect(accepts('host', 'hosts', 'template')).to.equal(false);
  });

  it('names the value that is wrong, in whatever part of a list', () => {
    for (const [at, clause] of EVERY_CLAUSE.entries()) {
      for (const [number, index] of [0, 255, 256, LENGTH - 1].entries()) {
        const wrong = long(clause);
        (wrong[clause.anyOf === undefined ? 'noneOf' : 'anyOf'] as unknown[])[index] = { kind: 'regex' };
        const rule = (PLACES[(at + number) % PLACES.length] as (typeof PLACES)[number])(wrong);
        const whole = ruleSchema.safeParse(rule);
        const issue = whole.success ? undefined : whole.error.issues[0];

        expect(issue?.path).to.include(index);
        expect(doSteps(validateRule(rule))).to.deep.equal({ success: false, path: issue?.path, code: issue?.code });
      }
    }
  });

  it('leaves whatever has another form to the schema', () => {
    const values = new Array(LENGTH).fill({ kind: 'present' });
    const clause = { attribute: 'host', field: 'hosts', anyOf: values };
    for (const rule of [
      null,
      'rule',
      [],
      [[clause]],
      { ...RULE, extra: [clause] },
      { ...RULE, from: {} },
      { ...RULE, from: [clause] },
      { ...RULE, from: [[[clause]]] },
      { ...RULE, when: clause },
      { ...RULE, when: [[clause]] },
      { ...RULE, when: [{ ...clause, extra: 1 }] },
      { ...RULE, when: [{ ...clause, attribute: 'colour' }] },
      { ...RULE, when: [{ ...clause, noneOf: [] }] },
      { ...RULE, when: [{ ...clause, noneOf: 1 }] },
    ]) {
      const whole = ruleSchema.safeParse(rule);
      const issue = whole.success ? undefined : whole.error.issues[0];
      expect(whole.success).to.equal(false);
      expect(doSteps(validateRule(rule))).to.deep.equal({ success: false, path: issue?.path, code: issue?.code });
    }
  });
});
