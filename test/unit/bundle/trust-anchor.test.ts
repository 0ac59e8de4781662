import { expect } from 'chai';
import { formatTrustAnchor, parseTrustAnchor } from '../../../src/bundle/trust-anchor.ts';
import { RefusedError } from '../../../src/errors.ts';
import { mintKeys } from '../../../src/keys/signing-keys.ts';

const X = mintKeys('c', 0).root.x;
const key = { kty: 'OKP', crv: 'Ed25519', x: X };

function said(value: unknown): string {
  try {
    parseTrustAnchor(typeof value === 'string' ? value : JSON.stringify(value));
    return 'accepted';
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
}

describe('a trust anchor', () => {
  it('is read as it was written', () => {
    const anchor = { cluster: 'c', roots: [X, mintKeys('c', 0).root.x] };

    expect(parseTrustAnchor(formatTrustAnchor(anchor))).to.deep.equal(anchor);
    expect(formatTrustAnchor(anchor)).not.to.contain('\n');
  });

  it('names one to eight keys of a cluster', () => {
    expect(said({ cluster: 'c', keys: [key] })).to.equal('accepted');
    expect(said({ cluster: 'c'.repeat(253), keys: Array(8).fill(key) })).to.equal('accepted');
  });

  for (const [what, value] of [
    ['no JSON', '{'],
    ['null', 'null'],
    ['no key', { cluster: 'c', keys: [] }],
    ['nine keys', { cluster: 'c', keys: Array(9).fill(key) }],
    ['an empty cluster', { cluster: '', keys: [key] }],
    ['a long cluster', { cluster: 'c'.repeat(254), keys: [key] }],
    ['an unknown member', { cluster: 'c', keys: [key], roots: [] }],
    ['an unknown member of a key', { cluster: 'c', keys: [{ ...key, use: 'sig' }] }],
    ['a private key', { cluster: 'c', keys: [{ ...key, d: X }] }],
    ['another curve', { cluster: 'c', keys: [{ ...key, crv: 'X25519' }] }],
    ['another type of key', { cluster: 'c', keys: [{ ...key, kty: 'EC' }] }],
    ['a short key', { cluster: 'c', keys: [{ ...key, x: 'AAAA' }] }],
  ] as const) {
    it(`is refused with ${what}`, () => {
      expect(said(value)).to.equal('SP_CONFIG');
    });
  }
});
