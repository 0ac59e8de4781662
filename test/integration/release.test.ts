/*
 * A release, installed from its files and not from the tree: the npm package with several versions of Node.js, the executable without
 * Node.js, chart and manifests on a real API server. The e2e suite runs the images on a node.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { fetchNodePackage } from '../../scripts/release/node-binary.ts';
import { ARCHITECTURES, hostArchitecture, NAMES } from '../../scripts/release/platform.ts';
import { ANALYSES } from '../../scripts/release/vex.ts';
import { binaryPath } from '../cluster/build.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const VERSION = '9.8.7-test.1';
const REGISTRY = 'registry.example/team';
const REPOSITORY = 'https://code.example/team/sallyport';
const MINUTES = 60_000;
/** Versions of Node.js with which the npm package is tried, besides that of the tests, with the hashes of their npm packages. */
const OTHER_NODES = {
  '24.22.1': {
    amd64: 'sha512-ogMoFZRQLCX7VpzQAtfs7q0DVFa7D79LKhmttHZNGJrz0Yp5/LtU0MISM7gvThSo6AbVelac9uVu9Jfm1464ow==',
    arm64: 'sha512-1uD+Qvcu14ZJ6JVhsAiOeAiCQI0Nnu+y60VJnwhq8nGr+1l7XKFnNlZ42f619d+h5UzRQtO3pwpBEM2FYR/83Q==',
  },
  '20.5.1': {
    amd64: 'sha512-uCes7Mx8uHdH2E+fvpQJENcPCdXA9+BHB6303Y1PeZQ4gc8j3SxflJLMgv6qXhN3Cxx9j8Z55YJBYklruyWzXQ==',
    arm64: 'sha512-WHnIFXqNLdKux9lwJnu97KpGy738B9J7fbGn2Qze9cYAUEv6PVZSp4A8XO626YTw2gBU4g5Owb77F3xTB7VYsA==',
  },
} as const;

/** Path of an older Node.js. */
async function otherNode(version: keyof typeof OTHER_NODES): Promise<string> {
  const architecture = hostArchitecture();
  const name = `node-linux-${NAMES[architecture].node}`;
  const directory = await fetchNodePackage({ name, version, integrity: OTHER_NODES[version][architecture] });
  return join(directory, 'bin/node');
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

interface ImageConfig {
  readonly architecture: string;
  readonly config: { readonly User: string; readonly Entrypoint: readonly string[]; readonly Env: readonly string[] };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
}

describe('a release', function () {
  this.timeout(10 * MINUTES);
  const work = mkdtempSync(join(tmpdir(), 'sallyport-release-test-'));
  const out = join(work, 'release');
  const file = (name: string): string => join(out, name);
  const make = (directory: string): Promise<{ readonly stdout: string; readonly stderr: string }> => {
    const args = ['--version', VERSION, '--out', directory, '--registry', REGISTRY, '--repository', REPOSITORY, '--allow-dirty'];
    return run(process.execPath, [join(root, 'scripts/release.ts'), ...args], { cwd: work });
  };
  const archive = (architecture: string): string => `sallyport-${VERSION}-linux-${architecture}.tar.gz`;

  before(() => make(out));
  after(() => rmSync(work, { recursive: true, force: true }));

  it('has the same bytes each time', async () => {
    const again = join(work, 'again');
    await make(again);

    expect(readFileSync(join(again, 'checksums.txt'), 'utf8')).to.equal(readFileSync(file('checksums.txt'), 'utf8'));
    rmSync(again, { recursive: true });
  });

  it('has the checksum of every file', async () => {
    await run('sha256sum', ['--check', '--strict', '--quiet', 'checksums.txt'], { cwd: out });

    const listed = readFileSync(file('checksums.txt'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.slice(66));
    const present = readdirSync(out, { recursive: true, withFileTypes: true, encoding: 'utf8' })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1));
    expect(listed.toSorted()).to.deep.equal(present.filter((name) => name !== 'checksums.txt').toSorted());
  });

  it('refuses a bad version, a directory that is not empty and an unknown option in one line', () => {
    const refuse = (...args: readonly string[]): string => {
      const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/release.ts'), ...args], { encoding: 'utf8' });
      expect([status, stderr.trimEnd().split('\n').length], stderr).to.deep.equal([64, 1]);
      return stderr;
    };

    expect(refuse('--version', '1.2')).to.include('--version: "1.2" is not a version such as 1.2.3');
    expect(refuse('--out', '/tmp/x')).to.include('--version is missing');
    expect(refuse('--version', VERSION, '--out', out, '--allow-dirty')).to.include(`${out} is not empty`);
    expect(refuse('--version', VERSION, '--outt', out)).to.include("'--outt'");
    expect(refuse('--version', VERSION, '--out', out, '--registry', 'https://r')).to.include('--registry: "https://r" is not');
  });

  describe('npm package', () => {
    const directory = join(work, 'npm');
    const command = join(directory, 'node_modules/.bin/sallyport');
    const use = (node: string, ...args: readonly string[]): ReturnType<typeof spawnSync> =>
      spawnSync(node, [command, ...args], { encoding: 'utf8', env: { HOME: work } });

    before(async () => {
      mkdirSync(directory);
      await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--prefix', directory, file(`sallyport-npm-${VERSION}.tgz`)]);
    });

    it('has no dependencies', () => {
      expect(readdirSync(join(directory, 'node_modules')).filter((name) => !name.startsWith('.'))).to.deep.equal(['sallyport']);
    });

    it('runs with the Node.js of the tests', () => expectToWork((...args) => use(process.execPath, ...args)));

    it('runs with Node.js 24', async () => {
      const node = await otherNode('24.22.1');

      expectToWork((...args) => use(node, ...args));
    });

    it('says in one line that Node.js 20 is too old', async () => {
      const node = await otherNode('20.5.1');
      const { status, stdout, stderr } = use(node, 'version');

      expect([status, stdout]).to.deep.equal([78, '']);
      expect(stderr).to.equal(`sallyport: Node.js 24 or newer is required; ${node} is v20.5.1\n`);
    });
  });

  describe('executable', () => {
    const directory = join(work, 'executable');

    before(async () => {
      mkdirSync(directory);
      await run('tar', ['-xzf', file(archive(hostArchitecture())), '-C', directory]);
    });

    it('runs without Node.js on the PATH', () => {
      expectToWork((...args) => spawnSync(join(directory, 'sallyport'), args, { encoding: 'utf8', env: { PATH: '/nonexistent' } }));
    });

    it('is a plug-in of kubectl', async () => {
      const bin = join(work, 'bin');
      mkdirSync(bin);
      symlinkSync(join(directory, 'sallyport'), join(bin, 'kubectl-sallyport'));
      const { stdout } = await run(binaryPath('kubectl'), ['sallyport', 'version'], { env: { PATH: bin, HOME: work } });

      expect(stdout).to.match(new RegExp(`^sallyport ${VERSION.replaceAll('.', '\\.')} `));
    });

    it('is made for every architecture', () => {
      const machines = { amd64: 0x3e, arm64: 0xb7 };
      for (const architecture of ARCHITECTURES) {
        const [executable] = tarFiles(gunzipSync(readFileSync(file(archive(architecture))))).filter(({ name }) => name === 'sallyport');
        expect(executable?.content.readUInt16LE(18), architecture).to.equal(machines[architecture]);
        expect(executable?.mode).to.equal(0o755);
      }
    });

    it('is installed by a krew manifest that names its hash', () => {
      const manifest = KREW.parse(parse(readFileSync(file('sallyport.yaml'), 'utf8')));

      for (const { uri, sha256, selector, bin } of manifest.spec.platforms) {
        const name = archive(selector.matchLabels.arch);
        expect(uri).to.equal(`${REPOSITORY}/releases/download/v${VERSION}/${name}`);
        expect(sha256).to.equal(sha256Of(readFileSync(file(name))));
        expect(tarFiles(gunzipSync(readFileSync(file(name)))).map((each) => each.name)).to.include(bin);
      }
      expect(manifest.spec.version).to.equal(`v${VERSION}`);
    });
  });

  describe('chart and manifests', () => {
    let plane: ControlPlane;
    const chart = file(`sallyport-${VERSION}.tgz`);
    const kubectl = async (...args: readonly string[]): Promise<string> =>
      (await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args], { maxBuffer: 2 ** 26 })).stdout;
    const images = ['controller', 'agent', 'redirect'].map((name) => `${REGISTRY}/sallyport/${name}:${VERSION}`);

    before(async () => {
      plane = await startControlPlane();
    });
    after(() => plane?.stop());

    it('are installed by Helm', async () => {
      const args = ['install', 'sallyport', chart, '--namespace', 'sallyport-system', '--create-namespace'];
      await run(binaryPath('helm'), [`--kubeconfig=${plane.kubeconfigPath}`, ...args]);
      const deployments = JSON.parse(await kubectl('get', 'deployments', '-n', 'sallyport-system', '-o', 'json')) as {
        readonly items: readonly Rendered[];
      };

      for (const image of images) expect(JSON.stringify(deployments)).to.include(`"${image}"`);
      expect(deployments.items[0]?.metadata.labels).to.include({
        'helm.sh/chart': `sallyport-${VERSION}`,
        'app.kubernetes.io/version': VERSION,
      });
    });

    it('name the home and the registry of the release', () => {
      const text = (name: string): string =>
        tarFiles(gunzipSync(readFileSync(chart)))
          .find((each) => each.name === `sallyport/${name}`)
          ?.content.toString() ?? '';

      expect(parse(text('Chart.yaml'))).to.deep.include({ home: REPOSITORY, version: VERSION, appVersion: VERSION });
      const { sources, icon, annotations } = parse(text('Chart.yaml')) as {
        readonly sources: unknown;
        readonly icon: string;
        readonly annotations: Readonly<Record<string, string>>;
      };
      expect([sources, icon]).to.deep.equal([[REPOSITORY], `${REPOSITORY}/raw/v${VERSION}/docs/icon.svg`]);
      expect(existsSync(join(root, 'docs/icon.svg'))).to.equal(true);
      const listed = parse(annotations['artifacthub.io/images'] ?? '') as readonly { readonly image: string }[];
      expect(listed.map(({ image }) => image)).to.have.members(images);
      const changes = parse(annotations['artifacthub.io/changes'] ?? '') as readonly {
        readonly kind: string;
        readonly description: string;
      }[];
      const notes = readFileSync(file('release-notes.md'), 'utf8');
      expect(changes).to.have.length(notes.match(/^- /gm)?.length ?? 0);
      for (const { kind, description } of changes) {
        expect(['added', 'changed', 'fixed', 'security']).to.include(kind);
        expect(notes).to.include(description);
      }
      expect(text('README.md')).to.include(`\`"${REGISTRY}"\``);
    });

    it('are the same from Helm and from install.yaml', async () => {
      const { stdout } = await run(binaryPath('helm'), ['template', 'sallyport', chart, '--namespace', 'sallyport-system', '--skip-tests']);
      const text = stdout
        .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kubectl')
        .replaceAll(/^ *helm\.sh\/chart: .*\n/gm, '');
      const installed = documentsOf(readFileSync(file('install.yaml'), 'utf8')).filter(({ kind }) => kind !== 'Namespace');

      expect(byName(installed)).to.deep.equal(byName(documentsOf(text)));
    });

    it('are accepted by the API server as they are', async () => {
      await kubectl('apply', '--server-side', '--force-conflicts', '-f', file('crds.yaml'));
      await kubectl('apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', file('install.yaml'));
    });
  });

  describe('image', () => {
    const blob = (digest: string): Buffer => {
      const content = readFileSync(join(out, 'images/blobs', digest.replace(':', '/')));
      expect(`sha256:${sha256Of(content)}`).to.equal(digest);
      return content;
    };
    const json = <T>(digest: string): T => JSON.parse(blob(digest).toString()) as T;
    const index = (): { readonly manifests: readonly Descriptor[] } =>
      JSON.parse(readFileSync(join(out, 'images/index.json'), 'utf8')) as { readonly manifests: readonly Descriptor[] };
    const users = { controller: '65532:65532', agent: '57020:57020', redirect: '0:0' };

    for (const [name, user] of Object.entries(users)) {
      for (const architecture of ARCHITECTURES) {
        it(`${name} for ${architecture} has what it needs, no shell and no package manager`, () => {
          const reference = `${REGISTRY}/sallyport/${name}:${VERSION}`;
          const entry = index().manifests.find(({ annotations }) => annotations?.['io.containerd.image.name'] === reference);
          const platforms = json<{ readonly manifests: readonly Descriptor[] }>(entry?.digest ?? '').manifests;
          const image = platforms.find(({ platform }) => platform?.architecture === architecture && platform.os === 'linux');
          const manifest = json<{ readonly config: Descriptor; readonly layers: readonly Descriptor[] }>(image?.digest ?? '');
          const { config, rootfs } = json<ImageConfig>(manifest.config.digest);
          const tars = manifest.layers.map(({ digest }) => gunzipSync(blob(digest)));
          const files = tars.flatMap(tarFiles);
          const programs = files.filter(({ name: path, mode }) => !path.includes('/lib/') && (mode & 0o111) !== 0).map((each) => each.name);

          expect(rootfs.diff_ids).to.deep.equal(tars.map((tar) => `sha256:${sha256Of(tar)}`));
          expect(config.User).to.equal(user);
          const wanted = [
            'usr/local/bin/node',
            ...(name === 'redirect' ? ['usr/sbin/xtables-legacy-multi', 'usr/sbin/xtables-nft-multi'] : []),
          ];
          expect(programs.toSorted()).to.deep.equal(wanted);
          expect(files.map((each) => `/${each.name}`)).to.include(config.Entrypoint.at(-1));
          // What the analysed vulnerabilities are in is not linked to.
          for (const program of files.filter((each) => wanted.includes(each.name))) {
            const symbols = dynamicNames(program.content);
            expect(symbols.includes('\0getcwd\0') || program.name !== 'usr/local/bin/node').to.equal(true);
            for (const symbol of ANALYSES.flatMap(({ functions }) => functions)) {
              expect(symbols.includes(`\0${symbol}\0`), `${program.name} links to ${symbol}`).to.equal(false);
            }
          }
          // The names under which libraries are loaded, and what they lead to, are all there.
          const names = new Set(files.map((each) => each.name));
          for (const link of files.filter((each) => each.target !== '' && each.name.includes('/lib/'))) {
            expect(names.has(join(link.name, '..', link.target)), `${link.name} -> ${link.target}`).to.equal(true);
          }
        });
      }
    }

    it('shares the layers of Node.js and of its libraries with the others', () => {
      const layers = index().manifests.map(({ digest }) => {
        const [first] = json<{ readonly manifests: readonly Descriptor[] }>(digest).manifests;
        return json<{ readonly layers: readonly Descriptor[] }>(first?.digest ?? '').layers;
      });
      const [controller = [], agent = [], redirect = []] = layers;

      expect(agent.slice(0, 2)).to.deep.equal(controller.slice(0, 2));
      expect(redirect.slice(0, 2)).to.deep.equal(controller.slice(0, 2));
      const more = redirect.slice(2).reduce((sum, { size }) => sum + size, 0);
      // iptables, and the program of the DaemonSet with the client of Kubernetes: 600 KB each.
      expect(more).to.be.below(1.5 * 1024 * 1024);
    });

    it('is named by digest in images.txt', () => {
      const lines = readFileSync(file('images.txt'), 'utf8').trim().split('\n');

      expect(lines).to.deep.equal(
        index().manifests.map(({ digest, annotations }) => `${annotations?.['io.containerd.image.name']}@${digest}`),
      );
    });
  });

  describe('statement', () => {
    const files = (suffix: string): readonly string[] => readdirSync(out).filter((name) => name.endsWith(suffix));

    it('of materials is valid CycloneDX, and lists Debian packages, Node.js and npm packages with hashes', async () => {
      const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
      expect(files('.cdx.json')).to.have.length(8);
      for (const name of files('.cdx.json')) {
        const text = readFileSync(file(name), 'utf8');
        expect(await validator.validate(text), name).to.equal(null);
        const { components } = JSON.parse(text) as {
          readonly components: readonly { readonly purl?: string; readonly hashes?: object[] }[];
        };
        const purls = components.map(({ purl = '' }) => purl);
        expect(
          purls.some((purl) => purl === `pkg:generic/node@${process.versions.node}`),
          name,
        ).to.equal(true);
        expect(purls.some((purl) => purl.startsWith('pkg:npm/pino@')) || name.includes('-linux-'), name).to.equal(true);
        expect(
          purls.some((purl) => purl.startsWith('pkg:deb/debian/libc6@')),
          name,
        ).to.equal(!name.includes('-linux-'));
        for (const { purl, hashes } of components) if (purl !== undefined) expect(hashes, purl).to.have.length(1);
      }
    });

    it('of vulnerabilities is valid OpenVEX about the image', () => {
      expect(files('.openvex.json')).to.have.length(3);
      for (const name of files('.openvex.json')) {
        const { statements } = OPENVEX.parse(JSON.parse(readFileSync(file(name), 'utf8')));
        for (const { products } of statements) expect(products[0]?.['@id']).to.match(/^pkg:oci\/\w+@sha256%3A[0-9a-f]{64}\?/);
      }
    });

    it('of provenance is in-toto, and names every file, image and material by hash', () => {
      const { subject, predicate } = PROVENANCE.parse(JSON.parse(readFileSync(file('provenance.intoto.json'), 'utf8')));

      for (const { name, digest } of subject.filter((each) => !each.name.startsWith(REGISTRY))) {
        expect(sha256Of(readFileSync(file(name))), name).to.equal(digest.sha256);
      }
      expect(subject.filter(({ name }) => name.startsWith(`${REGISTRY}/sallyport/`))).to.have.length(3);
      expect(predicate.buildDefinition.resolvedDependencies.map(({ uri }) => uri)).to.include('file:package-lock.json');
    });

    it('of changes has this version first', () => {
      expect(readFileSync(file('release-notes.md'), 'utf8')).to.match(/^## 9\.8\.7-test\.1 \(\d{4}-\d\d-\d\d\)\n/);
      expect(readFileSync(file('CHANGELOG.md'), 'utf8')).to.include(readFileSync(file('release-notes.md'), 'utf8').trim());
    });
  });
});

/** What the command line must do wherever it is installed. */
function expectToWork(use: (...args: readonly string[]) => ReturnType<typeof spawnSync>): void {
  const version = use('version');
  expect(String(version.stdout), String(version.stderr)).to.match(new RegExp(`^sallyport ${VERSION.replaceAll('.', '\\.')} `));
  const samples = join(root, 'manifests/samples');
  const check = use('check', samples);
  expect(check.status).to.equal(0);
  expect(String(check.stderr)).to.include('policies: 2, 0 errors');
  const help = use('explain', '--help');
  expect([help.status, String(help.stderr)], String(help.stdout)).to.deep.equal([0, '']);
}

function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function documentsOf(text: string): readonly Rendered[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

function byName(objects: readonly Rendered[]): Readonly<Record<string, Rendered>> {
  return Object.fromEntries(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

interface TarFile {
  readonly name: string;
  readonly mode: number;
  /** Of a link; otherwise empty. */
  readonly target: string;
  readonly content: Buffer;
}

/** Files and links of a tar in the format that a release writes. */
function tarFiles(tar: Buffer): readonly TarFile[] {
  const files: TarFile[] = [];
  const text = (from: number, length: number): string => tar.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  for (let at = 0; tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const prefix = text(at + 345, 155);
    const name = `${prefix === '' ? '' : `${prefix}/`}${text(at, 100)}`;
    const content = tar.subarray(at + 512, at + 512 + size);
    if (tar[at + 156] !== 0x35)
      files.push({ name, mode: tar[at + 156] === 0x32 ? 0 : Number.parseInt(text(at + 100, 8), 8), target: text(at + 157, 100), content });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** The names that a 64-bit ELF program links to, each between zero bytes. @see elf(5) */
function dynamicNames(program: Buffer): Buffer {
  const SHT_DYNSYM = 11;
  const sections = Number(program.readBigUInt64LE(0x28));
  const [size, count] = [program.readUInt16LE(0x3a), program.readUInt16LE(0x3c)];
  const headers = Array.from({ length: count }, (_, index) => program.subarray(sections + index * size, sections + (index + 1) * size));
  const strings = headers[headers.find((header) => header.readUInt32LE(4) === SHT_DYNSYM)?.readUInt32LE(0x28) ?? -1];
  if (strings === undefined) throw new Error('no table of dynamic symbols');
  const start = Number(strings.readBigUInt64LE(0x18));
  return program.subarray(start, start + Number(strings.readBigUInt64LE(0x20)));
}

const HEX = z.string().regex(/^[0-9a-f]{64}$/);

/** What krew requires of a manifest. @see https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ */
const KREW = z.strictObject({
  apiVersion: z.literal('krew.googlecontainertools.github.com/v1alpha2'),
  kind: z.literal('Plugin'),
  metadata: z.strictObject({ name: z.literal('sallyport') }),
  spec: z.strictObject({
    version: z.string().regex(/^v\d+\.\d+\.\d+/),
    homepage: z.url(),
    shortDescription: z.string().regex(/^[^\r\n]{1,50}$/),
    description: z.string().min(1),
    platforms: z
      .array(
        z.strictObject({
          selector: z.strictObject({
            matchLabels: z.strictObject({ os: z.enum(['linux', 'darwin', 'windows']), arch: z.enum(['amd64', 'arm64']) }),
          }),
          uri: z.url(),
          sha256: HEX,
          bin: z.string().min(1),
          files: z.array(z.strictObject({ from: z.string().min(1), to: z.string().min(1) })).min(1),
        }),
      )
      .min(1),
  }),
});

/** @see https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md */
const OPENVEX = z.strictObject({
  '@context': z.literal('https://openvex.dev/ns/v0.2.0'),
  '@id': z.url(),
  author: z.string().min(1),
  timestamp: z.iso.datetime(),
  version: z.int().min(1),
  statements: z
    .array(
      z.strictObject({
        vulnerability: z.strictObject({ name: z.string().regex(/^CVE-\d{4}-\d+$/) }),
        products: z
          .array(
            z.strictObject({ '@id': z.string(), subcomponents: z.array(z.strictObject({ '@id': z.string().startsWith('pkg:deb/') })) }),
          )
          .min(1),
        status: z.literal('not_affected'),
        status_notes: z.string().min(1),
        justification: z.enum(['vulnerable_code_not_present', 'vulnerable_code_not_in_execute_path']),
      }),
    )
    .min(1),
});

/** @see https://slsa.dev/spec/v1.0/provenance */
const PROVENANCE = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(z.strictObject({ name: z.string().min(1), digest: z.strictObject({ sha256: HEX }) })).min(1),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.url(),
      externalParameters: z.record(z.string(), z.string()),
      internalParameters: z.strictObject({}),
      resolvedDependencies: z
        .array(z.strictObject({ uri: z.string().min(1), digest: z.record(z.string(), z.string().regex(/^[0-9a-f]{40,128}$/)) }))
        .min(1),
    }),
    runDetails: z.strictObject({ builder: z.strictObject({ id: z.url() }) }),
  }),
});
