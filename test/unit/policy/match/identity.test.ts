/*
 * Matches on identities compared with the regular expressions that Istio generates.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { compileIdentityMatch } from '../../../../src/policy/match/identity.ts';
import type { IdentityMatch } from '../../../../src/policy/model/program.ts';

function quoted(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** The regular expression that Istio sends to Envoy, which must match the whole string. */
function expressionOf(match: IdentityMatch): RegExp {
  switch (match.kind) {
    case 'exact':
      return new RegExp(`^${quoted(match.value)}$`, 's');
    case 'prefix':
      return new RegExp(`^${quoted(match.value)}.*$`, 's');
    case 'suffix':
      return new RegExp(`^.*${quoted(match.value)}$`, 's');
    case 'present':
      return /^.+$/;
    case 'spiffeSuffix':
      return new RegExp(`^spiffe://.*${quoted(match.value)}$`);
    case 'namespace':
      return new RegExp(`^.*/ns/${match.pattern.split('*').map(quoted).join('.*')}/.*$`);
    case 'serviceAccount':
      return new RegExp(`^spiffe://.+/ns/${quoted(match.namespace)}/(.+/|)sa/${quoted(match.name)}(/.+)?$`);
    case 'trustDomain':
      return new RegExp(`^spiffe://${quoted(match.prefix)}[^/]*${quoted(match.suffix)}/.*$`);
  }
}

const MATCHES: readonly IdentityMatch[] = [
  { kind: 'exact', value: 'spiffe://td/ns/a/sa/b' },
  { kind: 'prefix', value: 'spiffe://td/' },
  { kind: 'suffix', value: '/b' },
  { kind: 'present' },
  { kind: 'spiffeSuffix', value: '/sa/b' },
  { kind: 'spiffeSuffix', value: '' },
  { kind: 'namespace', pattern: 'a' },
  { kind: 'namespace', pattern: '*' },
  { kind: 'namespace', pattern: 'a*a' },
  { kind: 'namespace', pattern: '*b*' },
  { kind: 'serviceAccount', namespace: 'a', name: 'b' },
  { kind: 'serviceAccount', namespace: 'ns', name: 'sa' },
  { kind: 'trustDomain', prefix: 't', suffix: '' },
  { kind: 'trustDomain', prefix: '', suffix: 'd' },
  { kind: 'trustDomain', prefix: 'td', suffix: '' },
  { kind: 'trustDomain', prefix: 'td/n', suffix: '' },
  { kind: 'trustDomain', prefix: '', suffix: 'd/ns' },
];

describe('identity match', () => {
  it('matches what the generated regular expressions match', () => {
    const part = fc.constantFrom('spiffe://', 'td', 't', 'd', '/', '/ns/', 'ns', 'a', 'b', '/sa/', 'sa', 'sa/b', '/a', '\n', '//', 'x');
    const uri = fc
      .tuple(fc.constantFrom('spiffe://', 'spiffe://td', ''), fc.array(part, { maxLength: 9 }))
      .map(([start, parts]) => start + parts.join(''));
    fc.assert(
      fc.property(fc.constantFrom(...MATCHES), uri, (match, identity) => {
        expect(compileIdentityMatch(match)(identity), `${JSON.stringify(match)} on ${JSON.stringify(identity)}`).to.equal(
          expressionOf(match).test(identity),
        );
      }),
      { numRuns: 20_000 },
    );
  });

  const outcomes: readonly (readonly [IdentityMatch, string, boolean])[] = [
    [{ kind: 'namespace', pattern: 'a' }, 'spiffe://cluster.local/x/y/ns/a/sa/b', true],
    [{ kind: 'namespace', pattern: 'a' }, 'spiffe://cluster.local/ns/a', false],
    [{ kind: 'namespace', pattern: 'a' }, 'spiffe://cluster.local/ns/a/', true],
    [{ kind: 'namespace', pattern: 'a.c' }, 'spiffe://cluster.local/ns/abc/sa/b', false],
    [{ kind: 'namespace', pattern: 'a*c' }, 'spiffe://cluster.local/ns/a/x/c/sa/b', true],
    [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'spiffe://cluster.local/ns/a/sa/b', true],
    [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'spiffe://cluster.local/ns/a/x/sa/b/y', true],
    [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'spiffe://cluster.local/ns/a/sa/bc', false],
    [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'https://cluster.local/ns/a/sa/b', false],
    [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'spiffe://cluster.local/ns/b/sa/b', false],
    [{ kind: 'trustDomain', prefix: '', suffix: '.local' }, 'spiffe://cluster.local/ns/a/sa/b', true],
    [{ kind: 'trustDomain', prefix: '', suffix: '.local' }, 'https://cluster.local/ns/a/sa/b', false],
    [{ kind: 'spiffeSuffix', value: '/sa/b' }, 'spiffe://cluster.local/ns/a/sa/b', true],
  ];
  for (const [match, identity, outcome] of outcomes) {
    it(`${JSON.stringify(match)} ${outcome ? 'matches' : 'does not match'} ${identity}`, () => {
      expect(compileIdentityMatch(match)(identity)).to.equal(outcome);
    });
  }
});
