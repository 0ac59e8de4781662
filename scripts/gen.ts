/*
 * `npm run gen`: writes every generated file. With `--check` nothing is written; a line is printed for each stale file, and
 * the exit code is 1 when there is one. `npm run check` runs that, so everything here is quick and in one process.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { lastPass, passOf, recordPass } from './check/last-pass.ts';

interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly make: () => string | Promise<string>;
}

const root = new URL('../', import.meta.url);
const isCheck = process.argv.includes('--check');

const pages: readonly Page[] = [
  { path: 'src/policy/decide/index/bitmap/row-kernels.ts', make: async () => (await import('./gen-row-kernels.ts')).rowKernels() },
  { path: 'docs/architecture.md', make: async () => (await import('./reference/architecture-page.ts')).architecturePage() },
  { path: 'docs/reference/cli.md', make: async () => (await import('./reference/cli-page.ts')).cliPage() },
  { path: 'docs/reference/errors.md', make: async () => (await import('./reference/errors-page.ts')).errorsPage() },
  { path: 'docs/reference/conditions.md', make: async () => (await import('./reference/conditions-page.ts')).conditionsPage() },
  { path: 'docs/reference/metrics.md', make: async () => (await import('./reference/metrics-page.ts')).metricsPage() },
  { path: 'docs/reference/limits.md', make: async () => (await import('./reference/limits-page.ts')).limitsPage() },
  { path: 'docs/reference/annotations.md', make: async () => (await import('./reference/annotations-page.ts')).annotationsPage() },
  { path: 'docs/reference/support-matrix.md', make: async () => (await import('./reference/support-page.ts')).supportPage() },
  { path: 'docs/reference/configuration.md', make: async () => (await import('./reference/configuration-page.ts')).configurationPage() },
];

/** Scripts that read `--check` themselves and set the exit code; each can also run alone. In order: a script may read what the previous one wrote. */
const scripts: readonly { readonly name: string; readonly load: () => Promise<unknown> }[] = [
  { name: 'gen-crds', load: () => import('./gen-crds.ts') },
  { name: 'gen-chart', load: () => import('./gen-chart.ts') },
  { name: 'gen-manifests', load: loadManifests },
];

/** Rendering the chart needs helm; `gen` does not build it, `node scripts/gen-manifests.ts` does. */
async function loadManifests(): Promise<void> {
  const { binaryPath } = await import('../test/cluster/build.ts');
  if (!isCheck && !existsSync(binaryPath('helm'))) {
    console.error('NOT WRITTEN: manifests/install.yaml, because helm is not built; node scripts/gen-manifests.ts builds it first');
    return;
  }
  await import('./gen-manifests.ts');
}

/** True when the page is up to date, or was written. */
async function handlePage({ path, make }: Page): Promise<boolean> {
  const url = new URL(path, root);
  const text = await make();
  if (existsSync(url) && readFileSync(url, 'utf8') === text) return true;
  if (isCheck) {
    console.error(`${path} is stale; run: npm run gen`);
    return false;
  }
  mkdirSync(new URL('.', url), { recursive: true });
  writeFileSync(url, text);
  console.error(`wrote ${path}`);
  return true;
}

/** Runs one generator; an error is printed with the generator's name and counts as stale. */
async function attempt(name: string, run: () => Promise<boolean>): Promise<boolean> {
  try {
    return await run();
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

/** Everything that the generators read, and what they write; helm is part of it once it is built. */
async function readInputs(): Promise<ReadonlyMap<string, string>> {
  const { binaryPath } = await import('../test/cluster/build.ts');
  const scopes = ['src', 'scripts', 'charts', 'crds', 'manifests', 'docs', 'test/cluster', 'package.json'];
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...scopes], {
    cwd: root,
    encoding: 'utf8',
  });
  const paths = [...new Set(listed.split('\n'))].filter((path) => path !== '' && existsSync(new URL(path, root)));
  const helm = binaryPath('helm');
  return new Map([...paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')] as const), [helm, String(existsSync(helm))]]);
}

// Generated files cannot be stale when neither they nor what they are made from changed since the last pass.
const now = isCheck ? passOf(await readInputs(), ['package-lock.json']) : undefined;
if (now !== undefined && isDeepStrictEqual(lastPass('gen', now), now.files)) process.exit(0);

let isFresh = true;
for (const { name, load } of scripts) {
  const isDone = await attempt(name, async () => {
    process.exitCode = 0;
    await load();
    return Number(process.exitCode) === 0;
  });
  isFresh = isDone && isFresh;
}
for (const page of pages) isFresh = (await attempt(page.path, () => handlePage(page))) && isFresh;
if (isFresh && now !== undefined) recordPass('gen', now);
process.exitCode = isFresh ? 0 : 1;
