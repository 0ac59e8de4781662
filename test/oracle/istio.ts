/*
 * Runs istiod's part of the oracle: the Go program in istio/, which returns for each case what admission rejects and the listener
 * that Istio compiles. Needs Go for the first run.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cacheRoot, withLock } from '../cluster/cache.ts';
import type { RecordedCase, RecordedRejection } from '../conformance/case-file.ts';
import type { JsonObject } from './envoy-config.ts';

const SOURCE = join(import.meta.dirname, 'istio');

export interface IstioAnswer {
  readonly rejected?: readonly RecordedRejection[];
  readonly warnings?: readonly { readonly resource: string; readonly error: string }[];
  /** The workload's inbound listener. */
  readonly listener?: JsonObject;
  /** Failure of the program itself; there is no verdict. */
  readonly fault?: string;
}

/** The version of Istio's module that is built. */
export function istioVersion(): string {
  return /istio\.io\/istio (\S+)/.exec(readFileSync(join(SOURCE, 'go.mod'), 'utf8'))?.[1] ?? '';
}

/**
 * Builds the program if it is not in the cache, which takes many minutes.
 * @returns the directory with `istio` and the CRDs that Istio ships
 * @throws Error with the compiler's output
 */
export function buildIstio(): Promise<string> {
  return buildOnce('oracle-istio', readdirSync(SOURCE), async (work) => {
    await go([...BUILD, '-o', 'istio', '.'], work);
    cpSync(join(await sourcesOfIstio(work), 'manifests/charts/base/files/crd-all.gen.yaml'), join(work, 'crd-all.gen.yaml'));
  });
}

/**
 * Builds istiod itself from the same modules if it is not in the cache, which takes many minutes.
 * @returns the directory with `pilot-discovery` and Istio's Helm charts in `charts`
 * @throws Error with the compiler's output
 */
export function buildIstiod(): Promise<string> {
  return buildOnce('istiod', ['go.mod', 'go.sum'], async (work) => {
    await go([...BUILD, '-o', 'pilot-discovery', 'istio.io/istio/pilot/cmd/pilot-discovery'], work);
    // Files of the module cache are read-only.
    const copied = ['-r', '--no-preserve=mode', join(await sourcesOfIstio(work), 'manifests/charts'), join(work, 'charts')];
    await collect(spawn('cp', copied, { stdio: ['ignore', 'pipe', 'pipe'] }), 'cp');
  });
}

const BUILD = ['build', '-mod=mod', '-trimpath', '-ldflags', '-s -w'] as const;

/** @param sources names of the files in {@link SOURCE} on which the result depends @param make turns a directory with them into the result */
async function buildOnce(name: string, sources: readonly string[], make: (work: string) => Promise<void>): Promise<string> {
  const digest = createHash('sha256');
  for (const source of sources.toSorted()) digest.update(source).update(readFileSync(join(SOURCE, source)));
  const goal = join(cacheRoot(), 'bin', `${name}-${istioVersion()}-${digest.digest('hex').slice(0, 16)}`);
  if (existsSync(goal)) return goal;
  await withLock('build-oracle', async () => {
    if (!existsSync(goal)) await buildInto(goal, sources, make);
  });
  return goal;
}

async function buildInto(goal: string, sources: readonly string[], make: (work: string) => Promise<void>): Promise<void> {
  process.stderr.write(`building ${basename(goal)}: this takes many minutes the first time\n`);
  mkdirSync(join(cacheRoot(), 'bin'), { recursive: true });
  const work = await mkdtemp(`${goal}.building-`);
  try {
    for (const source of sources) cpSync(join(SOURCE, source), join(work, source));
    await make(work);
    renameSync(work, goal);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function sourcesOfIstio(work: string): Promise<string> {
  return (await go(['list', '-mod=mod', '-m', '-f', '{{.Dir}}', 'istio.io/istio'], work)).trim();
}

function go(args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
  return collect(spawn('nice', ['-n', '5', 'go', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }), `go ${args[0]}`);
}

const REPORTED_EVERY = 100;

/** Runs the program in `folder` on `cases`, in order. @param progress called from time to time with the number of completed cases */
export async function askIstio(
  folder: string,
  cases: readonly Pick<RecordedCase, 'resources'>[],
  progress: (done: number) => void,
): Promise<readonly IstioAnswer[]> {
  const child = spawn(join(folder, 'istio'), [folder], { stdio: ['pipe', 'pipe', 'pipe'] });
  let done = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    // One result per line.
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      done += 1;
      if (done % REPORTED_EVERY === 0) progress(done);
    }
  });
  child.stdin.end(cases.map((item) => `${JSON.stringify(item)}\n`).join(''));
  const answers = (await collect(child, 'istio')).split('\n').filter(Boolean);
  return answers.map((line) => JSON.parse(line) as IstioAnswer);
}

function collect(child: ReturnType<typeof spawn>, name: string): Promise<string> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else reject(new Error(`${name} failed:\n${Buffer.concat(err).toString().slice(-8000)}`));
    });
  });
}
