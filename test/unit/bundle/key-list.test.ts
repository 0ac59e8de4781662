import { expect } from 'chai';
import { type PrivateKey, privateKeyOf, signJws, thumbprint } from '../../../src/bundle/jws.ts';
import {
  acceptKeyLists,
  KEY_LIST_SCHEMA,
  type KeyList,
  MAX_ROOT_CHANGES,
  MAX_SIGNING_KEYS,
  signKeyList,
} from '../../../src/bundle/key-list.ts';
import { RefusedError } from '../../../src/errors.ts';
import { type KeyPair, mintKeys } from '../../../src/keys/signing-keys.ts';

const CLUSTER = 'cluster-1';
const pair = (): KeyPair => mintKeys(CLUSTER, 0).root;
const [ROOT, NEXT, ...SIGNING] = Array.from({ length: MAX_SIGNING_KEYS + 3 }, pair) as [KeyPair, KeyPair, ...KeyPair[]];
const listed = (count: number): KeyList['keys'] => SIGNING.slice(0, count).map(({ x }) => ({ x, notBefore: 5, notAfter: 9 }));
const list = (over: object = {}): KeyList =>
  ({ schema: KEY_LIST_SCHEMA, cluster: CLUSTER, number: 7, keys: listed(1), ...over }) as KeyList;
const signed = (over: object = {}, root: KeyPair = ROOT): string => signKeyList(list(over), privateKeyOf(root));

function said(lines: readonly string[] | string, known?: ReturnType<typeof acceptKeyLists>): string {
  const text = typeof lines === 'string' ? lines : lines.join('\n');
  try {
    acceptKeyLists(text, { cluster: CLUSTER, roots: [ROOT.x], known });
    return 'accepted';
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
}

describe('a list of signing keys', () => {
  it('gives the keys by their ID, with their period, the root and the lines', () => {
    const text = signed({ keys: listed(2) });
    const { root, number, keys, lines } = acceptKeyLists(text, { cluster: CLUSTER, roots: ['x', ROOT.x] });

    expect({ root, number, lines }).to.deep.equal({ root: ROOT.x, number: 7, lines: text });
    expect([...keys.keys()]).to.deep.equal(listed(2).map(({ x }) => thumbprint(x)));
    expect(keys.get(thumbprint(SIGNING[0]?.x ?? ''))).to.deep.include({ x: SIGNING[0]?.x, notBefore: 5, notAfter: 9 });
  });

  for (const [what, over] of [
    ['another schema', { schema: 'sallyport.dev/keys/v2' }],
    ['an unknown member', { extra: 1 }],
    ['an unknown member of a key', { keys: [{ ...listed(1)[0], use: 'sig' }] }],
    ['the number 0', { number: 0 }],
    ['a number that is not whole', { number: 1.5 }],
    ['a key without a period', { keys: [{ x: SIGNING[0]?.x }] }],
    ['a negative time', { keys: [{ ...listed(1)[0], notBefore: -1 }] }],
    ['a key that is too short', { keys: [{ ...listed(1)[0], x: 'AAAA' }] }],
    ['one key twice', { keys: [...listed(1), ...listed(1)] }],
    ['too many keys', { keys: listed(MAX_SIGNING_KEYS + 1) }],
    ['a successor that is no key', { nextRoot: 'x', keys: [] }],
    ['no cluster', { cluster: undefined }],
  ] as const) {
    it(`is refused with ${what}`, () => {
      expect(said(signed(over))).to.equal('SP_BUNDLE_KEYS');
    });
  }

  it('takes as many keys as the limit, and none', () => {
    expect(said(signed({ keys: listed(MAX_SIGNING_KEYS) }))).to.equal('accepted');
    expect(said(signed({ keys: [] }))).to.equal('accepted');
    expect(said(signed({ keys: [{ ...listed(1)[0], notBefore: 0, notAfter: 0 }], number: 1 }))).to.equal('accepted');
  });

  it('is refused when it is for another cluster', () => {
    expect(said(signed({ cluster: 'other' }))).to.equal('SP_BUNDLE_FOREIGN');
  });

  it('is refused when a trusted root did not sign it', () => {
    expect(said(signed({}, NEXT))).to.equal('SP_BUNDLE_SIGNATURE');
    const forged: PrivateKey = { kid: thumbprint(ROOT.x), key: privateKeyOf(NEXT).key };
    expect(said(signKeyList(list(), forged))).to.equal('SP_BUNDLE_SIGNATURE');
    expect(said('')).to.equal('SP_BUNDLE_SIGNATURE');
  });

  it('is refused when it is signed as something else', () => {
    expect(said(signJws('sallyport-statement', list(), privateKeyOf(ROOT)))).to.equal('SP_BUNDLE_KEYS');
  });

  it('is followed through as many roots as the limit, and through no more', () => {
    const pairs = Array.from({ length: MAX_ROOT_CHANGES + 1 }, pair);
    const roots = [ROOT, ...pairs];
    const succession = (count: number): readonly string[] =>
      roots
        .slice(0, count + 1)
        .map((root, at) => (at === count ? signed({}, root) : signed({ keys: [], nextRoot: roots[at + 1]?.x }, root)));

    expect(said(succession(MAX_ROOT_CHANGES))).to.equal('accepted');
    expect(said(succession(MAX_ROOT_CHANGES + 1))).to.equal('SP_BUNDLE_KEYS');
  });

  it('is not the last one when it names a successor', () => {
    const succession = signed({ keys: [], nextRoot: NEXT.x });

    expect(said(succession)).to.equal('SP_BUNDLE_KEYS');
    expect(said([succession, signed({}, NEXT)])).to.equal('accepted');
    expect(said([signed(), signed({}, NEXT)])).to.equal('SP_BUNDLE_KEYS');
    expect(said(['', succession, '', signed({}, NEXT), ''])).to.equal('accepted');
  });

  it('replaces an older one and itself, and is refused after a newer one', () => {
    const known = acceptKeyLists(signed(), { cluster: CLUSTER, roots: [ROOT.x] });

    expect(said(signed({ number: 8 }), known)).to.equal('accepted');
    expect(said(signed({ keys: listed(2) }), known)).to.equal('accepted');
    expect(said(signed({ number: 6 }), known)).to.equal('SP_BUNDLE_KEYS');
    expect(acceptKeyLists(signed(), { cluster: CLUSTER, roots: [], known })).to.equal(known);
  });

  it('is followed from the root that was accepted last, not from the first', () => {
    const succession = signed({ keys: [], nextRoot: NEXT.x });
    const known = acceptKeyLists([succession, signed({}, NEXT)].join('\n'), { cluster: CLUSTER, roots: [ROOT.x] });

    expect(known.root).to.equal(NEXT.x);
    expect(said(signed({ number: 9 }), known)).to.equal('SP_BUNDLE_SIGNATURE');
    expect(said(signed({ number: 9 }, NEXT), known)).to.equal('accepted');
  });
});
