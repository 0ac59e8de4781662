/*
 * Bundles in real directories: first bundle, replacement, rejection, relabelling, restart. A stub stands for the filter chain.
 */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type BundleOptions, Bundles } from '../../../../src/agent/bundles/bundles.ts';
import type { ActivePolicy } from '../../../../src/agent/context.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../../../../src/api/kube/names.ts';
import { MAX_BUNDLE_BYTES } from '../../../../src/bundle/bundle.ts';
import { digestOf } from '../../../../src/bundle/digest.ts';
import type { FilterChain } from '../../../../src/filters/filter-chain.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL, filesOf, mountVolume, newFolder, simpleBundle } from '../bundles.ts';

interface Rig {
  readonly bundles: Bundles;
  readonly policies: ActivePolicy[];
  readonly programs: Program[];
  readonly refused: string[];
}

const filterChain = httpChain(() => {
  throw new Error('not asked');
});

let dir = '';
let bundleDir = '';

function rig(options: Partial<BundleOptions> = {}, createFilterChain: () => FilterChain = () => filterChain): Rig {
  const policies: ActivePolicy[] = [];
  const programs: Program[] = [];
  const refused: string[] = [];
  const bundles = new Bundles(
    {
      bundleDir,
      workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
      labelsFile: undefined,
      labels: undefined,
      stateDir: undefined,
      pollMs: 20,
      ...options,
    },
    {
      logger: createLogger({ level: 'silent', component: 'test' }),
      *createFilterChain(program) {
        programs.push(program);
        yield;
        return createFilterChain();
      },
      onActive: (policy) => policies.push(policy),
      onUnmatched: () => undefined,
      onRejected: (code) => refused.push(code),
    },
  );
  return { bundles, policies, programs, refused };
}

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(async () => {
    dir = await newFolder();
    bundleDir = join(dir, 'bundle');
    await mkdir(bundleDir);
  });
  afterEach(async () => {
    await rm(dir, { recursive: true });
  });
}

describe('bundles: reading', () => {
  setUp();

  it('has no policy while the volume is empty or missing', async () => {
    const empty = rig();
    await empty.bundles.begin();
    const missing = rig({ bundleDir: join(dir, 'nowhere') });
    await missing.bundles.begin();

    expect([empty.policies, missing.policies, empty.refused, missing.refused]).to.deep.equal([[], [], [], []]);
  });

  it('activates a mounted bundle, and the next one when the kubelet replaces the volume', async () => {
    const { bundles, policies, programs } = rig();
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    await bundles.begin();
    await bundles.read();
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL)));
    await bundles.read();

    expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
    expect(policies.map((policy) => policy.digest)).to.deep.equal(
      [DENY_ALL, ALLOW_ALL].map((program) => filesOf(simpleBundle(program))[BUNDLE_DIGEST_KEY]),
    );
  });

  it('does not create the filter chain again when the same bundle is mounted again', async () => {
    const { bundles, programs } = rig();
    for (let times = 0; times < 2; times += 1) {
      await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
      await bundles.read();
    }
    expect(programs).to.have.length(1);
  });

  it('reads plain files and gzip', async () => {
    const { bundles, programs } = rig();
    const { [BUNDLE_KEY]: json = '', [BUNDLE_DIGEST_KEY]: digest = '' } = filesOf(simpleBundle(DENY_ALL));
    await writeFile(join(bundleDir, BUNDLE_GZIP_KEY), gzipSync(json));
    await writeFile(join(bundleDir, BUNDLE_DIGEST_KEY), digest);
    await bundles.begin();
    expect(programs).to.deep.equal([DENY_ALL]);
  });
});

describe('bundles: rejecting', () => {
  setUp();

  const good = (): Record<string, string> => filesOf(simpleBundle(ALLOW_ALL));
  const huge = 'x'.repeat(MAX_BUNDLE_BYTES + 1);
  const future = (good()[BUNDLE_KEY] ?? '').replace('/v2', '/v3');
  const bad: readonly (readonly [string, () => Record<string, string | Uint8Array>, string])[] = [
    ['a truncated bundle', () => ({ ...good(), [BUNDLE_KEY]: (good()[BUNDLE_KEY] ?? '').slice(0, 100) }), 'SP_BUNDLE_DIGEST'],
    [
      'a truncated bundle with its digest',
      () => ({ [BUNDLE_KEY]: '{"schema":', [BUNDLE_DIGEST_KEY]: digestOf('{"schema":') }),
      'SP_BUNDLE_UNREADABLE',
    ],
    ['a bundle without digest', () => ({ [BUNDLE_KEY]: good()[BUNDLE_KEY] ?? '' }), 'SP_BUNDLE_UNREADABLE'],
    ['an oversized bundle', () => ({ ...good(), [BUNDLE_KEY]: huge }), 'SP_BUNDLE_TOO_LARGE'],
    [
      'a small file that unpacks to an oversized one',
      () => ({ [BUNDLE_GZIP_KEY]: gzipSync(huge), [BUNDLE_DIGEST_KEY]: digestOf(huge) }),
      'SP_BUNDLE_TOO_LARGE',
    ],
    ['no gzip', () => ({ [BUNDLE_GZIP_KEY]: 'x', [BUNDLE_DIGEST_KEY]: digestOf('x') }), 'SP_BUNDLE_UNREADABLE'],
    ['a bundle of another workload', () => filesOf(simpleBundle(ALLOW_ALL, 'other')), 'SP_BUNDLE_FOREIGN'],
    ['a bundle of another schema', () => ({ [BUNDLE_KEY]: future, [BUNDLE_DIGEST_KEY]: digestOf(future) }), 'SP_BUNDLE_SCHEMA'],
  ];
  for (const [name, files, code] of bad) {
    it(`rejects ${name} once, keeps the last good one, and takes the next good one`, async () => {
      const { bundles, programs, refused } = rig();
      await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
      await bundles.begin();
      await mountVolume(bundleDir, files());
      await bundles.read();
      await bundles.read();

      expect(refused).to.deep.equal([code]);
      expect(programs).to.deep.equal([DENY_ALL]);

      await mountVolume(bundleDir, good());
      await bundles.read();
      expect(programs).to.deep.equal([DENY_ALL, ALLOW_ALL]);
    });
  }

  it('stays closed when the first bundle is rejected', async () => {
    const { bundles, policies, refused } = rig();
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL, 'other')));
    await bundles.begin();
    expect([policies, refused]).to.deep.equal([[], ['SP_BUNDLE_FOREIGN']]);
  });

  it('keeps the last good bundle when the volume becomes empty', async () => {
    const { bundles, policies, refused } = rig();
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    await bundles.begin();
    await mountVolume(bundleDir, {});
    await bundles.read();
    expect(policies).to.have.length(1);
    expect(refused).to.deep.equal([]);
  });

  it('keeps the active policy when no filter chain can be created from the new bundle', async () => {
    let broken = false;
    const { bundles, policies, refused } = rig({}, () => {
      if (broken) throw new Error('bug');
      return filterChain;
    });
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    await bundles.begin();
    broken = true;
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL)));
    await bundles.read();
    expect(policies).to.have.length(1);
    expect(refused).to.have.length(1);
  });
});

describe('bundles: labels', () => {
  setUp();

  const variants = bundleOf(
    [DENY_ALL, ALLOW_ALL],
    [
      { labels: {}, program: 0 },
      { labels: { app: 'a', tier: 'x' }, program: 1 },
    ],
  );
  const labels = async (text: string): Promise<void> => {
    await mountVolume(join(dir, 'pod'), { labels: text });
  };
  beforeEach(async () => {
    await mkdir(join(dir, 'pod'));
    await mountVolume(bundleDir, filesOf(variants));
  });
  const labelled = (): Rig => rig({ labelsFile: join(dir, 'pod', 'labels') });

  it('chooses the program by the relevant labels alone, and again when the pod is relabelled', async () => {
    await labels('app="a"\npod-template-hash="5"\ntier="x"');
    const { bundles, programs } = labelled();
    await bundles.begin();
    await labels('pod-template-hash="5"');
    await bundles.read();
    expect(programs).to.deep.equal([ALLOW_ALL, DENY_ALL]);
  });

  it('keeps the active program while no variant matches', async () => {
    await labels('app="a"\ntier="x"');
    const { bundles, programs } = labelled();
    await bundles.begin();
    await labels('app="b"');
    await bundles.read();
    expect(programs).to.deep.equal([ALLOW_ALL]);
    await mountVolume(bundleDir, filesOf(bundleOf([DENY_ALL], [{ labels: { app: 'b' }, program: 0 }])));
    await bundles.read();
    expect(programs).to.deep.equal([ALLOW_ALL, DENY_ALL]);
  });

  for (const [name, files] of [
    ['a bundle was rejected', filesOf(simpleBundle(ALLOW_ALL, 'other'))],
    ['a bundle could not be read', { [BUNDLE_KEY]: '{', [BUNDLE_DIGEST_KEY]: 'x' }],
    ['the ConfigMap was deleted', {}],
  ] as const) {
    it(`chooses from the last good bundle when the pod is relabelled after ${name}`, async () => {
      await labels('app="a"\ntier="x"');
      const { bundles, programs, policies } = labelled();
      await bundles.begin();
      await mountVolume(bundleDir, files);
      await bundles.read();
      await labels('pod-template-hash="5"');
      await bundles.read();

      expect(programs).to.deep.equal([ALLOW_ALL, DENY_ALL]);
      expect(new Set(policies.map((policy) => policy.digest))).to.deep.equal(new Set([filesOf(variants)[BUNDLE_DIGEST_KEY]]));
    });
  }

  it('stays closed while no variant matches, and while the labels are unknown', async () => {
    await labels('app="b"');
    const wrong = labelled();
    await wrong.bundles.begin();
    const unknown = rig();
    await unknown.bundles.begin();
    expect([wrong.policies, unknown.policies]).to.deep.equal([[], []]);
  });

  it('keeps the last known labels when the file cannot be read', async () => {
    await labels('app="a"\ntier="x"');
    const { bundles, programs } = labelled();
    await bundles.begin();
    await labels('garbage');
    await bundles.read();
    expect(programs).to.deep.equal([ALLOW_ALL]);
  });
});

describe('bundles: the last good one', () => {
  setUp();

  it('begins with the last good bundle of an earlier run when the volume is empty or bad', async () => {
    const stateDir = join(dir, 'state');
    await mkdir(stateDir);
    const first = rig({ stateDir });
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    await first.bundles.begin();
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL, 'other')));
    const second = rig({ stateDir });
    await second.bundles.begin();

    expect(second.programs).to.deep.equal([DENY_ALL]);
    expect(second.refused).to.deep.equal(['SP_BUNDLE_FOREIGN']);

    const foreign = rig({ stateDir, workload: { namespace: 'foo', kind: 'deployment', name: 'third' } });
    await foreign.bundles.begin();
    expect(foreign.programs).to.deep.equal([]);
  });

  for (const content of [
    '',
    'nonsense',
    'sha256:0 bundle.json\n{}',
    '{}\n',
    '[[]]\n',
    '[["bundle.json",1,2]]\n{}',
    '[{"0":"bundle.json","1":2,"length":2}]\n{}',
    '[["bundle.json",-2]]\n{}',
    '[["bundle.json",1.5]]\n{}',
    '[[2,"bundle.json"]]\n{}',
  ]) {
    it(`ignores a kept file with the content ${JSON.stringify(content)}`, async () => {
      await writeFile(join(dir, 'last-good-bundle'), content);
      const { bundles, programs } = rig({ stateDir: dir });
      await bundles.begin();
      expect(programs).to.deep.equal([]);
    });
  }
});

describe('bundles: following', () => {
  setUp();

  const stop = new AbortController();
  const until = async (rigged: Rig, count: number): Promise<void> => {
    while (rigged.programs.length < count) await sleep(2);
  };

  it('reads a replaced volume and a new directory, and stops when the signal aborts', async () => {
    const rigged = rig({ pollMs: 10_000 });
    await rigged.bundles.begin();
    const following = rigged.bundles.follow(stop.signal);
    await sleep(20);
    await mountVolume(bundleDir, filesOf(simpleBundle(DENY_ALL)));
    await until(rigged, 1);
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL)));
    await until(rigged, 2);
    stop.abort();
    await following;
  });

  it('finds a replaced directory when it polls', async () => {
    const halt = new AbortController();
    const rigged = rig({ pollMs: 10 });
    await rigged.bundles.begin();
    const following = rigged.bundles.follow(halt.signal);
    await sleep(5);
    await rm(bundleDir, { recursive: true });
    await mkdir(join(dir, 'next'));
    await mountVolume(join(dir, 'next'), filesOf(simpleBundle(DENY_ALL)));
    await rename(join(dir, 'next'), bundleDir);
    await until(rigged, 1);
    halt.abort();
    await following;
  });
});
