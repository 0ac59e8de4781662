/*
 * `sallyport check [PATH...]`: reports everything that is wrong with policies in files, or in a cluster.
 */
import { type Command, Option } from 'commander';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_USAGE } from '../context/exit-codes.ts';
import { type CheckResult, checkManifests } from '../input/check-findings.ts';
import { configOption, integerParser } from '../input/common-options.ts';
import { type LocatedFinding, sortFindings } from '../input/located-finding.ts';
import { exitCodeOf, type FailOn } from '../input/offline-cluster-state.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { applySuppressions, parseSuppression, type Suppression, suppressionsOf } from '../input/suppressions.ts';
import { addClusterOptions, type ClusterOptions, namesCluster } from '../live/cluster-options.ts';
import { formatFindingCount, formatFindingTable } from '../output/findings.ts';
import { plural } from '../output/plural.ts';
import { formatSarif } from '../output/sarif.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { createProgress, type Progress } from '../terminal/progress.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';
import { type CheckedPolicies, findIdleRulesOf, findNewAccess } from './check-proofs.ts';

interface CheckOptions extends ClusterOptions {
  readonly config?: string;
  readonly failOn: FailOn;
  readonly output: OutputFormat | 'sarif';
  readonly suppress: readonly Suppression[];
  /** commander takes `--no-` for the opposite of an option, which is true when it is not given. */
  readonly newAccess: string | true;
  readonly deep?: boolean;
  readonly timeout: number;
}

const MAX_SECONDS = 9_999_999;

/** Adds `check` to the program. */
export function addCheckCommand(program: Command, { context, finish }: CommandHost): void {
  addClusterOptions(program.command('check'), 'all')
    .summary('check policies in files or in a cluster')
    .description(
      'Reads the policies in files and directories, checks them as the API server and the admission webhook would, compiles them for the workloads next to them, and reports its findings; no cluster is contacted. Without a path it checks the policies of a namespace of the cluster, or of all, for the pods that run there. Keys behind URLs are not fetched.',
    )
    .argument('[path...]', 'files or directories of manifests; - for standard input; none: the cluster')
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
    .option('--deep', 'prove of every rule whether it has an effect: that some request is decided differently without it')
    .option(
      '--no-new-access <base>',
      'report each request that is let in and that the policies of this directory or file refuse, or prove that no such request exists',
    )
    .addOption(
      new Option('--timeout <seconds>', 'time for the proof of one workload (--no-new-access) or of one rule (--deep)')
        .argParser(integerParser(1, MAX_SECONDS))
        .default(30, '30'),
    )
    .addOption(outputOption('sarif'))
    .action(async (paths: string[], options: CheckOptions) => finish(await check(paths, options, context)));
}

async function check(paths: readonly string[], options: CheckOptions, context: CommandContext): Promise<number> {
  const isLive = paths.length === 0;
  if (!isLive && namesCluster(options)) throw new CommandError(EXIT_USAGE, 'give either paths or the options of a cluster, such as -n');
  const progress = createProgress(context.stderr);
  const checked = isLive ? await checkCluster(options, context) : await checkFiles(paths, options, context, progress);
  const { manifests, mesh, findings: own, policies } = checked;
  const added = await proofFindings(own, options, { manifests, mesh, context });
  const { findings, suppressed } = applySuppressions(sortFindings([...own, ...added]), [
    ...options.suppress,
    ...suppressionsOf(manifests.objects),
  ]);
  progress.clear();
  if (options.output === 'table') {
    writeText(context.stdout, formatFindingTable(findings, context.stdout));
    const count = formatFindingCount(findings, context.stderr);
    const hidden = suppressed === 0 ? '' : `, ${suppressed} suppressed`;
    const source = isLive ? '' : `${plural(manifests.textByFile.size, 'file')}, `;
    writeText(context.stderr, `${source}policies: ${policies}, ${count}${hidden}\n`);
  } else {
    const document = options.output === 'sarif' ? formatSarif(findings) : formatDocument('CheckResult', { findings }, options.output);
    writeDocument(context.stdout, document);
  }
  return exitCodeOf(manifests, findings, options.failOn);
}

/** What the options ask to prove. Policies with errors are not enforced as written, so that a proof would be about others. */
async function proofFindings(
  own: readonly LocatedFinding[],
  { newAccess, deep = false, timeout }: CheckOptions,
  policies: CheckedPolicies,
): Promise<readonly LocatedFinding[]> {
  if (newAccess === true && !deep) return [];
  if (own.some(({ severity }) => severity === 'error')) {
    writeMessage(policies.context.stderr, 'the policies have errors, so nothing is proven about them');
    return [];
  }
  return [
    ...(newAccess === true ? [] : await findNewAccess(newAccess, policies, timeout)),
    ...(deep ? await findIdleRulesOf(own, policies, timeout) : []),
  ];
}

interface Checked extends Pick<CheckResult, 'findings' | 'policies'>, Pick<CheckedPolicies, 'manifests' | 'mesh'> {}

async function checkFiles(paths: readonly string[], options: CheckOptions, context: CommandContext, progress: Progress): Promise<Checked> {
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context, (file, done) => progress.show(`${plural(done, 'file')} read, now ${file}`));
  return { manifests, mesh, ...checkManifests(manifests, mesh, progress.show) };
}

async function checkCluster(options: CheckOptions, context: CommandContext): Promise<Checked> {
  const given = options.config === undefined ? undefined : (await readConfig(options.config, context)).mesh;
  const { checkLive } = await import('../live/check-live.ts');
  const { notes, ...checked } = await checkLive(options, given, context);
  for (const note of notes) writeMessage(context.stderr, note);
  return checked;
}
