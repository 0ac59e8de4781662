/* Labels that change while nothing publishes: an agent with signed bundles and the signed index of its namespace, in real directories. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BundleOptions, Bundles } from '../../../../src/agent/bundles/bundles.ts';
import { encodeBundle } from '../../../../src/bundle/encode.ts';
import { formatLabelIndex, type Selector } from '../../../../src/bundle/label-index.ts';
import { signDocument } from '../../../../src/bundle/signed-document.ts';
import type { Signer } from '../../../../src/bundle/signer.ts';
import { BUNDLE_STATEMENT, INDEX_STATEMENT, type StatementSchema } from '../../../../src/bundle/statement.ts';
import { parseTrustAnchor } from '../../../../src/bundle/trust-anchor.ts';
import { mintKeys, signerOf } from '../../../../src/keys/signing-keys.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { KEYS, SIGNER, signedFiles } from '../../../support/signing.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL, type Files, mountVolume, newFolder, simpleBundle } from '../bundles.ts';

const NOW = Date.now();
const chain = httpChain(() => {
  throw new Error('not asked');
});
/** Made while no pod had the label `tier`. */
const plain = encodeBundle(simpleBundle(ALLOW_ALL));
const restricted = encodeBundle(
  bundleOf(
    [ALLOW_ALL, DENY_ALL],
    [
      { labels: {}, program: 0 },
      { labels: { tier: 'restricted' }, program: 1 },
    ],
  ),
);

interface IndexOver {
  readonly number?: number;
  readonly signer?: Signer;
  readonly namespace?: string;
  readonly schema?: StatementSchema;
  readonly copy?: number;
}

function indexFiles(selectors: readonly Selector[], over: IndexOver = {}): Files {
  const { number = NOW, signer = SIGNER, namespace = 'foo', schema = INDEX_STATEMENT, copy = 0 } = over;
  const files = signDocument(formatLabelIndex({ namespace, selectors }), { schema, namespace, number }, signer);
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`index/${copy}/${name}`, content as string | Uint8Array]));
}

const TIER = [{ tier: 'restricted' }];

describe('agent with the index of its namespace', () => {
  let dir = '';
  let events: string[] = [];
  let opened: Bundles | undefined;
  beforeEach(async () => {
    dir = await newFolder();
    events = [];
    for (const name of ['bundle', 'state', 'info']) await mkdir(join(dir, name));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const mount = (...files: readonly Files[]): Promise<void> => mountVolume(join(dir, 'bundle'), Object.assign({}, ...files) as Files);
  const label = (labels: string): Promise<void> => writeFile(join(dir, 'info', 'labels'), labels);
  const open = (over: Partial<BundleOptions> = {}): Bundles => {
    opened = new Bundles(
      {
        bundleDir: join(dir, 'bundle'),
        workload: plain.workload,
        labelsFile: join(dir, 'info', 'labels'),
        labels: undefined,
        stateDir: join(dir, 'state'),
        pollMs: 20,
        trust: { anchor: parseTrustAnchor(SIGNER.anchor), floor: 0, wallMs: () => NOW },
        ...over,
      },
      {
        logger: createLogger({ level: 'silent', component: 'test' }),
        *createFilterChain(program) {
          yield;
          events.push(program.http.allow.attached ? 'deny' : 'allow');
          return chain;
        },
        onActive: () => undefined,
        onUnmatched: () => events.push('503'),
        onRejected: (code) => events.push(code),
      },
    );
    return opened;
  };

  it('responds with 503 when the pod gets a label that a selector names and the bundle does not know, until it does', async () => {
    await label('app="web"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER));
    const bundles = open();
    await bundles.begin();
    await label('app="web"\ntier="restricted"\n');
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503']);
    await mount(signedFiles(restricted, { number: NOW + 1 }), indexFiles(TIER));
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503', 'deny']);
    await label('app="web"\n');
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503', 'deny', 'allow']);
  });

  it('serves again when the label is taken back', async () => {
    await label('app="web"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER));
    const bundles = open();
    await bundles.begin();
    await label('tier="restricted"\n');
    await bundles.read();
    await label('app="web"\n');
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503', 'allow']);
  });

  it('goes on with values and labels that no selector names', async () => {
    await label('app="web"\n');
    await mount(signedFiles(restricted, { number: NOW }), indexFiles(TIER));
    const bundles = open();
    await bundles.begin();
    for (const labels of ['app="web"\npod-template-hash="1"\n', 'app="web"\ntier="other"\n', 'version="v2"\n']) {
      await label(labels);
      await bundles.read();
    }
    expect(events).to.deep.equal(['allow']);
  });

  it('starts with 503 for a new pod of a template with a label like this', async () => {
    await label('tier="restricted"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER));
    await open().begin();
    expect(events).to.deep.equal(['503']);
  });

  it('takes index and bundle of one version of the volume together', async () => {
    await label('tier="restricted"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles([]));
    const bundles = open();
    await bundles.begin();
    await mount(signedFiles(restricted, { number: NOW + 1 }), indexFiles(TIER, { number: NOW + 1 }));
    await bundles.read();
    // The selector and its policy went away together.
    await mount(signedFiles(plain, { number: NOW + 2 }), indexFiles([], { number: NOW + 2 }));
    await bundles.read();
    expect(events).to.deep.equal(['allow', 'deny', 'allow']);
  });

  it('takes the copy with the higher number, and keeps it across restarts and when it is gone', async () => {
    await label('tier="restricted"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles([], { number: NOW }), indexFiles(TIER, { number: NOW + 1, copy: 1 }));
    await open().begin();
    expect(events).to.deep.equal(['503']);
    await mount(signedFiles(plain, { number: NOW }));
    await open().begin();
    expect(events).to.deep.equal(['503', '503']);
    await mount(signedFiles(plain, { number: NOW }), indexFiles([], { number: NOW }));
    await open().begin();
    expect(events).to.deep.equal(['503', '503', '503']);
  });

  const refused: Readonly<Record<string, IndexOver>> = {
    'of other keys': { signer: signerOf(mintKeys(SIGNER.cluster, NOW)) },
    'of another cluster': { signer: signerOf({ ...KEYS, cluster: 'other' }) },
    'of another namespace': { namespace: 'bar' },
    'that is signed as a bundle': { schema: BUNDLE_STATEMENT },
  };
  for (const [name, over] of Object.entries(refused)) {
    it(`ignores an index ${name}`, async () => {
      await label('tier="restricted"\n');
      await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER, over));
      await open().begin();
      expect(events).to.deep.equal(['allow']);
      const tampered = { ...indexFiles([]), 'index/0/part': Buffer.from(formatLabelIndex({ namespace: 'foo', selectors: TIER })) };
      await mount(signedFiles(plain, { number: NOW }), tampered);
      await opened?.read();
      expect(events).to.deep.equal(['allow']);
    });
  }

  it('takes an index again whose part was repaired under the same statement', async () => {
    await label('tier="restricted"\n');
    await mount(signedFiles(plain, { number: NOW }), { ...indexFiles(TIER), 'index/0/part': Buffer.from('{}') });
    const bundles = open();
    await bundles.begin();
    expect(events).to.deep.equal(['allow']);
    await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER));
    await bundles.read();
    expect(events).to.deep.equal(['allow', '503']);
  });

  it('follows an index that changes alone', async () => {
    await label('tier="restricted"\n');
    await mount(signedFiles(plain, { number: NOW }), indexFiles([]));
    const bundles = open();
    await bundles.begin();
    const stop = new AbortController();
    const following = bundles.follow(stop.signal);
    await mount(signedFiles(plain, { number: NOW }), indexFiles(TIER, { number: NOW + 1 }));
    for (let tries = 0; tries < 400 && events.length < 2; tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await following;
    expect(events).to.deep.equal(['allow', '503']);
  });
});
