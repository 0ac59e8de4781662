/*
 * Builds the programs of versions.ts from Go modules, once per version, into `<cache>/bin/<product>-<version>/<program>`.
 * Progress goes to stderr.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheRoot, withLock } from './cache.ts';
import type { Binary, BinaryName, Product, ProductName, Suite } from './versions.ts';
import { binaries, products } from './versions.ts';

const run = promisify(execFile);

/** Absolute path that a program has, or will have once built. */
export function binaryPath(name: BinaryName): string {
  return join(productDir(binaries[name].product), fileOf(name));
}

/** Directories with the programs of a suite, for a `PATH`. */
export function binaryDirs(suite: Suite): readonly string[] {
  return [...new Set(namesFor(suite).map((name) => productDir(binaries[name].product)))];
}

/** Programs of a suite that are not in the cache yet. */
export function unbuilt(suite: Suite): readonly BinaryName[] {
  return namesFor(suite).filter((name) => !existsSync(binaryPath(name)));
}

/**
 * Builds the programs that `suite` needs and the cache lacks, through Go's module proxy: minutes the first time, nothing after that.
 * Runs at the same time wait for one another.
 * @throws Error with the compiler's output when a build fails
 */
export async function build(suite: Suite, signal?: AbortSignal): Promise<void> {
  if (unbuilt(suite).length === 0) return;
  await withLock('build', () => buildMissing(suite, signal), signal);
}

/**
 * Builds a program from one of our Go files that needs only the standard library; cached by its content.
 * @returns absolute path of the program
 */
export async function buildFrom(name: string, source: URL, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const dir = join(cacheRoot(), 'bin', `${name}-${digest}`);
  const goal = join(dir, name);
  if (existsSync(goal)) return goal;
  await mkdir(dir, { recursive: true });
  const work = await mkdtemp(`${dir}.building-`);
  try {
    await go(['build', '-trimpath', '-ldflags', '-s -w', '-o', join(work, name), fileURLToPath(source)], work, signal);
    await rename(join(work, name), goal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return goal;
}

/**
 * Builds one of our Go modules, which has a `go.sum`; cached by its content.
 * @param directory of the module, with its main package
 * @returns absolute path of the program
 */
export async function buildModule(name: string, directory: URL, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  for (const file of readdirSync(directory).sort()) digest.update(file).update(readFileSync(new URL(file, directory)));
  const goal = join(cacheRoot(), 'bin', `${name}-${digest.digest('hex').slice(0, 16)}`, name);
  if (existsSync(goal)) return goal;
  await withLock(
    `build-${name}`,
    async () => {
      if (existsSync(goal)) return;
      const work = `${goal}.building`;
      await go(['build', '-trimpath', '-ldflags', '-s -w', '-o', work, '.'], fileURLToPath(directory), signal);
      await rename(work, goal);
    },
    signal,
  );
  return goal;
}

/**
 * The directory of a Go module of others, from the module cache or the module proxy.
 * @param sum its hash, as in a go.sum
 * @throws Error when the proxy has other content
 */
export async function moduleDirectory(module: string, version: string, sum: string, signal?: AbortSignal): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', `${module}@${version}`], {
    cwd: tmpdir(),
    env: goEnv(),
    ...(signal ? { signal } : {}),
  });
  const { Dir, Sum } = JSON.parse(stdout) as { Dir: string; Sum: string };
  if (Sum !== sum) throw new Error(`${module}@${version} has the hash ${Sum}, not ${sum}`);
  return Dir;
}

async function buildMissing(suite: Suite, signal?: AbortSignal): Promise<void> {
  const missing = Map.groupBy(unbuilt(suite), (name) => binaries[name].product);
  for (const [product, all] of missing) {
    // Two products may be the same release.
    const names = all.filter((name) => !existsSync(binaryPath(name)));
    if (names.length === 0) continue;
    const began = Date.now();
    say(`building ${names.map(fileOf).join(', ')} (${products[product].version})`);
    await buildProduct(product, names, signal);
    say(`built ${names.map(fileOf).join(', ')} in ${Math.round((Date.now() - began) / 1000)} s`);
  }
}

async function buildProduct(name: ProductName, names: readonly BinaryName[], signal?: AbortSignal): Promise<void> {
  const product: Product = products[name];
  await mkdir(productDir(name), { recursive: true });
  // In the target directory, so that the rename at the end is atomic.
  const work = await mkdtemp(`${productDir(name)}.building-`);
  try {
    await writeFile(join(work, 'go.mod'), await goModOf(product, work, signal));
    await goBuild(product, names, work, signal);
    for (const binary of names) {
      await chmod(join(work, fileOf(binary)), 0o755);
      await rename(join(work, fileOf(binary)), binaryPath(binary));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** All programs of a module in one go, so that what they share is compiled once. */
async function goBuild(product: Product, names: readonly BinaryName[], work: string, signal?: AbortSignal): Promise<void> {
  const stamps = Object.entries(product.stamps ?? {}).map(([variable, value]) => `-X ${variable}=${value}`);
  const flags = ['-mod=mod', '-trimpath', `-tags=${(product.tags ?? []).join(',')}`, '-ldflags', ['-s', '-w', ...stamps].join(' ')];
  const packageOf = (name: BinaryName): string => product.module + binaries[name].packagePath;
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0)
    await go(['build', ...flags, '-o', join(work, fileOf(only)), packageOf(only)], work, signal);
  else await go(['build', ...flags, '-o', `${work}/`, ...names.map(packageOf)], work, signal);
}

/**
 * A go.mod that requires the product and nothing else: the go command then takes every other version from the product's own go.mod.
 * Kubernetes points its staging modules at directories of its repository; they are published under the same minor and patch version.
 */
async function goModOf(product: Product, work: string, signal?: AbortSignal): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', `${product.module}@${product.version}`], {
    cwd: work,
    env: goEnv(),
    ...(signal ? { signal } : {}),
  });
  const { GoMod } = JSON.parse(stdout) as { GoMod: string };
  const theirs = readFileSync(GoMod, 'utf8');
  const goLine = /^go .*$/m.exec(theirs)?.[0] ?? 'go 1.26.0';
  const staged = [...theirs.matchAll(/^\s*(?:replace )?(\S+) => \.\/staging\//gm)].map(([, module]) => module);
  const stagedVersion = product.version.replace(/^v1\./, 'v0.');
  const replaces = staged.map((module) => `replace ${module} => ${module} ${stagedVersion}`);
  return [`module sallyport-test-cluster`, goLine, `require ${product.module} ${product.version}`, ...replaces, ''].join('\n\n');
}

function goEnv(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
}

/** Runs the go command at low priority: a build must not slow down the developer's other work. */
async function go(args: readonly string[], cwd: string, signal?: AbortSignal): Promise<void> {
  const output: Buffer[] = [];
  const child = spawn('nice', ['-n', '5', 'go', ...args], {
    cwd,
    env: goEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`go ${args.join(' ')} failed:\n${Buffer.concat(output).toString().slice(-8000)}`);
}

function namesFor(suite: Suite): readonly BinaryName[] {
  const all = Object.keys(binaries) as BinaryName[];
  return suite === 'e2e' ? all : all.filter((name) => binaries[name].suite === 'integration');
}

function productDir(name: ProductName): string {
  const { directory = name, version }: Product = products[name];
  return join(cacheRoot(), 'bin', `${directory}-${version}`);
}

function fileOf(name: BinaryName): string {
  const { file = name }: Binary = binaries[name];
  return file;
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
