import { expect } from 'chai';
import { matchingPeer, matchingText, withClaim } from '../../../../src/explain/generate/generated-request.ts';
import { compileIdentityMatch } from '../../../../src/policy/match/identity.ts';
import type { IdentityMatch, PathMatch } from '../../../../src/policy/model/program.ts';

describe('matchingText', () => {
  const cases: readonly (readonly [match: PathMatch, text: string])[] = [
    [{ kind: 'exact', value: '/a' }, '/a'],
    [{ kind: 'prefix', value: '/a/' }, '/a/x1'],
    [{ kind: 'suffix', value: '.js' }, 'x1.js'],
    [{ kind: 'present' }, 'x1'],
    [{ kind: 'template', value: '/{*}/a/{**}' }, '/x1/a/x1/x1'],
  ];
  for (const [match, text] of cases) {
    it(`returns ${text} for ${match.kind}`, () => {
      expect(matchingText(match)).to.equal(text);
    });
  }
});

describe('matchingPeer', () => {
  const cases: readonly IdentityMatch[] = [
    { kind: 'exact', value: 'spiffe://cluster.local/ns/foo/sa/x' },
    { kind: 'present' },
    { kind: 'namespace', pattern: 'foo' },
    { kind: 'namespace', pattern: 'foo*' },
    { kind: 'serviceAccount', namespace: 'foo', name: 'x' },
    { kind: 'spiffeSuffix', value: '/sa/x' },
  ];
  for (const match of cases) {
    it(`satisfies ${JSON.stringify(match)}`, () => {
      expect(compileIdentityMatch(match)(matchingPeer(match))).to.equal(true);
    });
  }
});

describe('withClaim', () => {
  it('adds a claim, creating the objects on its path', () => {
    expect(withClaim({ iss: 'me' }, ['a', 'b'], 'c')).to.deep.equal({ iss: 'me', a: { b: 'c' } });
  });

  it('keeps other members of an object on the path', () => {
    expect(withClaim({ a: { x: 1 } }, ['a', 'b'], ['c'])).to.deep.equal({ a: { x: 1, b: ['c'] } });
  });

  it('replaces a value on the path that is not an object', () => {
    expect(withClaim({ a: 'text' }, ['a', 'b'], 'c')).to.deep.equal({ a: { b: 'c' } });
    expect(withClaim({ a: ['x'] }, ['a', 'b'], 'c')).to.deep.equal({ a: { b: 'c' } });
  });

  it('does not modify the given claims', () => {
    const claims = { a: { x: 1 } };
    withClaim(claims, ['a', 'x'], 2);

    expect(claims).to.deep.equal({ a: { x: 1 } });
  });
});
