import { expect } from 'chai';
import { ruleRef, ruleText } from '../../../src/explain/rule-ref.ts';

describe('ruleText', () => {
  for (const [kind, text] of [
    ['AuthorizationPolicy', 'AuthorizationPolicy foo/a rules[2]'],
    ['RequestAuthentication', 'RequestAuthentication foo/a jwtRules[2]'],
  ] as const) {
    it(`names the field of a rule of a ${kind}`, () => {
      expect(ruleText(ruleRef({ kind, namespace: 'foo', name: 'a', rule: 2, generation: 0 }))).to.equal(text);
    });
  }
});
