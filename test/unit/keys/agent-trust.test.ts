/* Which trust anchors are ours: the present and the former root keys of this cluster, and nothing else. */
import { expect } from 'chai';
import { formatTrustAnchor, parseTrustAnchor } from '../../../src/bundle/trust-anchor.ts';
import { faultOfAnchor } from '../../../src/keys/agent-trust.ts';
import { mintKeys, moveToCluster, parseSigningKeys, rotateRoot, rotateSigningKey, signerOf } from '../../../src/keys/signing-keys.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const KEYS = mintKeys('cluster-1', NOW_MS);
const ANCHOR = signerOf(KEYS).anchor;
const [ROOT = ''] = parseTrustAnchor(ANCHOR).roots;
const [OTHER = ''] = parseTrustAnchor(signerOf(mintKeys('cluster-1', NOW_MS)).anchor).roots;

describe('faultOfAnchor', () => {
  it('accepts the anchor of now, also in another notation', () => {
    expect(faultOfAnchor(ANCHOR, signerOf(KEYS))).to.equal(undefined);
    expect(faultOfAnchor(JSON.stringify(JSON.parse(ANCHOR), undefined, 2), signerOf(KEYS))).to.equal(undefined);
  });

  it('accepts every former root, because a running agent has followed each change', () => {
    let keys = KEYS;
    for (let rotation = 0; rotation < 20; rotation += 1) {
      keys = rotateSigningKey(rotateRoot(keys, NOW_MS + rotation), NOW_MS + rotation);
      keys = parseSigningKeys(JSON.stringify(keys));
      expect(faultOfAnchor(ANCHOR, signerOf(keys)), `${rotation}`).to.equal(undefined);
    }
    expect(keys.successions).to.have.length(16);
    expect(keys.formerRoots).to.have.length(4);
  });

  const faults: readonly (readonly [string, string, string])[] = [
    [
      'a root key of others',
      formatTrustAnchor({ cluster: 'cluster-1', roots: [OTHER] }),
      'has a root key that is not of this installation',
    ],
    [
      'a root key of others next to ours',
      formatTrustAnchor({ cluster: 'cluster-1', roots: [ROOT, OTHER] }),
      'has a root key that is not of this installation',
    ],
    ['another cluster', formatTrustAnchor({ cluster: 'cluster-2', roots: [ROOT] }), 'is of another cluster'],
    ['no key', '{"cluster":"cluster-1","keys":[]}', 'is not a trust anchor'],
    ['an unknown member', ANCHOR.replace('{', '{"x":1,'), 'is not a trust anchor'],
    ['the name of another variable', '$(ANCHOR)', 'is not a trust anchor'],
    ['nothing', '', 'is not a trust anchor'],
  ];
  for (const [name, anchor, fault] of faults) {
    it(`refuses ${name}`, () => expect(faultOfAnchor(anchor, signerOf(KEYS))).to.equal(fault));
  }

  it('refuses anchors of the cluster that a backup of the keys came from', () => {
    let keys = KEYS;
    for (let rotation = 0; rotation < 20; rotation += 1) keys = rotateRoot(keys, NOW_MS);
    const moved = moveToCluster(keys, 'cluster-2', NOW_MS);

    expect(faultOfAnchor(ANCHOR, signerOf(moved))).to.equal('is of another cluster');
    expect(faultOfAnchor(ANCHOR.replace('cluster-1', 'cluster-2'), signerOf(moved))).to.contain('not of this installation');
  });
});
