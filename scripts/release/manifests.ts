/*
 * The chart archive, install.yaml and the CRDs of a release, from the files of the tree: version and registry are replaced.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { writeArchive } from './archives.ts';
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

/** Writes the chart's archive, `install.yaml` and `crds.yaml` into a directory. */
export async function writeManifests(out: string, names: ReleaseNames): Promise<void> {
  const ignored = readFileSync(join(CHART, '.helmignore'), 'utf8').split('\n');
  const files = readdirSync(CHART, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== '.helmignore')
    .map((entry) => join(entry.parentPath, entry.name).slice(CHART.length + 1))
    .filter((path) => !ignored.includes(`${path.split('/')[0]}/`))
    .map((path): ImageFile => ({ path: `sallyport/${path}`, mode: 0o644, content: chartFile(path, names) }));
  await writeArchive(join(out, chartArchive(names.version)), files);
  await writeFile(join(out, 'install.yaml'), installText(readFileSync(join(ROOT, 'manifests/install.yaml'), 'utf8'), names));
  await copyFile(join(ROOT, 'manifests/crds.yaml'), join(out, 'crds.yaml'));
}

function chartFile(path: string, { version, registry, repository }: ReleaseNames): string {
  const text = readFileSync(join(CHART, path), 'utf8');
  if (path === 'Chart.yaml') return `${withVersion(text, version)}home: ${repository}\n`;
  if (path === 'values.yaml') return replaceOnce(text, new RegExp(`^  registry: ${NO_REGISTRY}$`, 'm'), `  registry: ${registry}`);
  return path === 'README.md' ? replaceOnce(text, new RegExp(`\`"${NO_REGISTRY}"\``), `\`"${registry}"\``) : text;
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
