/*
 * An agent's bundles over a real TLS stream from the real server of the feed, with signed files.
 */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BundleOptions, Bundles } from '../../../../src/agent/bundles/bundles.ts';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import type { Chunk } from '../../../../src/bundle/canonical-json.ts';
import type { BundleFiles } from '../../../../src/bundle/decode.ts';
import { encodeBundle } from '../../../../src/bundle/encode.ts';
import { signDocument } from '../../../../src/bundle/signed-document.ts';
import { INDEX_STATEMENT } from '../../../../src/bundle/statement.ts';
import { parseTrustAnchor } from '../../../../src/bundle/trust-anchor.ts';
import { systemClock } from '../../../../src/clock.ts';
import { FrameReader } from '../../../../src/feed/frames.ts';
import { FEED_PROTOCOL, MAX_UP_BYTES, UP } from '../../../../src/feed/protocol.ts';
import type { RunningFeed } from '../../../../src/feed-server/start-feed.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { type AgentReports, createAgentReports } from '../../../../src/status/agent-reports.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../../src/webhook/certs/issue.ts';
import { until } from '../../../support/fake-clock.ts';
import { startOnePodFeed } from '../../../support/one-pod-feed.ts';
import { SIGNER, signedFiles } from '../../../support/signing.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL, mountVolume, newFolder, simpleBundle } from '../bundles.ts';

const SERVER_NAME = 'sallyport.system.svc';
const WORKLOAD = { namespace: 'foo', kind: 'deployment', name: 'httpbin' };

describe('bundles over the feed', () => {
  let authority: KeyPair;
  let serving: KeyPair;
  let directory: string;
  let bundleDir: string;
  let reports: AgentReports;
  let feed: RunningFeed;
  let current: { readonly number: number; readonly files: BundleFiles; readonly chunks?: readonly Chunk[] } | undefined;
  let leader: string | undefined;
  let refused: string[];
  let programs: Program[];
  let unknown: object[];
  const changed = new Set<() => void>();
  const stopping: (() => Promise<void>)[] = [];

  before(async () => {
    authority = await issueAuthority(Date.now(), 86_400_000);
    serving = await issueServing(authority, [SERVER_NAME], { nowMs: Date.now(), validMs: 86_400_000 });
  });
  const start = async (host = '127.0.0.1', port = 0, its = reports): Promise<RunningFeed> => {
    const started = await startOnePodFeed({
      host,
      port,
      reports: its,
      leaderHost: () => leader,
      source: {
        currentOf: () => (current === undefined ? undefined : { number: current.number, read: async () => current }),
        onUnknownKeys: (_workload, keys) => {
          unknown.push(Object.fromEntries(keys));
          return [];
        },
        onBundle: (listener) => {
          const notify = (): void => listener('foo/pod/web');
          changed.add(notify);
          return () => changed.delete(notify);
        },
      },
      serving,
      authority,
    });
    stopping.push(started.stop);
    return started;
  };
  beforeEach(async () => {
    directory = await newFolder();
    bundleDir = join(directory, 'bundle');
    await mkdir(bundleDir);
    await mkdir(join(directory, 'state'));
    await writeFile(join(directory, 'token'), 'token\n');
    reports = createAgentReports(systemClock);
    reports.beginTerm();
    [current, leader, refused, programs, unknown] = [undefined, undefined, [], [], []];
    feed = await start();
  });
  afterEach(async () => {
    for (const stop of stopping.splice(0).reverse()) await stop();
    reports.endTerm();
    await rm(directory, { recursive: true });
  });

  const publish = (program: Program, number: number, more: BundleFiles = {}): void => {
    const files = signedFiles(encodeBundle(simpleBundle(program)), { number });
    publishFiles(number, { ...files, ...more });
  };
  const publishFiles = (number: number, files: Readonly<Record<string, string | Uint8Array | undefined>>): void => {
    current = {
      number,
      files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, Buffer.from(content ?? '')])),
    };
    for (const notify of changed) notify();
  };
  const agent = async (over: Partial<BundleOptions> = {}): Promise<Bundles> => {
    const ending = new AbortController();
    const bundles = new Bundles(
      {
        bundleDir,
        workload: WORKLOAD,
        labelsFile: undefined,
        labels: { app: 'httpbin' },
        stateDir: join(directory, 'state'),
        pollMs: 20,
        trust: { anchor: parseTrustAnchor(SIGNER.anchor), floor: 0, wallMs: Date.now },
        feed: {
          host: '127.0.0.1',
          port: feed.port,
          serverName: SERVER_NAME,
          authorities: authority.certPem,
          tokenFile: join(directory, 'token'),
        },
        ...over,
      },
      {
        logger: createLogger({ level: 'silent', component: 'test' }),
        *createFilterChain(program) {
          programs.push(program);
          yield;
          return httpChain(() => {
            throw new Error('not asked');
          });
        },
        onActive: () => undefined,
        onUnmatched: () => undefined,
        onRejected: (code) => refused.push(code),
      },
    );
    await bundles.begin();
    const following = bundles.follow(ending.signal);
    stopping.push(async () => {
      ending.abort();
      await following;
    });
    return bundles;
  };
  const revision = (): string | undefined => reports.get('foo/web')?.revision;
  const digestOf = (program: Program): string => encodeBundle(simpleBundle(program)).digest;

  it('activates what the controller sends, reports it, and keeps it with the authorities for a restart', async () => {
    publish(DENY_ALL, 1);
    await agent();
    await until(() => revision() === digestOf(DENY_ALL), 'the first report');
    publish(ALLOW_ALL, 2);
    await until(() => revision() === digestOf(ALLOW_ALL), 'the second report');
    expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
    expect(await readFile(join(directory, 'state/feed-authorities.pem'), 'utf8')).to.equal(authority.certPem);
    expect(await readFile(join(directory, 'state/last-good-bundle'), 'latin1')).to.include('statement.jws');
  });

  for (const [what, noise] of [
    ['a small bundle', 1_000],
    ['a bundle that is stored compressed', 300_000],
  ] as const) {
    it(`takes ${what} in parts, and starts with it again`, async () => {
      const padded = (program: Program): Bundle => ({ ...simpleBundle(program), keySets });
      const keySets = { 'remote-0000000000000000': { source: 'x', keys: [{ kty: 'EC', kid: 'k', noise: 'n'.repeat(noise) }] } };
      const publishPadded = (program: Program, number: number): string => {
        const encoded = encodeBundle(padded(program));
        const files = Object.entries(signedFiles(encoded, { number })).map(([name, content]) => [name, Buffer.from(content)] as const);
        current = { number, files: Object.fromEntries(files), chunks: encoded.chunks };
        for (const notify of changed) notify();
        return encoded.digest;
      };
      const first = publishPadded(DENY_ALL, 1);
      await agent();
      await until(() => revision() === first, 'the first report');
      const second = publishPadded(ALLOW_ALL, 2);
      await until(() => revision() === second, 'the second report');
      expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
      await stopping.pop()?.();
      const restarted = await agent({ feed: undefined });
      expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL, ALLOW_ALL]);
      expect([restarted !== undefined, refused]).to.deep.equal([true, []]);
    });
  }

  it('lets a volume that lags behind neither bring back an older bundle nor count as a fault', async () => {
    await mountVolume(bundleDir, signedFiles(encodeBundle(simpleBundle(DENY_ALL)), { number: 1 }));
    publish(ALLOW_ALL, 3);
    await agent();
    await until(() => revision() === digestOf(ALLOW_ALL), 'the bundle of the feed');
    await mountVolume(bundleDir, signedFiles(encodeBundle(simpleBundle(DENY_ALL)), { number: 2 }));
    publish(DENY_ALL, 4);
    await until(() => revision() === digestOf(DENY_ALL), 'the next bundle of the feed');
    expect([programs, refused]).to.deep.equal([[DENY_ALL, ALLOW_ALL, DENY_ALL], []]);
  });

  it('refuses what is not signed for it, says why, and keeps the last good bundle', async () => {
    publish(DENY_ALL, 1);
    await agent();
    await until(() => revision() === digestOf(DENY_ALL), 'the first report');
    const foreign = signedFiles(encodeBundle({ ...simpleBundle(ALLOW_ALL, 'other') }), { number: 2 });
    publishFiles(2, foreign);
    await until(() => reports.get('foo/web')?.refused === 'SP_BUNDLE_FOREIGN', 'the refusal');
    expect([revision(), refused, programs]).to.deep.equal([digestOf(DENY_ALL), ['SP_BUNDLE_FOREIGN'], [DENY_ALL]]);
    publish(ALLOW_ALL, 3);
    await until(() => revision() === digestOf(ALLOW_ALL), 'the next good bundle');
    expect(reports.get('foo/web')?.refused).to.equal(undefined);
  });

  it('takes the index of the namespace with the bundle', async () => {
    const index = (selectors: readonly object[], number: number): BundleFiles => {
      const json = JSON.stringify({ namespace: 'foo', selectors });
      const files = Object.entries(signDocument(json, { schema: INDEX_STATEMENT, namespace: 'foo', number }, SIGNER));
      return Object.fromEntries(files.map(([name, content]) => [`index/0/${name}`, Buffer.from(content)]));
    };
    const variants = encodeBundle(bundleOf([DENY_ALL], [{ labels: { app: 'httpbin' }, program: 0 }]));
    // The volume still has the index with a selector that no policy has any more.
    await mountVolume(bundleDir, {
      ...signedFiles(variants, { number: 1 }),
      ...(index([{ app: 'httpbin' }], 1) as Record<string, Buffer>),
    });
    publish(ALLOW_ALL, 2, index([], 2));
    await agent();
    await until(() => revision() === digestOf(ALLOW_ALL), 'the bundle without the selector');
    expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
  });

  it('reads the volume while there is no controller, and finds the next one', async () => {
    const { port } = feed;
    await feed.stop();
    await mountVolume(bundleDir, signedFiles(encodeBundle(simpleBundle(DENY_ALL)), { number: 1 }));
    await agent();
    await until(() => programs.length === 1, 'the bundle of the volume');
    publish(ALLOW_ALL, 2);
    feed = await start('127.0.0.1', port);
    await until(() => revision() === digestOf(ALLOW_ALL), 'the bundle of the next controller');
  });

  it('reports keys that it lacks once in a while: one of each source, none of sources that are not fetched', async () => {
    publish(DENY_ALL, 1);
    const bundles = await agent();
    await until(() => revision() === digestOf(DENY_ALL), 'the stream');
    const [one, other] = [`remote-${'1'.repeat(16)}`, `remote-${'2'.repeat(16)}`];
    const hash = (digit: string): string => digit.repeat(16);
    for (const kid of ['a', 'b', 'c']) bundles.onUnknownKey(one, () => hash(kid));
    bundles.onUnknownKey('inline-0123456789abcdef', () => hash('a'));
    bundles.onUnknownKey(other, () => '');
    await until(() => unknown.length === 1, 'the first key');
    bundles.onUnknownKey(other, () => hash('d'));
    await until(() => unknown.length === 2, 'the other keys');
    expect(unknown).to.deep.equal([{ [one]: hash('a') }, { [one]: hash('b'), [other]: hash('d') }]);
  });

  it('reports no keys to a controller that would not understand', async () => {
    const types: number[] = [];
    const old = createServer({ cert: serving.certPem, key: serving.keyPem });
    old.on('upgrade', (_request, socket) => {
      const reader = new FrameReader(MAX_UP_BYTES);
      socket.on('data', (chunk: Buffer) => types.push(...(reader.push(chunk) ?? []).map(({ type }) => type)));
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${FEED_PROTOCOL}\r\n\r\n`);
    });
    await feed.stop();
    await new Promise<void>((resolve) => old.listen(feed.port, '127.0.0.1', resolve));
    stopping.push(async () => void old.close());
    const bundles = await agent();
    await until(() => types.length === 1, 'the first report');
    bundles.onUnknownKey(`remote-${'1'.repeat(16)}`, () => '1'.repeat(16));
    await mountVolume(bundleDir, signedFiles(encodeBundle(simpleBundle(DENY_ALL)), { number: 1 }));
    await until(() => types.length >= 2, 'the next report');
    expect(new Set(types)).to.deep.equal(new Set([UP.report]));
  });

  it('follows a replica that names the leader', async () => {
    publish(ALLOW_ALL, 1);
    leader = '127.0.0.1';
    const follower = await start('127.0.0.3', feed.port, createAgentReports(systemClock));
    await agent({
      feed: {
        host: '127.0.0.3',
        port: follower.port,
        serverName: SERVER_NAME,
        authorities: authority.certPem,
        tokenFile: join(directory, 'token'),
      },
    });
    await until(() => revision() === digestOf(ALLOW_ALL), 'the bundle of the leader');
    expect(follower.streams()).to.equal(0);
  });

  it('sends its token to no server that its authorities did not certify', async () => {
    const strangers = await issueAuthority(Date.now(), 86_400_000);
    feed.serve(await issueServing(strangers, [SERVER_NAME], { nowMs: Date.now(), validMs: 86_400_000 }), strangers.certPem);
    publish(ALLOW_ALL, 1);
    await agent();
    await mountVolume(bundleDir, signedFiles(encodeBundle(simpleBundle(DENY_ALL)), { number: 1 }));
    await until(() => programs.length === 1, 'the bundle of the volume');
    expect([programs, feed.streams()]).to.deep.equal([[DENY_ALL], 0]);
  });
});
