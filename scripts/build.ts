/*
 * `npm run build`: one ESM file per process into dist/, by esbuild. Fails when the agent's file contains a package that its
 * budget does not list, or is larger than its budget (OUTPUT_BUDGETS in scripts/dependencies/allowed-imports.ts).
 */
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { OUTPUT_BUDGETS } from './dependencies/allowed-imports.ts';
import { checkOutput } from './dependencies/check-output.ts';

const banner = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
const entries = {
  agent: 'src/main/agent.ts',
  'agent-grpc': 'src/agent/ext-authz/grpc-library.ts',
  controller: 'src/main/controller.ts',
  sallyport: 'src/main/cli.ts',
};
/** The agent loads the gRPC library from the file next to it, and only when an ext_authz provider speaks gRPC. */
const grpcApart: Plugin = {
  name: 'grpc-apart',
  setup: (setup) => setup.onResolve({ filter: /\/grpc-library\.ts$/ }, () => ({ path: './agent-grpc.mjs', external: true })),
};

/** The ways in which pino writes by itself: the logger gives it a destination, and the agent would carry them in its memory. */
const withoutPinoOutput: Plugin = {
  name: 'without-pino-output',
  setup: (setup) => {
    setup.onResolve({ filter: /^(sonic-boom|thread-stream|on-exit-leak-free|atomic-sleep)$/ }, ({ path }) => ({
      path,
      namespace: 'unused',
    }));
    setup.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = class {};' }));
  },
};

/** What esbuild needs to bundle one process, without its entry point and where to write it. */
export function buildOptions(name: string): BuildOptions & { metafile: true } {
  const shebang = name === 'sallyport' ? '#!/usr/bin/env node\n' : '';
  return {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    legalComments: 'none',
    metafile: true,
    plugins: name === 'agent' ? [grpcApart, withoutPinoOutput] : [],
    logLevel: 'warning',
    banner: { js: shebang + banner },
  };
}

/** @throws Error naming every input that the budget of `name` does not list, and the size when it is above the budget */
export function requireBudget(name: string, { outputs }: Metafile): void {
  const budget = OUTPUT_BUDGETS[name];
  if (budget === undefined) return;
  const problems = Object.values(outputs).flatMap((output) => checkOutput(name, output, budget));
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

async function buildAll(): Promise<void> {
  for (const [name, entry] of Object.entries(entries)) {
    const result = await build({ ...buildOptions(name), entryPoints: [entry], outfile: `dist/${name}.mjs` });
    requireBudget(name, result.metafile);
    const [output] = Object.values(result.metafile.outputs);
    const engine = Object.entries(output?.inputs ?? {}).filter(([input]) => input.startsWith('src/policy/decide/'));
    const engineBytes = engine.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
    const share = engineBytes === 0 ? '' : `, decision engine ${(engineBytes / 1024).toFixed(0)} KiB`;
    const inputs = Object.keys(result.metafile.inputs).length;
    process.stdout.write(`dist/${name}.mjs ${((output?.bytes ?? 0) / 1024).toFixed(0)} KiB from ${inputs} files${share}\n`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await buildAll();
