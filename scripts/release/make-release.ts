/*
 * Makes all files of a release in one directory. The same tree makes the same bytes.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BuiltProcess, buildAll } from '../build.ts';
import { existingSection, foldInto, readFragments, sectionOf } from './changelog.ts';
import { pinnedPackages } from './debian.ts';
import { executableArchive, writeExecutable } from './executable.ts';
import { sha256Of } from './hash.ts';
import { IMAGE_NAMES, IMAGES } from './image-contents.ts';
import { krewManifest } from './krew.ts';
import { writeManifests } from './manifests.ts';
import { pinnedNode } from './node-binary.ts';
import { writeNpmPackage } from './npm-package.ts';
import { type WrittenImage, writeLayout } from './oci-layout.ts';
import { ARCHITECTURES, type Architecture } from './platform.ts';
import { type Material, provenanceOf, type Subject } from './provenance.ts';
import { billOf, debianComponents, nodeComponent, npmComponents } from './sbom.ts';
import type { Source } from './source.ts';
import { vexOf } from './vex.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What a release is made from. */
export interface ReleaseOptions {
  readonly version: string;
  /** Registry and path before `sallyport/`, e.g. `registry.example/team`. */
  readonly registry: string;
  /** Home of the repository on a code host, without a final slash. */
  readonly repository: string;
  readonly source: Source;
}

/** Name of the file with SHA-256 of all others, in the format of `sha256sum`. */
export const CHECKSUMS = 'checksums.txt';
const PROVENANCE = 'provenance.intoto.json';

/**
 * Writes a release into a new or empty directory.
 *
 * @param step called with what comes next
 * @returns paths of all files below `out`, sorted
 */
export async function makeRelease(out: string, options: ReleaseOptions, step: (what: string) => void): Promise<readonly string[]> {
  const work = await mkdtemp(join(tmpdir(), 'sallyport-release-'));
  try {
    const dist = join(work, 'dist');
    step('bundles');
    const built = await buildAll(dist, options.version);
    step('npm package');
    await writeNpmPackage(options.version, dist, await directory(work, 'npm'), join(out, `sallyport-npm-${options.version}.tgz`));
    step('chart, manifests, changelog');
    await writeManifests(out, options, await writeChangelog(out, options));
    step('executables');
    await writeExecutables(out, work, options);
    step('images');
    const images = await writeImages(out, dist, built, options);
    step('provenance, checksums');
    await writeProvenance(out, images, options);
    const files = await filesOf(out);
    const sums = [];
    for (const file of files) sums.push(`${await sha256Of(join(out, file))}  ${file}\n`);
    await writeFile(join(out, CHECKSUMS), sums.join(''));
    return [...files, CHECKSUMS].toSorted();
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function directory(parent: string, name: string): Promise<string> {
  const path = join(parent, name);
  await mkdir(path, { recursive: true });
  return path;
}

async function filesOf(out: string): Promise<readonly string[]> {
  const names = await readdir(out, { recursive: true });
  const files: string[] = [];
  for (const name of names) if ((await stat(join(out, name))).isFile()) files.push(name);
  return files.toSorted();
}

/** @returns the section of this version */
async function writeChangelog(out: string, { version, source }: ReleaseOptions): Promise<string> {
  const changelog = await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8');
  const folded = existingSection(changelog, version);
  const date = new Date(source.created * 1000).toISOString().slice(0, 10);
  const section = folded ?? sectionOf(version, date, readFragments(join(ROOT, 'changes')));
  await writeFile(join(out, 'release-notes.md'), `${section.trimEnd()}\n`);
  await writeFile(join(out, 'CHANGELOG.md'), folded === undefined ? foldInto(changelog, section) : changelog);
  return section;
}

async function writeExecutables(out: string, work: string, options: ReleaseOptions): Promise<void> {
  const { version, repository, source } = options;
  const hashes = new Map<Architecture, string>();
  for (const architecture of ARCHITECTURES) {
    const { metafile } = await writeExecutable(architecture, version, await directory(work, architecture), out);
    hashes.set(architecture, await sha256Of(join(out, executableArchive(version, architecture))));
    const described = {
      type: 'application',
      name: 'sallyport',
      version,
      purl: `pkg:generic/sallyport@${version}?arch=${architecture}`,
    } as const;
    const bill = billOf(described, [nodeComponent(pinnedNode(architecture)), ...npmComponents([metafile])], source.created);
    await writeFile(join(out, `sallyport-${version}-linux-${architecture}.cdx.json`), bill);
  }
  const downloads = `${repository}/releases/download/v${version}`;
  await writeFile(join(out, 'sallyport.yaml'), krewManifest({ version, homepage: repository, downloads, hashes }));
}

/** The layout of all images, and for each the bill of materials per architecture and the analysed vulnerabilities. */
async function writeImages(
  out: string,
  dist: string,
  built: readonly BuiltProcess[],
  options: ReleaseOptions,
): Promise<readonly WrittenImage[]> {
  const { version, registry, repository, source } = options;
  const images = await writeLayout(await directory(out, 'images'), {
    names: IMAGE_NAMES,
    architectures: ARCHITECTURES,
    version,
    repository: `${registry}/sallyport`,
    dist,
    created: source.created,
    revision: source.commit,
  });
  for (const { name, digest, manifests } of images) {
    const { bundles, packages, title } = IMAGES[name];
    const metafiles = built.filter((each) => bundles.includes(`${each.name}.mjs`)).map(({ metafile }) => metafile);
    const purlOf = (hash: string): string =>
      `pkg:oci/${name}@${encodeURIComponent(hash)}?repository_url=${encodeURIComponent(`${registry}/sallyport/${name}`)}&tag=${version}`;
    const libraries = new Map<string, string>();
    for (const architecture of ARCHITECTURES) {
      const pinned = pinnedPackages(architecture).filter((each) => packages.includes(each.name));
      const components = [...debianComponents(pinned, architecture), nodeComponent(pinnedNode(architecture)), ...npmComponents(metafiles)];
      for (const component of components) {
        if (component.purl?.startsWith('pkg:deb/')) libraries.set(component.name, `pkg:deb/debian/${component.name}@${component.version}`);
      }
      const purl = purlOf(manifests[architecture]?.digest ?? digest);
      const bill = billOf({ type: 'container', name: title, version, purl }, components, source.created);
      await writeFile(join(out, `${title}-${version}-${architecture}.cdx.json`), bill);
    }
    const file = `${title}-${version}.openvex.json`;
    const id = `${repository}/releases/download/v${version}/${file}`;
    const vex = vexOf({ id, product: purlOf(digest), author: repository, created: source.created, packages: libraries });
    await writeFile(join(out, file), vex);
  }
  await writeFile(join(out, 'images.txt'), images.map(({ reference, digest }) => `${reference}@${digest}\n`).join(''));
  return images;
}

async function writeProvenance(out: string, images: readonly WrittenImage[], options: ReleaseOptions): Promise<void> {
  const { version, registry, repository, source } = options;
  const subjects: Subject[] = images.map(({ name, digest }) => ({
    name: `${registry}/sallyport/${name}`,
    sha256: digest.slice('sha256:'.length),
  }));
  for (const file of await filesOf(out)) {
    if (!file.startsWith('images/')) subjects.push({ name: file, sha256: await sha256Of(join(out, file)) });
  }
  const materials: Material[] = [
    { uri: `git+${repository}@${source.isDirty ? 'dirty' : `refs/tags/v${version}`}`, digest: { gitCommit: source.commit } },
    { uri: 'file:package-lock.json', digest: { sha256: await sha256Of(join(ROOT, 'package-lock.json')) } },
  ];
  for (const architecture of ARCHITECTURES) {
    const node = nodeComponent(pinnedNode(architecture));
    materials.push({
      uri: `pkg:npm/${pinnedNode(architecture).name}@${node.version}`,
      digest: { sha512: node.hashes?.[0]?.content ?? '' },
    });
    for (const { purl, hashes } of debianComponents(pinnedPackages(architecture), architecture)) {
      if (purl !== undefined) materials.push({ uri: purl, digest: { sha256: hashes?.[0]?.content ?? '' } });
    }
  }
  const statement = provenanceOf({
    subjects,
    materials,
    parameters: { version, registry, repository },
    repository,
    builder: `${repository}/blob/main/scripts/release.ts`,
  });
  await writeFile(join(out, PROVENANCE), statement);
}
