/*
 * Runs Istio's admission as a program, built once from the Go files of this directory, on many objects. Returns what the API
 * server and Istio's webhook report for each. Needs Go; the build is cached.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheRoot, withLock } from '../../cluster/cache.ts';

/** Response of the webhook; `broken`: it did not respond. */
export interface Verdict {
  readonly allowed: boolean;
  readonly message?: string;
  readonly warnings?: readonly string[];
  readonly broken?: string;
}

/** Results of a cluster with Istio for one object. */
export interface Admission {
  /** Why the body is not an object; then only `raw` is set. */
  readonly unreadable?: string;
  /** Errors of the CRD as the API server prints them, sorted. */
  readonly crd: readonly string[] | null;
  /** The object without unknown fields and nulls. */
  readonly stored?: unknown;
  /** Response of the webhook to the original object. */
  readonly raw: Verdict;
  /** Response of the webhook to `stored`. */
  readonly pruned: Verdict;
}

interface Program {
  readonly binary: string;
  readonly crds: string;
}

const SOURCES = fileURLToPath(new URL('.', import.meta.url));
const ISTIO = 'istio.io/istio';
const CRDS = 'manifests/charts/base/files/crd-all.gen.yaml';
const run = promisify(execFile);

/**
 * Returns the results for each object, in order.
 * @throws Error if Go is missing, or if the build or the program fails
 */
export async function askIstio(objects: readonly unknown[]): Promise<readonly Admission[]> {
  const { binary, crds } = await buildProgram();
  const child = spawn(binary, [crds], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers: Admission[] = [];
  const read = (async () => {
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      answers.push(JSON.parse(line) as Admission);
    }
  })();
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  for (const object of objects) {
    if (!child.stdin.write(`${JSON.stringify(object)}\n`)) await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
  child.stdin.end();
  const code = await ended;
  await read;
  if (code !== 0) throw new Error(`${basename(binary)} exited with ${code}`);
  if (answers.length !== objects.length) throw new Error(`expected ${objects.length} results, received ${answers.length}`);
  return answers;
}

/** Missing requirement of this machine, for the user; undefined: none. */
export function missingTool(): string | undefined {
  if (existsSync(cachedProgram().binary)) return undefined;
  const { status } = spawnSync('go', ['version'], { stdio: 'ignore' });
  return status === 0 ? undefined : "Go is not installed (no `go` on the PATH), and the program that holds Istio's code is not built yet";
}

/** Path of the built program; the directory name contains Istio's version and the hash of the sources. */
function cachedProgram(): Program & { readonly folder: string } {
  const files = readdirSync(SOURCES).filter((name) => name.endsWith('.go') || name === 'go.mod' || name === 'go.sum');
  const hash = createHash('sha256');
  for (const name of files.sort()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  const version = /istio\.io\/istio (\S+)/.exec(readFileSync(join(SOURCES, 'go.mod'), 'utf8'))?.[1] ?? '';
  const folder = join(cacheRoot(), 'bin', `istio-admission-${version}-${hash.digest('hex').slice(0, 16)}`);
  return { folder, binary: join(folder, 'istio-admission'), crds: join(folder, basename(CRDS)) };
}

/** Builds the program unless it is in the cache. */
async function buildProgram(): Promise<Program> {
  const { folder, ...program } = cachedProgram();
  if (!existsSync(program.binary)) await withLock('build-admission', () => buildInto(folder, program));
  return program;
}

async function buildInto(folder: string, { binary, crds }: Program): Promise<void> {
  if (existsSync(binary)) return;
  process.stderr.write('building Istio admission with Go; some minutes the first time\n');
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(`${folder}.building-`);
  try {
    await go('mod', 'download', ISTIO);
    const istio = (await go('list', '-m', '-f', '{{.Dir}}', ISTIO)).trim();
    copyFileSync(join(istio, CRDS), crds);
    await go('build', '-trimpath', '-ldflags', '-s -w', '-o', join(work, basename(binary)), '.');
    await rename(join(work, basename(binary)), binary);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Runs with low priority, so that a build does not slow down other work on the machine. */
async function go(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' };
  const { stdout } = await run('nice', ['-n', '5', 'go', ...args], { cwd: SOURCES, env, maxBuffer: 64 << 20 });
  return stdout;
}
