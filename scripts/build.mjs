/*
 * `npm run build`: one ESM file per process into dist/, by esbuild. What it leaves out matters: the agent's bundle must
 * not hold the Kubernetes client, jose or full zod, and the build fails when it does.
 */
import { build } from 'esbuild';

const banner = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
const entries = {
  agent: 'src/main/agent.ts',
  'agent-grpc': 'src/agent/ext-authz/grpc-library.ts',
  controller: 'src/main/controller.ts',
  sallyport: 'src/main/cli.ts',
};
/** The agent loads the gRPC library from the file beside it, and only when an authorizer speaks gRPC. @type {import('esbuild').Plugin} */
const grpcApart = {
  name: 'grpc-apart',
  setup: (setup) => setup.onResolve({ filter: /\/grpc-library\.ts$/ }, () => ({ path: './agent-grpc.mjs', external: true })),
};
const forbidden = {
  agent: ['@kubernetes/client-node', 'node_modules/jose', 'node_modules/undici', 'zod/v4/classic', 'src/cluster/', 'node_modules/@grpc'],
};

for (const [name, entry] of Object.entries(entries)) {
  const shebang = name === 'sallyport' ? '#!/usr/bin/env node\n' : '';
  const result = await build({
    entryPoints: [entry],
    outfile: `dist/${name}.mjs`,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    legalComments: 'none',
    metafile: true,
    plugins: name === 'agent' ? [grpcApart] : [],
    logLevel: 'warning',
    banner: { js: shebang + banner },
  });
  const inputs = Object.keys(result.metafile.inputs);
  for (const needle of forbidden[/** @type {'agent'} */ (name)] ?? []) {
    const found = inputs.find((input) => input.includes(needle));
    if (found !== undefined) throw new Error(`dist/${name}.mjs holds ${found}, which the ${name} must not load`);
  }
  const [output] = Object.values(result.metafile.outputs);
  const engine = Object.entries(output?.inputs ?? {}).filter(([input]) => input.startsWith('src/policy/decide/'));
  const engineBytes = engine.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
  const share = engineBytes === 0 ? '' : `, decision engine ${(engineBytes / 1024).toFixed(0)} KiB`;
  process.stdout.write(`dist/${name}.mjs ${((output?.bytes ?? 0) / 1024).toFixed(0)} KiB from ${inputs.length} files${share}\n`);
}
