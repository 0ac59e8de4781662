/*
 * Trust-domain aliases.
 */
import { expect } from 'chai';
import { expandPrincipal, expandTrustDomain } from '../../../../src/policy/lower/trust-domains.ts';

describe('trust-domain aliases', () => {
  const rows: readonly (readonly [value: string, domains: readonly string[], wanted: readonly string[]])[] = [
    ['cluster.local/ns/a/sa/b', ['td1'], ['td1/ns/a/sa/b']],
    ['td1/ns/a/sa/b', ['td1', 'old'], ['td1/ns/a/sa/b', 'old/ns/a/sa/b']],
    ['old/ns/a/sa/b', ['td1', 'old'], ['td1/ns/a/sa/b', 'old/ns/a/sa/b']],
    ['other/ns/a/sa/b', ['td1', 'old'], ['other/ns/a/sa/b']],
    ['*/ns/a/sa/b', ['td1', 'old'], ['*/ns/a/sa/b']],
    ['*', ['td1'], ['*']],
    ['td1/ns/a/*', ['td1', 'old'], ['td1/ns/a/*']],
    ['td1/ns/a/sa/*', ['td1', 'old'], ['td1/ns/a/sa/*', 'old/ns/a/sa/*']],
    ['*-td/ns/a/sa/b', ['new-td', 'old-td', 'x'], ['*-td/ns/a/sa/b', 'x/ns/a/sa/b']],
    ['td*/ns/a/sa/b', ['td1', 'x'], ['td1/ns/a/sa/b', 'x/ns/a/sa/b']],
    ['some-td/ns/a/sa/b', ['td1', '*-td'], ['td1/ns/a/sa/b', '*-td/ns/a/sa/b']],
    ['tdx/ns/a/sa/b', ['td1', 'td*'], ['td1/ns/a/sa/b', 'td*/ns/a/sa/b']],
    ['any/ns/a/sa/b', ['td1', '*'], ['td1/ns/a/sa/b', '*/ns/a/sa/b']],
  ];
  for (const [value, domains, wanted] of rows) {
    it(`expand ${value} when the mesh has ${domains.join(', ')}`, () => {
      expect(expandPrincipal(value, domains)).to.deep.equal(wanted);
    });
  }

  it('replace a member of trustDomains with all of them', () => {
    expect(expandTrustDomain('old', ['td1', 'old', 'td1'])).to.deep.equal(['td1', 'old']);
    expect(expandTrustDomain('cluster.local', ['td1', 'old'])).to.deep.equal(['cluster.local']);
  });
});
