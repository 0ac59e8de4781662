/*
 * Builds the programs of versions.ts from Go modules, once per version, into `<cache>/bin/<product>-<version>/<program>`.
 * Progress goes to stderr.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheRoot, withLock } from './cache.ts';
import type { BinaryName, Product, ProductName, Suite } from './versions.ts';
import { binaries, products } from './versions.ts';

const run = promisify(execFile);

/** Absolute path that a program has, or will have once built. */
export function binaryPath(name: BinaryName): string {
  return join(productDir(binaries[name].product), name);
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

async function buildMissing(suite: Suite, signal?: AbortSignal): Promise<void> {
  const missing = Map.groupBy(unbuilt(suite), (name) => binaries[name].product);
  for (const [product, names] of missing) {
    const began = Date.now();
    say(`building ${names.join(', ')} (${products[product].version})`);
    await buildProduct(product, names, signal);
    say(`built ${names.join(', ')} in ${Math.round((Date.now() - began) / 1000)} s`);
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
      await chmod(join(work, binary), 0o755);
      await rename(join(work, binary), join(productDir(name), binary));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** All programs of a module in one go, so that what they share is compiled once. */
async function goBuild(product: Product, names: readonly BinaryName[], work: string, signal?: AbortSignal): Promise<void> {
  const stamps = Object.entries(product.stamps ?? {}).map(([variable, value]) => `-X ${variable}=${value}`);
  const flags = ['-mod=mod', '-trimpath', '-ldflags', ['-s', '-w', ...stamps].join(' ')];
  const packageOf = (name: BinaryName): string => product.module + binaries[name].packagePath;
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) await go(['build', ...flags, '-o', join(work, only), packageOf(only)], work, signal);
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
  return join(cacheRoot(), 'bin', `${name}-${products[name].version}`);
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
