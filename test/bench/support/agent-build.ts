/*
 * Builds what the proxy benchmarks run: the agent of a source tree as one file, and the application behind it.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Bundles the agent of the source tree `root` into `outfile`, as the product's build does. */
export async function buildAgent(root: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [join(root, 'src/main/agent.ts')],
    absWorkingDir: root,
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    // As in the build: neither is part of the agent's file.
    plugins: [
      {
        name: 'separate-files',
        setup: (bundler) => {
          bundler.onResolve({ filter: /\/feed-source\.ts$/ }, () => ({ path: './agent-feed.mjs', external: true }));
          bundler.onResolve({ filter: /\/grpc-library\.ts$/ }, () => ({ path: './agent-grpc.mjs', external: true }));
          bundler.onResolve({ filter: /\/profile-server\.ts$/ }, () => ({ path: './profiling.mjs', external: true }));
          bundler.onResolve({ filter: /\/traces\.ts$/ }, () => ({ path: './agent-traces.mjs', external: true }));
        },
      },
    ],
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
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
