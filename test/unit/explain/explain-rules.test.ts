import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { RuleExplanation } from '../../../src/explain/explanation.ts';
import { createTestKey, type TestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy, type Request } from './support.ts';

function rulesFor(policies: readonly Policy[], request: Request, key?: TestKey): readonly RuleExplanation[] {
  return explainRequest(enforce(policies, key), request, NOW).rules;
}

const names = (rules: readonly RuleExplanation[]): readonly string[] => rules.map(({ rule }) => `${rule.policy}[${rule.rule}]`);
const operation = (fields: object): object => ({ to: [{ operation: fields }] });

describe('explainRules', () => {
  it('lists the matched rule first, then misses by nearness', () => {
    const far = policy('far', { rules: [operation({ methods: ['PUT'], paths: ['/z'] })] });
    const near = policy('near', { rules: [operation({ methods: ['GET'], paths: ['/z'] })] });
    const hit = policy('hit', { rules: [paths('/a')] });
    const rules = rulesFor([far, near, hit], get('/a'));

    expect(names(rules)).to.deep.equal(['foo/hit[0]', 'foo/near[0]', 'foo/far[0]']);
    expect(rules.map(({ nearness }) => nearness)).to.deep.equal([1, 1 / 2, 0]);
  });

  it('keeps equally near rules in the order in which they are evaluated', () => {
    const two = policy('two', { rules: [paths('/x'), paths('/y')] });

    expect(names(rulesFor([two], get('/a')))).to.deep.equal(['foo/two[0]', 'foo/two[1]']);
  });

  it('lists ALLOW rules before a nearer DENY rule when no ALLOW rule matched', () => {
    const deny = policy('deny', { action: 'DENY', rules: [operation({ methods: ['GET'], paths: ['/z'] })] });
    const allow = policy('allow', { rules: [operation({ methods: ['PUT'], paths: ['/z'] })] });

    expect(names(rulesFor([deny, allow], get('/a')))).to.deep.equal(['foo/allow[0]', 'foo/deny[0]']);
  });

  it('has hits for a matched rule and misses for another one', () => {
    const [hit, miss] = rulesFor([policy('a', { rules: [paths('/a'), paths('/b')] })], get('/a'));

    expect([hit?.hits.map(({ path }) => path), hit?.misses]).to.deep.equal([['to[0].operation.paths'], []]);
    expect([miss?.hits, miss?.misses.map(({ path, saw, wanted }) => [path, saw, wanted])]).to.deep.equal([
      [],
      [['to[0].operation.paths', '/a', 'one of /b']],
    ]);
  });

  it('redacts what a clause saw', () => {
    const rule = { when: [{ key: 'request.headers[x-api-key]', values: ['other'] }] };
    const [miss] = rulesFor([policy('a', { rules: [rule] })], get('/', ['x-api-key', 'abcdefgh']));

    expect(miss?.misses[0]?.saw).to.equal('abcd…');
  });

  it('says that a header was removed together with the verified token', () => {
    const key = createTestKey();
    const rule = { when: [{ key: 'request.headers[authorization]', values: ['*'] }] };
    const header = bearer(key.sign({ iss: ISSUER, sub: 'bob' }));
    const removed = rulesFor([jwtPolicy(), policy('a', { rules: [rule] })], get('/', header), key);
    const kept = rulesFor([jwtPolicy({ forwardOriginalToken: true }), policy('a', { rules: [rule] })], get('/', header), key);

    expect(removed[0]?.misses[0]?.hint).to.include('header authorization was removed with the verified token');
    expect(kept[0]?.matched).to.equal(true);
  });

  it('evaluates CUSTOM rules before the token is removed', () => {
    const key = createTestKey();
    const rule = { when: [{ key: 'request.headers[authorization]', values: ['*'] }] };
    const custom = policy('custom', { action: 'CUSTOM', provider: { name: 'ext' }, rules: [rule] });
    const [first] = rulesFor([jwtPolicy(), custom], get('/', bearer(key.sign({ iss: ISSUER, sub: 'bob' }))), key);

    expect([first?.action, first?.matched, first?.reached]).to.deep.equal(['CUSTOM', true, true]);
  });

  it('marks all rules as not reached when a token is refused', () => {
    const rules = rulesFor([jwtPolicy(), policy('a', { rules: [{}] })], get('/', bearer('a.b.c')));

    expect(rules.map(({ matched, reached }) => [matched, reached])).to.deep.equal([[true, false]]);
  });

  it('is empty for a request that is rejected before any rule', () => {
    expect(rulesFor([policy('a', { rules: [{}] })], get('*'))).to.deep.equal([]);
  });
});
