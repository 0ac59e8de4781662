/*
 * `sallyport diff A B`: shows which decisions differ between two sets of policies, for requests from a file or for generated ones.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK, EXIT_USAGE } from '../context/exit-codes.ts';
import { isBundleJson, policySetOfBundle } from '../input/bundle-policy-set.ts';
import { configOption, integerParser, jwksOption, parseTime, timeOption } from '../input/common-options.ts';
import { type KeySetOf, readKeySets } from '../input/key-sets.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { requireInput } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { writeFindingLines } from '../output/findings.ts';
import { flipGroupValue, formatFlips } from '../output/flips.ts';
import { plural } from '../output/plural.ts';
import { formatStructured, type OutputFormat, outputOption } from '../output/structured.ts';
import { compareDecisions } from './compare-decisions.ts';

const MAX_NUMBER = 9_999_999;

interface DiffOptions {
  readonly config?: string;
  readonly requests?: string;
  readonly generate?: number;
  readonly seed: number;
  readonly workload?: string;
  readonly jwks: readonly string[];
  readonly at?: string;
  readonly examples: number;
  readonly output: OutputFormat;
}

/** Adds `diff` to the program. */
export function addDiffCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('diff')
    .summary('show which decisions differ between two sets of policies')
    .description(
      'Evaluates the same requests under two sets of policies and counts the verdicts that differ (flips), grouped by the two rules that decided, with an example of each. Requests come from a file (an HTTP archive, or one JSON object per line) or are generated from the values in both sets. Exit code 0: no decision differs; 79: some do.',
    )
    .argument('<a>', 'before: a directory or file of manifests, or a bundle in JSON')
    .argument('<b>', 'after: likewise')
    .option(
      '--requests <file>',
      'requests: HAR, or JSON lines with method, path or url, host, headers, sourceIp, peer, port, token or claims; - for standard input',
    )
    .addOption(new Option('--generate <n>', 'generate n requests').argParser(integerParser(0, MAX_NUMBER)))
    .addOption(new Option('--seed <n>', 'seed for generated requests').argParser(integerParser(0, MAX_NUMBER)).default(1, '1'))
    .option('--workload <namespace/name>', 'only this workload (default: every workload in both sets)')
    .addOption(configOption())
    .addOption(jwksOption('keys for literal tokens, of rules without inline keys'))
    .addOption(timeOption())
    .addOption(
      new Option('--examples <n>', 'number of requests to show of each group of flips')
        .argParser(integerParser(1, MAX_NUMBER))
        .default(1, '1'),
    )
    .addOption(outputOption())
    .action(async (a: string, b: string, options: DiffOptions) => finish(await diff([a, b], options, context)));
}

async function diff([a, b]: readonly [string, string], options: DiffOptions, context: CommandContext): Promise<number> {
  if ((options.requests === undefined) === (options.generate === undefined)) {
    throw new CommandError(EXIT_USAGE, 'give requests in one form: as --requests or as --generate');
  }
  const { mesh } = await readConfig(options.config, context);
  const keySetOf = await readKeySets(options.jwks, context);
  const [before, after] = [await readSide(a, { mesh, keySetOf, context }), await readSide(b, { mesh, keySetOf, context })];
  const sides = sharedWorkloads(before, after, options.workload, context).map((workload) => ({
    before: before.target(workload, undefined),
    after: after.target(workload, undefined),
  }));
  const { requests, flips, groups } = await compareDecisions(sides, { ...options, nowSeconds: parseTime(options.at) }, context);
  const value = { requests, flips, groups: groups.map(flipGroupValue) };
  context.stdout.write(options.output === 'table' ? formatFlips(groups, context.stdout) : formatStructured(value, options.output));
  const seed = options.generate === undefined ? '' : ` (seed ${options.seed})`;
  context.stderr.write(`${plural(requests, 'request')}${seed}, ${plural(flips, 'flip')}\n`);
  return flips === 0 ? EXIT_OK : EXIT_FINDINGS;
}

interface SideContext {
  readonly mesh: MeshConfig;
  readonly keySetOf: KeySetOf;
  readonly context: CommandContext;
}

async function readSide(path: string, { mesh, keySetOf, context }: SideContext): Promise<PolicySet> {
  const isFile = await stat(resolve(context.cwd, path)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile && path.endsWith('.json')) {
    const text = await requireInput(path, context);
    if (isBundleJson(text, path)) return policySetOfBundle(text, path);
  }
  const manifests = await readManifests([path], context);
  const set = policySetOf(manifests, mesh, keySetOf);
  writeFindingLines(set.findings, context.stderr);
  if (!manifests.isComplete) throw new CommandError(EXIT_BAD_DATA, `${path}: not every file could be read, so nothing is compared`);
  return set;
}

function sharedWorkloads(before: PolicySet, after: PolicySet, wanted: string | undefined, { stderr }: CommandContext): readonly string[] {
  if (wanted !== undefined) return [wanted];
  const shared = before.workloads.filter((workload) => after.workloads.includes(workload));
  const unshared = [...before.workloads, ...after.workloads].filter((workload) => !shared.includes(workload));
  for (const workload of unshared) stderr.write(`sallyport: ${workload} is in one set only and is not compared\n`);
  if (shared.length === 0) throw new CommandError(EXIT_BAD_DATA, 'the two sets have no workload in common');
  return shared;
}
