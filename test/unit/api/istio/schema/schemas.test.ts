/* Strings with limits and CEL rules of the CRD schemas. */
import { expect } from 'chai';
import * as z from 'zod';
import { atMostOneOf, CEL_ISSUE, withRules } from '../../../../../src/api/istio/schema/cel-rule.ts';
import { BROKEN_LIMIT, stringWithin } from '../../../../../src/api/istio/schema/string-schema.ts';

/** Parameters of the first issue; undefined: the value is valid. */
function paramsOf(schema: z.ZodType, value: unknown): Readonly<Record<string, unknown>> | undefined {
  const issue = schema.safeParse(value).error?.issues[0];
  return issue?.code === 'custom' ? (issue.params ?? {}) : undefined;
}

describe('stringWithin', () => {
  const schema = stringWithin({ min: 1, max: 3, pattern: /^[a-z💥]*$/u });

  it('reports only the first violated limit', () => {
    const broken = ['', 'ABCD', 'AB', 'abc'].map((value) => paramsOf(schema, value)?.[BROKEN_LIMIT]);

    expect(broken).to.deep.equal(['min', 'max', 'pattern', undefined]);
  });

  it('counts characters instead of UTF-16 units', () => {
    expect(paramsOf(schema, '💥💥💥')).to.equal(undefined);
    expect(paramsOf(schema, '💥💥💥💥')?.[BROKEN_LIMIT]).to.equal('max');
  });

  it('carries its limits into the JSON schema, and no others', () => {
    expect(z.toJSONSchema(stringWithin({ max: 5 }), { target: 'openapi-3.0' })).to.deep.include({ type: 'string', maxLength: 5 });
    expect(z.toJSONSchema(stringWithin({}))).to.not.have.any.keys('minLength', 'maxLength', 'pattern');
  });
});

describe('withRules', () => {
  const even = { rule: 'self % 2 == 0', message: 'must be even', holds: (self: number) => (self > 100 ? 'overflow' : self % 2 === 0) };
  const schema = withRules(z.number(), [even]);

  it('reports a violated rule with its message', () => {
    const issue = schema.safeParse(3).error?.issues[0];

    expect(issue?.message).to.equal('must be even');
    expect(paramsOf(schema, 3)).to.deep.equal({ [CEL_ISSUE]: true, isUnevaluated: false });
    expect(schema.safeParse(4).success).to.equal(true);
  });

  it('rejects a value for which CEL cannot evaluate the rule', () => {
    expect(schema.safeParse(101).error?.issues[0]?.message).to.equal('overflow evaluating rule: must be even');
    expect(paramsOf(schema, 101)).to.include({ isUnevaluated: true });
  });

  it('does not run on a value of the wrong type', () => {
    expect(schema.safeParse('x').error?.issues.map(({ code }) => code)).to.deep.equal(['invalid_type']);
  });

  it('carries the rules into the JSON schema', () => {
    expect(z.toJSONSchema(schema))
      .to.have.property('x-kubernetes-validations')
      .that.deep.equals([{ rule: even.rule, message: even.message }]);
  });
});

describe('atMostOneOf', () => {
  it('counts an empty value as set', () => {
    const { rule, holds } = atMostOneOf<{ a?: string; b?: string }>(['a', 'b'], 'one');

    expect(rule).to.equal('(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) <= 1');
    expect([holds({}), holds({ a: '' }), holds({ a: '', b: '' })]).to.deep.equal([true, true, false]);
  });
});
