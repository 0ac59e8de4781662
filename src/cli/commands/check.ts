/*
 * `sallyport check PATH...`: reports everything that is wrong with policies in files, without a cluster.
 */
import { type Command, Option } from 'commander';
import type { CommandContext, CommandHost } from '../context/command-context.ts';
import { checkManifests } from '../input/check-findings.ts';
import { configOption } from '../input/common-options.ts';
import { exitCodeOf, type FailOn } from '../input/offline-cluster-state.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { applySuppressions, parseSuppression, type Suppression, suppressionsOf } from '../input/suppressions.ts';
import { formatFindingCount, formatFindingTable } from '../output/findings.ts';
import { plural } from '../output/plural.ts';
import { formatSarif } from '../output/sarif.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { createProgress } from '../terminal/progress.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface CheckOptions {
  readonly config?: string;
  readonly failOn: FailOn;
  readonly output: OutputFormat | 'sarif';
  readonly suppress: readonly Suppression[];
}

/** Adds `check` to the program. */
export function addCheckCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('check')
    .summary('check policies in files')
    .description(
      'Reads the policies in files and directories, checks them as the API server and the admission webhook would, compiles them for the workloads next to them, and reports its findings. Nothing is fetched and no cluster is contacted.',
    )
    .argument('<path...>', 'files or directories of manifests; - for standard input')
    .addOption(configOption())
    .addOption(
      new Option('--fail-on <severity>', 'lowest severity that makes the exit code 79').choices(['error', 'warning']).default('error'),
    )
    .addOption(
      new Option(
        '--suppress <code=kind/namespace/name>',
        'leave out findings with this code about these objects, e.g. SP_UNREACHABLE_RULE=AuthorizationPolicy/foo/*; * stands for anything; may be repeated',
      )
        .argParser(parseSuppression)
        .default([], 'none'),
    )
    .addOption(outputOption('sarif'))
    .action(async (paths: string[], options: CheckOptions) => finish(await check(paths, options, context)));
}

async function check(paths: readonly string[], options: CheckOptions, context: CommandContext): Promise<number> {
  const progress = createProgress(context.stderr);
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context, (file, done) => progress.show(`${plural(done, 'file')} read, now ${file}`));
  const { findings: all, policies } = checkManifests(manifests, mesh, progress.show);
  const { findings, suppressed } = applySuppressions(all, [...options.suppress, ...suppressionsOf(manifests.objects)]);
  progress.clear();
  if (options.output === 'table') {
    writeText(context.stdout, formatFindingTable(findings, context.stdout));
    const count = formatFindingCount(findings, context.stderr);
    const hidden = suppressed === 0 ? '' : `, ${suppressed} suppressed`;
    writeText(context.stderr, `${plural(manifests.textByFile.size, 'file')}, policies: ${policies}, ${count}${hidden}\n`);
  } else {
    const document = options.output === 'sarif' ? formatSarif(findings) : formatDocument('CheckResult', { findings }, options.output);
    writeDocument(context.stdout, document);
  }
  return exitCodeOf(manifests, findings, options.failOn);
}
