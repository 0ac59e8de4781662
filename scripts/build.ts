/*
 * `npm run build`: one ESM file per process into dist/, by esbuild, and for the CLI a directory of the parts that it loads on demand.
 * Fails when the agent's file contains a package that its budget does not list, or is larger than its budget (OUTPUT_BUDGETS in
 * scripts/dependencies/allowed-imports.ts).
 */
import { rmSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };
import { OUTPUT_BUDGETS } from './dependencies/allowed-imports.ts';
import { checkLanguages, checkOutput } from './dependencies/check-output.ts';

const banner = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
/** A controller that the CLI runs starts them from files next to its own part, as that of the image does. */
const WORKERS = { 'admission-worker': 'src/webhook/admission-worker.ts', 'new-access-worker': 'src/webhook/new-access-worker.ts' };
const ROOT = join(import.meta.dirname, '..');

/** A process, by the name of its file. */
export type ProcessName =
  | 'agent'
  | 'agent-feed'
  | 'agent-grpc'
  | 'agent-traces'
  | 'controller'
  | 'controller-traces'
  | 'profiling'
  | 'node'
  | 'redirect'
  | keyof typeof WORKERS
  | 'cli'
  | 'sallyport';

const entries: Readonly<Record<ProcessName, string>> = {
  agent: 'src/main/agent.ts',
  'agent-feed': 'src/agent/bundles/feed-source.ts',
  'agent-grpc': 'src/agent/ext-authz/grpc-library.ts',
  'agent-traces': 'src/agent/traces/traces.ts',
  controller: 'src/main/controller.ts',
  'controller-traces': 'src/traces/operation-traces.ts',
  profiling: 'src/profiling/profile-server.ts',
  node: 'src/main/node.ts',
  redirect: 'src/main/redirect.ts',
  ...WORKERS,
  cli: 'src/main/cli.ts',
  sallyport: 'src/main/launcher.ts',
};
/** What the bundler leaves alone: the file next to it is loaded instead. */
function apart(name: string, filter: RegExp, path: string): Plugin {
  return { name, setup: (setup) => setup.onResolve({ filter }, () => ({ path, external: true })) };
}
/** The agent loads the client of the feed from the file next to it, and only when its pod has a feed. */
const feedApart = apart('feed-apart', /\/feed-source\.ts$/, './agent-feed.mjs');
/** The agent loads the gRPC library from the file next to it, and only when an ext_authz provider speaks gRPC. */
const grpcApart = apart('grpc-apart', /\/grpc-library\.ts$/, './agent-grpc.mjs');
/** The agent loads traces from the file next to it, and only when a collector is configured. */
const tracesApart = apart('traces-apart', /\/traces\.ts$/, './agent-traces.mjs');
/** The controller loads traces from the file next to it, and only when a collector is configured. */
const operationTracesApart = apart('operation-traces-apart', /\/operation-traces\.ts$/, './controller-traces.mjs');
/** Agent and controller load profiles from the file next to them, and only when a port for them is configured. */
const profilingApart = apart('profiling-apart', /\/profile-server\.ts$/, './profiling.mjs');
/** The launcher checks the version of Node.js before anything else is parsed. */
const cliApart = apart('cli-apart', /\/cli\.ts$/, './cli.mjs');

/** The image of the agent has it next to the agent. */
const OPENSSL_CONFIG = 'agent-openssl.cnf';

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

/** Where string-width creates what only text outside of ASCII needs: together they take as long as half a `sallyport version`. */
const EAGER_WIDTHS: ReadonlyMap<string, string> = new Map([
  ['const segmenter = new Intl.Segmenter();', 'let segmenter;'],
  ['segmenter.segment(string)', '(segmenter ??= new Intl.Segmenter()).segment(string)'],
  ['const rgiEmojiRegex = /^\\p{RGI_Emoji}$/v;', 'let rgiEmojiRegex;'],
  ['rgiEmojiRegex.test(segment)', '(rgiEmojiRegex ??= /^\\p{RGI_Emoji}$/v).test(segment)'],
]);

/** Creates them when they are first used. Fails when a new version of the package has another text. */
const lazyWidths: Plugin = {
  name: 'lazy-widths',
  setup: (setup) => {
    setup.onLoad({ filter: /node_modules\/string-width\/index\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const [eager, lazy] of EAGER_WIDTHS) {
        if (contents.split(eager).length !== 2) throw new Error(`string-width does not have ${eager} exactly once`);
        contents = contents.replace(eager, () => lazy);
      }
      return { contents };
    });
  },
};

/** Of package.json the processes need this; a release sets its version here, so that the tree stays as it is. */
function packageFacts(version: string): Plugin {
  return {
    name: 'package-facts',
    setup: (setup) => {
      setup.onLoad({ filter: /package\.json$/ }, ({ path }) => {
        if (path !== join(ROOT, 'package.json')) return undefined;
        return { contents: JSON.stringify({ name: packageJson.name, version, engines: packageJson.engines }), loader: 'json' };
      });
    },
  };
}

const PLUGINS: Readonly<Record<string, readonly Plugin[]>> = {
  cli: [lazyWidths],
  controller: [operationTracesApart, profilingApart],
  agent: [feedApart, grpcApart, tracesApart, profilingApart, withoutPinoOutput],
  redirect: [withoutPinoOutput],
  sallyport: [cliApart],
};

/**
 * What esbuild needs to bundle one process, without its entry point and where to write it.
 *
 * @param version the version that the process reports; absent: that of package.json
 */
export function buildOptions(name: string, version: string = packageJson.version): BuildOptions & { metafile: true } {
  const isLauncher = name === 'sallyport';
  return {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: isLauncher ? 'node14' : 'node24',
    minifySyntax: true,
    // Less text to parse at each start; names stay, and lines are short enough for a stack trace.
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    metafile: true,
    plugins: [packageFacts(version), ...(PLUGINS[name] ?? [])],
    logLevel: 'warning',
    banner: { js: isLauncher ? '#!/usr/bin/env node' : banner },
  };
}

/** @throws Error naming every input that the budget of `name` does not list, the size when it is above the budget, and unused languages */
export function requireBudget(name: string, { outputs }: Metafile): void {
  const budget = OUTPUT_BUDGETS[name];
  const problems = Object.values(outputs).flatMap((output) => [
    ...checkLanguages(name, output),
    ...(budget === undefined ? [] : checkOutput(name, output, budget)),
  ]);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

/** One process of a build. */
export interface BuiltProcess {
  readonly name: string;
  readonly metafile: Metafile;
}

/** The CLI is split, because to parse what a command does not use takes longer than the command. */
function outputsOf(name: string, outdir: string): Pick<BuildOptions, 'outdir' | 'outExtension' | 'splitting' | 'chunkNames'> {
  const split = name === 'cli' ? { splitting: true, chunkNames: `${name}/[name]-[hash]` } : {};
  return { outdir, outExtension: { '.js': '.mjs' }, ...split };
}

/**
 * Bundles all processes.
 *
 * @param outdir directory to write to
 * @param version the version that the processes report; absent: that of package.json
 * @throws Error when a file is above its budget
 */
export async function buildAll(outdir: string, version?: string): Promise<readonly BuiltProcess[]> {
  const built: BuiltProcess[] = [];
  rmSync(join(outdir, 'cli'), { recursive: true, force: true });
  for (const name of Object.keys(entries) as ProcessName[]) built.push(await buildProcess(name, outdir, version));
  return built;
}

/** Bundles one process. Parameters and errors are those of {@link buildAll}. */
export async function buildProcess(name: ProcessName, outdir: string, version?: string): Promise<BuiltProcess> {
  const { metafile } = await build({
    ...buildOptions(name, version),
    ...outputsOf(name, outdir),
    absWorkingDir: ROOT,
    entryPoints: { [name]: entries[name], ...(name === 'cli' ? workersOfCli() : {}) },
  });
  requireBudget(name, metafile);
  if (name === 'agent') await copyFile(join(ROOT, 'src/agent/tls', OPENSSL_CONFIG), join(outdir, OPENSSL_CONFIG));
  return { name, metafile };
}

function workersOfCli(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(WORKERS).map(([name, entry]) => [`cli/${name}`, entry]));
}

/** Bundles the CLI into one file, for an executable, which loads nothing from a disk. */
export async function buildSingleFile(outfile: string, version: string): Promise<BuiltProcess> {
  const { metafile } = await build({ ...buildOptions('cli', version), absWorkingDir: ROOT, entryPoints: [entries.cli], outfile });
  return { name: 'cli', metafile };
}

function report({ name, metafile }: BuiltProcess): string {
  const outputs = Object.values(metafile.outputs);
  const bytes = outputs.reduce((sum, each) => sum + each.bytes, 0);
  const engine = outputs.flatMap(({ inputs }) => Object.entries(inputs)).filter(([input]) => input.startsWith('src/policy/decide/'));
  const engineBytes = engine.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
  const share = engineBytes === 0 ? '' : `, decision engine ${(engineBytes / 1024).toFixed(0)} KiB`;
  return `dist/${name}.mjs ${(bytes / 1024).toFixed(0)} KiB from ${Object.keys(metafile.inputs).length} files${share}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const built of await buildAll(join(ROOT, 'dist'))) process.stdout.write(report(built));
}
