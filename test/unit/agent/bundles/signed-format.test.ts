/*
 * Signed bundles in real directories: what an agent accepts, what it refuses and why, and what it remembers across restarts.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BundleOptions, Bundles } from '../../../../src/agent/bundles/bundles.ts';
import type { EncodedBundle } from '../../../../src/bundle/bundle.ts';
import { encodeBundle } from '../../../../src/bundle/encode.ts';
import { parseTrustAnchor } from '../../../../src/bundle/trust-anchor.ts';
import { KEY_VALIDITY_MS, mintKeys, rotateRoot, rotateSigningKey, signerOf } from '../../../../src/keys/signing-keys.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { CLUSTER, KEYS, SIGNER, signedFiles } from '../../../support/signing.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW_ALL, DENY_ALL, filesOf, mountVolume, newFolder, simpleBundle } from '../bundles.ts';

const NOW = Date.now();
const chain = httpChain(() => {
  throw new Error('not asked');
});
const deny: EncodedBundle = encodeBundle(simpleBundle(DENY_ALL));
const allow: EncodedBundle = encodeBundle(simpleBundle(ALLOW_ALL));

interface Rig {
  readonly bundles: Bundles;
  readonly programs: Program[];
  readonly refused: string[];
}

let dir = '';
let bundleDir = '';
let stateDir = '';
let nowMs = NOW;

function rig(options: Partial<BundleOptions> = {}): Rig {
  const programs: Program[] = [];
  const refused: string[] = [];
  const bundles = new Bundles(
    {
      bundleDir,
      workload: deny.workload,
      labelsFile: undefined,
      labels: undefined,
      stateDir,
      pollMs: 20,
      trust: { anchor: parseTrustAnchor(SIGNER.anchor), floor: 0, wallMs: () => nowMs },
      ...options,
    },
    {
      logger: createLogger({ level: 'silent', component: 'test' }),
      *createFilterChain(program) {
        programs.push(program);
        yield;
        return chain;
      },
      onActive: () => undefined,
      onUnmatched: () => undefined,
      onRejected: (code) => refused.push(code),
    },
  );
  return { bundles, programs, refused };
}

async function mount(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  await mountVolume(bundleDir, files);
}

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(async () => {
    nowMs = NOW;
    dir = await newFolder();
    bundleDir = join(dir, 'bundle');
    stateDir = join(dir, 'state');
    await mkdir(bundleDir);
    await mkdir(stateDir);
  });
  afterEach(() => rm(dir, { recursive: true }));
}

describe('signed bundles: accepting', () => {
  setUp();

  it('activates a signed bundle from any slot, and a newer one from another', async () => {
    const { bundles, programs, refused } = rig();
    await mount(signedFiles(deny, { slot: 2, number: NOW }));
    await bundles.begin();
    await mount({ ...signedFiles(deny, { slot: 2, number: NOW }), ...signedFiles(allow, { slot: 0, number: NOW + 1 }) });
    await bundles.read();
    expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
    expect(refused).to.deep.equal([]);
  });

  it('puts a bundle together from two slots, in whatever order', async () => {
    const large = encodeBundle({
      ...simpleBundle(DENY_ALL),
      keySets: { a: { source: 'inline', keys: [{ kty: 'oct', k: Array.from({ length: 8_000 }, () => crypto.randomUUID()).join('') }] } },
    });
    const files = signedFiles(large, { partLimit: 100_000 });
    expect(Object.keys(files)).to.have.length(6);
    const swapped = Object.fromEntries(
      Object.entries(files).map(([name, content]) => [name.replace(/^[01]/, (slot) => (slot === '0' ? '1' : '0')), content]),
    );
    const { bundles, programs } = rig();
    await mount(swapped);
    await bundles.begin();
    expect(programs).to.deep.equal([DENY_ALL]);
  });

  it('does not decode a bundle again that was signed again', async () => {
    const { bundles, programs } = rig();
    await mount(signedFiles(deny, { number: NOW }));
    await bundles.begin();
    await mount(signedFiles(deny, { number: NOW + 1, signer: signerOf(rotateSigningKey(KEYS, NOW + 1)) }));
    await bundles.read();
    expect(programs).to.deep.equal([DENY_ALL]);
  });

  it('ignores every other file that is mounted', async () => {
    const { bundles, programs, refused } = rig();
    await mount({ ...signedFiles(deny), ...filesOf(simpleBundle(ALLOW_ALL)), '7/part': 'x', 'bundle.json.gz': 'x' });
    await bundles.begin();
    expect(programs).to.deep.equal([DENY_ALL]);
    expect(refused).to.deep.equal([]);
  });

  it('follows two rotations of the signing key and two of the root key', async () => {
    const { bundles, programs, refused } = rig();
    let keys = KEYS;
    for (let change = 1; change <= 4; change += 1) {
      keys = change % 2 === 1 ? rotateSigningKey(keys, NOW + change) : rotateRoot(keys, NOW + change);
      await mount(signedFiles(change % 2 === 1 ? deny : allow, { number: NOW + change, signer: signerOf(keys) }));
      await bundles.read();
    }
    expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL, DENY_ALL, ALLOW_ALL]);
    expect(refused).to.deep.equal([]);
  });

  it('follows any number of root keys, also across restarts, with the lists that it kept', async () => {
    let keys = KEYS;
    for (let change = 1; change <= 40; change += 1) {
      keys = rotateRoot(keys, NOW + change);
      await mount(signedFiles(deny, { number: NOW + change, signer: signerOf(keys) }));
      const { bundles, refused } = rig();
      await bundles.begin();
      expect(refused, `change ${change}`).to.deep.equal([]);
    }
    // A new pod that trusts only the first root key is too far behind.
    const late = rig({ stateDir: undefined });
    await late.bundles.begin();
    expect(late.refused).to.deep.equal(['SP_BUNDLE_SIGNATURE']);
  });
});

describe('signed bundles: refusing', () => {
  setUp();

  const good = (number: number): Record<string, string | Buffer> => signedFiles(allow, { number });
  const other = encodeBundle({ ...simpleBundle(ALLOW_ALL), workload: { ...allow.workload, name: 'other' } });
  const statefulset = encodeBundle({ ...simpleBundle(ALLOW_ALL), workload: { ...allow.workload, kind: 'statefulset' } });
  const without = (name: string, files: Record<string, string | Buffer>): Record<string, string | Buffer> =>
    Object.fromEntries(Object.entries(files).filter(([file]) => file !== name));
  const signedElsewhere = (files: Record<string, string | Buffer>, extra: object): Record<string, string | Buffer> => ({
    ...files,
    ...(extra as typeof files),
  });
  const bad: readonly (readonly [string, () => Record<string, string | Buffer>, string])[] = [
    ['an unsigned bundle', () => ({ '0/part': allow.json }), 'SP_BUNDLE_KEYS'],
    ['a bundle without its statement', () => without('0/statement.jws', good(NOW + 1)), 'SP_BUNDLE_UNSIGNED'],
    ['a statement that is not a JWS', () => ({ ...good(NOW + 1), '0/statement.jws': '{}' }), 'SP_BUNDLE_UNSIGNED'],
    ['another content with a fresh digest', () => ({ ...good(NOW + 1), '0/part': deny.json }), 'SP_BUNDLE_UNREADABLE'],
    ['a truncated bundle', () => ({ ...good(NOW + 1), '0/part': allow.json.slice(0, 100) }), 'SP_BUNDLE_UNREADABLE'],
    ['a bundle without its part', () => without('0/part', good(NOW + 1)), 'SP_BUNDLE_UNREADABLE'],
    ['a bundle of another workload', () => signedFiles(other, { number: NOW + 1 }), 'SP_BUNDLE_FOREIGN'],
    ['a bundle of another kind of workload', () => signedFiles(statefulset, { number: NOW + 1 }), 'SP_BUNDLE_FOREIGN'],
    ['a bundle of another namespace', () => signedFiles(allow, { number: NOW + 1, over: { namespace: 'bar' } }), 'SP_BUNDLE_FOREIGN'],
    ['an index', () => signedFiles(allow, { number: NOW + 1, over: { schema: 'sallyport.dev/index/v1' } }), 'SP_BUNDLE_FOREIGN'],
    [
      'a bundle of another cluster with the same keys',
      () => signedFiles(allow, { number: NOW + 1, signer: signerOf({ ...KEYS, cluster: 'cluster-2' }) }),
      'SP_BUNDLE_FOREIGN',
    ],
    [
      'a bundle of other keys',
      () => signedFiles(allow, { number: NOW + 1, signer: signerOf(mintKeys(CLUSTER, NOW)) }),
      'SP_BUNDLE_SIGNATURE',
    ],
    [
      'a bundle of other keys with our list of keys',
      () =>
        signedElsewhere(signedFiles(allow, { number: NOW + 1, signer: signerOf(mintKeys(CLUSTER, NOW)) }), {
          '0/keys.jws': SIGNER.keys.lines,
        }),
      'SP_BUNDLE_SIGNATURE',
    ],
    ['an older bundle', () => good(NOW - 1), 'SP_BUNDLE_OLDER'],
    [
      'a malformed list of keys',
      () => ({ ...signedFiles(allow, { number: NOW + 1, signer: signerOf(rotateSigningKey(KEYS, NOW)) }), '0/keys.jws': 'x' }),
      'SP_BUNDLE_KEYS',
    ],
    ['a wrong size', () => signedFiles(allow, { number: NOW + 1, over: { size: 3 } }), 'SP_BUNDLE_DIGEST'],
    ['a size beyond all limits', () => signedFiles(allow, { number: NOW + 1, over: { size: 2 ** 40 } }), 'SP_BUNDLE_TOO_LARGE'],
    ['text that is called gzip', () => signedFiles(allow, { number: NOW + 1, over: { encoding: 'gzip' } }), 'SP_BUNDLE_UNREADABLE'],
  ];
  for (const [name, files, code] of bad) {
    it(`refuses ${name} once, keeps the last good one, and takes the next good one`, async () => {
      const { bundles, programs, refused } = rig();
      await mount(signedFiles(deny, { number: NOW }));
      await bundles.begin();
      await mount(files());
      await bundles.read();
      await bundles.read();
      expect(refused).to.deep.equal([code]);
      expect(programs).to.deep.equal([DENY_ALL]);
      await mount(good(NOW + 2));
      await bundles.read();
      expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
    });

    it(`reports ${name} and is not disturbed when another slot is good`, async () => {
      const { bundles, programs } = rig();
      await mount({ ...files(), ...signedFiles(deny, { slot: 1, number: NOW }) });
      await bundles.begin();
      expect(programs).to.deep.equal([DENY_ALL]);
    });
  }

  it('refuses a bundle of an expired key, but keeps one that was accepted before, also after a restart', async () => {
    const { bundles } = rig();
    await mount(signedFiles(deny, { number: NOW }));
    await bundles.begin();
    nowMs = NOW + KEY_VALIDITY_MS + 1_000;
    await mount(good(NOW + 1));
    const restarted = rig();
    await restarted.bundles.begin();
    expect(restarted.refused).to.deep.equal(['SP_BUNDLE_KEY_EXPIRED']);
    expect(restarted.programs).to.deep.equal([DENY_ALL]);
  });

  it('refuses an older bundle after a restart, and one below the number of its injection', async () => {
    await mount(signedFiles(deny, { number: NOW + 5 }));
    await rig().bundles.begin();
    await mount(good(NOW));
    const restarted = rig();
    await restarted.bundles.begin();
    expect(restarted.refused).to.deep.equal(['SP_BUNDLE_OLDER']);
    expect(restarted.programs).to.deep.equal([DENY_ALL]);

    const fresh = rig({ stateDir: undefined, trust: { anchor: parseTrustAnchor(SIGNER.anchor), floor: NOW + 1, wallMs: () => nowMs } });
    await fresh.bundles.begin();
    expect([fresh.refused, fresh.programs]).to.deep.equal([['SP_BUNDLE_OLDER'], []]);
  });

  it('refuses the signing keys of a root key that was replaced', async () => {
    const { bundles, refused } = rig();
    await mount(signedFiles(deny, { number: NOW, signer: signerOf(rotateRoot(KEYS, NOW + 1)) }));
    await bundles.begin();
    // A thief of the former root key lists another key.
    const stolen = rotateSigningKey(KEYS, NOW + 10);
    await mount(signedFiles(allow, { number: NOW + 10, signer: signerOf(stolen) }));
    await bundles.read();
    expect(refused).to.deep.equal(['SP_BUNDLE_SIGNATURE']);
  });

  it('ignores a kept bundle that is not signed for it', async () => {
    await mount(signedFiles(deny));
    await rig().bundles.begin();
    await mount({});
    const other = rig({ workload: { ...deny.workload, name: 'other' } });
    await other.bundles.begin();
    expect([other.programs, other.refused]).to.deep.equal([[], ['SP_BUNDLE_FOREIGN']]);
  });
});
