import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { createComparison, type Flip } from '../../../src/explain/diff-decisions.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy, type Request } from './support.ts';

const allow = (name: string, ...values: readonly string[]): Policy => policy(name, { rules: [paths(...values)] });
const DENY = policy('deny', { action: 'DENY', rules: [paths('/no')] });
const CUSTOM = policy('custom', { action: 'CUSTOM', provider: { name: 'ext' }, rules: [paths('/ask')] });

function compare(before: readonly Policy[], after: readonly Policy[], request: Request): Flip | undefined {
  return createComparison({ before: enforce(before), after: enforce(after) }, NOW)(request);
}

describe('createComparison', () => {
  it('returns undefined when both sides decide alike', () => {
    expect(compare([allow('a', '/a')], [allow('a', '/a')], get('/a'))).to.equal(undefined);
    expect(compare([allow('a', '/a')], [allow('a', '/a')], get('/b'))).to.equal(undefined);
  });

  it('returns undefined when another rule gives the same outcome', () => {
    expect(compare([allow('a', '/a')], [allow('b', '/x', '/a')], get('/a'))).to.equal(undefined);
  });

  it('explains both decisions when the outcome differs', () => {
    const flip = compare([allow('a', '/a')], [allow('a', '/b')], get('/a'));
    const { before, after } = flip?.explain() ?? {};

    expect(before).to.deep.equal({
      verdict: { outcome: 'allow' },
      decidedBy: {
        stage: 'authorization',
        rule: { kind: 'AuthorizationPolicy', policy: 'foo/a', rule: 0 },
        reason: 'allow-rule',
        text: 'an ALLOW rule matched',
      },
    });
    expect(after?.verdict).to.deep.include({ outcome: 'deny', status: 403 });
    expect(after?.decidedBy).to.deep.include({ reason: 'no-allow-rule-matched', text: 'the only ALLOW rule did not match' });
  });

  it('gives flips by the same two rules one kind, and others another', () => {
    const sides = { before: enforce([allow('a', '/*')]), after: enforce([allow('a', '/*'), DENY]) };
    const comparison = createComparison(sides, NOW);
    const other = compare([allow('b', '/*')], [allow('b', '/*'), DENY], get('/no'));

    expect(comparison(get('/no'))?.kind).to.equal(comparison(get('/no?a=b'))?.kind);
    expect(comparison(get('/no'))?.kind).not.to.equal(other?.kind);
  });

  it('reports a different status with the same outcome class', () => {
    const key = createTestKey();
    const token = key.sign({ iss: ISSUER, sub: 'bob', aud: 'other' });
    const before = enforce([jwtPolicy({ audiences: ['web'] })], key);
    const after = enforce([jwtPolicy({ issuer: 'other' })], key);
    const flip = createComparison({ before, after }, NOW)(get('/', bearer(token)));
    const explained = flip?.explain();

    expect([explained?.before.verdict.status, explained?.after.verdict.status]).to.deep.equal([403, 401]);
  });

  it('reports an external authorizer that is called on one side only, and appends its caveat', () => {
    const flip = compare([], [CUSTOM], get('/ask'));
    const explained = flip?.explain();

    expect([explained?.before.verdict.outcome, explained?.after.verdict.outcome]).to.deep.equal(['allow', 'allow']);
    expect(explained?.after.decidedBy.text).to.match(/; provider ext was not called; its response is assumed to be allow$/);
  });
});
