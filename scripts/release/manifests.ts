/*
 * The chart archive, install.yaml and the CRDs of a release, from the files of the tree: version and registry are replaced.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };
import { writeArchive } from './archives.ts';
import { readSection } from './changelog.ts';
import { IMAGE_NAMES } from './image-contents.ts';
import type { ImageFile } from './image-file.ts';

const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'charts/sallyport');
/** The registry in the tree, which cannot exist. */
export const NO_REGISTRY = 'registry.invalid';

/** What a release sets. */
export interface ReleaseNames {
  readonly version: string;
  /** Registry and path before `sallyport/`. */
  readonly registry: string;
  /** Home of the repository on a code host. */
  readonly repository: string;
}

/** File name of the chart's archive, as Helm expects it. */
export function chartArchive(version: string): string {
  return `sallyport-${version}.tgz`;
}

/** Writes the chart's archive, `install.yaml` and `crds.yaml` into a directory. @param section of the changelog for this version */
export async function writeManifests(out: string, names: ReleaseNames, section: string): Promise<void> {
  const ignored = readFileSync(join(CHART, '.helmignore'), 'utf8').split('\n');
  const files = readdirSync(CHART, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.helmignore')
    .map((entry) => join(entry.parentPath, entry.name).slice(CHART.length + 1))
    .filter((path) => !ignored.includes(`${path.split('/')[0]}/`))
    .map((path): ImageFile => ({ path: `sallyport/${path}`, mode: 0o644, content: chartFile(path, names, section) }));
  await writeArchive(join(out, chartArchive(names.version)), files);
  await writeFile(join(out, 'install.yaml'), installText(readFileSync(join(ROOT, 'manifests/install.yaml'), 'utf8'), names));
  await copyFile(join(ROOT, 'manifests/crds.yaml'), join(out, 'crds.yaml'));
}

function chartFile(path: string, names: ReleaseNames, section: string): string {
  const { registry } = names;
  const text = readFileSync(join(CHART, path), 'utf8');
  if (path === 'Chart.yaml') return chartYaml(text, names, section);
  if (path === 'values.yaml') return replaceOnce(text, new RegExp(`^  registry: ${NO_REGISTRY}$`, 'm'), `  registry: ${registry}`);
  return path === 'README.md' ? replaceOnce(text, new RegExp(`\`"${NO_REGISTRY}"\``), `\`"${registry}"\``) : text;
}

/** Chart.yaml of a release. @see https://artifacthub.io/docs/topics/annotations/helm/ */
function chartYaml(text: string, { version, registry, repository }: ReleaseNames, section: string): string {
  const document = parseDocument(withVersion(text, version));
  document.set('home', repository);
  document.set('sources', [repository]);
  document.set('icon', `${repository}/raw/v${version}/docs/icon.svg`);
  const changes = readSection(section).map(({ kind, text: description }) => ({ kind, description }));
  const images = IMAGE_NAMES.map((name) => ({ name, image: `${registry}/sallyport/${name}:${version}` }));
  document.setIn(['annotations', 'artifacthub.io/images'], stringify(images));
  if (changes.length > 0) document.setIn(['annotations', 'artifacthub.io/changes'], stringify(changes));
  document.setIn(['annotations', 'artifacthub.io/prerelease'], String(version.includes('-')));
  return document.toString({ lineWidth: 0 });
}

/** Chart.yaml with another version. */
export function withVersion(text: string, version: string): string {
  return replaceOnce(replaceOnce(text, /^version: .*$/m, `version: ${version}`), /^appVersion: .*$/m, `appVersion: ${version}`);
}

/** `install.yaml` with another version and registry. */
export function installText(text: string, { version, registry }: ReleaseNames): string {
  const old = packageJson.version;
  return text
    .replaceAll(`app.kubernetes.io/version: "${old}"`, `app.kubernetes.io/version: "${version}"`)
    .replaceAll(
      new RegExp(`(${NO_REGISTRY}/sallyport/[a-z]+):${old.replaceAll('.', '\\.')}(?=")`, 'g'),
      (_, image: string) => `${image}:${version}`,
    )
    .replaceAll(`${NO_REGISTRY}/sallyport/`, `${registry}/sallyport/`);
}

function replaceOnce(text: string, pattern: RegExp, replacement: string): string {
  if (!pattern.test(text)) throw new Error(`nothing matches ${String(pattern)}`);
  return text.replace(pattern, () => replacement);
}
