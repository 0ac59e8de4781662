/*
 * Builds what the proxy benchmarks run: the agent of a source tree as one file, and the application behind it.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type * as Build from '../../../scripts/build.ts';

/** Bundles the agent of the source tree `root` into `outfile`, with the options of that tree's build. */
export async function buildAgent(root: string, outfile: string): Promise<void> {
  const absWorkingDir = resolve(root);
  const { buildOptions } = (await import(join(absWorkingDir, 'scripts/build.ts'))) as typeof Build;
  await build({ ...buildOptions('agent'), entryPoints: [join(absWorkingDir, 'src/main/agent.ts')], absWorkingDir, outfile });
}

/** Compiles the application. @returns path of the binary @throws Error without a C compiler */
export function buildUpstream(folder: string): string {
  const binary = join(folder, 'upstream');
  const result = spawnSync('cc', ['-O2', '-o', binary, new URL('upstream.c', import.meta.url).pathname], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.status !== 0) throw new Error('this benchmark needs a C compiler (cc)');
  return binary;
}
