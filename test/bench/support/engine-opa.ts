/*
 * Compiles Rego to WebAssembly. The `opa` command is built once from its Go module and stored in the cache directory of the cluster
 * suites; its output is stored in the same directory, by content.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, withLock } from '../../cluster/cache.ts';

const run = promisify(execFile);

export const OPA_VERSION = 'v1.22.2';
const MODULE = 'github.com/open-policy-agent/opa';

function opaDir(): string {
  return join(cacheRoot(), 'bin', `opa-${OPA_VERSION}`);
}

/** Runs `work` in a new directory next to `goal`; if it succeeds, the directory is renamed to `goal`. */
async function inNewFolder(goal: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(`${goal}.building-`);
  try {
    await work(folder);
    await rename(folder, goal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function opaCommand(): Promise<string> {
  const goal = opaDir();
  await mkdir(join(goal, '..'), { recursive: true });
  await withLock(`opa-${OPA_VERSION}`, async () => {
    if (existsSync(join(goal, 'opa'))) return;
    process.stderr.write(`building opa ${OPA_VERSION}\n`);
    await inNewFolder(goal, async (folder) => {
      await writeFile(join(folder, 'go.mod'), `module engine-bench\n\ngo 1.26.0\n\nrequire ${MODULE} ${OPA_VERSION}\n`);
      const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
      const flags = ['-mod=mod', '-trimpath', '-ldflags', '-s -w'];
      await run('nice', ['-n', '5', 'go', 'build', ...flags, '-o', 'opa', MODULE], { cwd: folder, env, maxBuffer: 2 ** 26 });
    });
  });
  return join(goal, 'opa');
}

/** Compiles one Rego module. @param entrypoint e.g. `bench/allow` @throws Error when `opa` cannot be built or rejects the module */
export async function compileRego(rego: string, entrypoint: string): Promise<Uint8Array> {
  const opa = await opaCommand();
  const digest = createHash('sha256').update(`${OPA_VERSION}\n${entrypoint}\n${rego}`).digest('hex').slice(0, 16);
  const goal = join(cacheRoot(), 'rego', digest);
  if (!existsSync(goal)) {
    await mkdir(join(goal, '..'), { recursive: true });
    await inNewFolder(goal, async (folder) => {
      await writeFile(join(folder, 'policy.rego'), rego);
      await run(opa, ['build', '-t', 'wasm', '-e', entrypoint, '-o', 'bundle.tar.gz', 'policy.rego'], { cwd: folder, maxBuffer: 2 ** 26 });
      await run('tar', ['-xzf', 'bundle.tar.gz', '/policy.wasm'], { cwd: folder });
    });
  }
  return await readFile(join(goal, 'policy.wasm'));
}
