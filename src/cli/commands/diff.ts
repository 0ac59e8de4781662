/*
 * `sallyport diff A B`: proves which requests one set of policies lets in and the other refuses, or compares the decisions on requests
 * from a file or on generated ones.
 */
import { type Command, Option } from 'commander';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_FINDINGS, EXIT_OK, EXIT_UNDECIDED, EXIT_USAGE } from '../context/exit-codes.ts';
import { configOption, integerParser, jwksOption, parseTime, timeOption } from '../input/common-options.ts';
import { readKeySets } from '../input/key-sets.ts';
import { withPodPort } from '../input/pod-port.ts';
import type { PolicySet } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { addClusterOptions, type ClusterOptions, namesCluster } from '../live/cluster-options.ts';
import { writeFindingLines } from '../output/findings.ts';
import { flipGroupValue, formatFlips, formatNotReached } from '../output/flips.ts';
import { plural } from '../output/plural.ts';
import { formatProof, type ProvenWorkload, proofValue } from '../output/proof.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';
import { type ComparisonResult, compareDecisions, type TargetPair } from './compare-decisions.ts';
import { type ComparedPod, comparedPods, type SetPair } from './compared-pods.ts';
import { proveSets } from './prove-sets.ts';
import { readSide } from './read-side.ts';

const MAX_NUMBER = 9_999_999;

interface DiffOptions extends ClusterOptions {
  readonly live?: boolean;
  readonly config?: string;
  readonly requests?: string;
  readonly generate?: number;
  readonly seed: number;
  readonly workload?: string;
  readonly jwks: readonly string[];
  readonly at?: string;
  readonly examples: number;
  readonly failOn: 'any' | 'widened';
  readonly timeout: number;
  readonly output: OutputFormat;
}

/** Adds `diff` to the program. */
export function addDiffCommand(program: Command, { context, finish }: CommandHost): void {
  addClusterOptions(program.command('diff'), 'all')
    .summary('prove which requests a change of policies lets in or refuses')
    .description(
      'Proves for every workload that the second set of policies lets in exactly the requests that the first one lets in (same), or finds a request that it lets in and the first refuses (widened), or the reverse (narrowed), or one of each (both). Every such request is confirmed by the filter chain of the agent. Exit code 0: same; 79: some request differs (with --fail-on widened: some request is let in that was refused); 80: not decided, because of the time limit or of policies that the analysis cannot decide. With --requests or --generate it evaluates the same requests under both sets instead and counts the verdicts that differ (flips), grouped by the two rules that decided, with an example of each. Requests come from a file (an HTTP archive, an access log of agents, or one JSON object per line) or are generated from the values in both sets. Generated requests are a sample: a token that the policies accept and a value inside and just outside every clause, rules that differ first; rules that none of them reached are listed. Exit code 0: no decision differs, and every rule was reached; 79: some decisions differ, or some rules were not reached.',
    )
    .argument('<a>', 'before: a directory or file of manifests, or a bundle in JSON')
    .argument('[b]', 'after: likewise')
    .option('--live', 'compare the policies of the cluster with what they would be after `kubectl apply -f A`')
    .option(
      '--requests <file>',
      'requests: HAR, an access log of agents, or JSON lines with method, path or url, host, headers, sourceIp, peer, port, token or claims; - for standard input',
    )
    .addOption(new Option('--generate <n>', 'generate n requests').argParser(integerParser(0, MAX_NUMBER)))
    .addOption(new Option('--seed <n>', 'seed for generated requests').argParser(integerParser(0, MAX_NUMBER)).default(1, '1'))
    .option('--workload <namespace/[kind/]name>', 'only this workload (default: every workload in both sets)')
    .addOption(configOption())
    .addOption(jwksOption('keys for literal tokens, of rules without inline keys'))
    .addOption(timeOption())
    .addOption(
      new Option('--examples <n>', 'number of requests to show of each group of flips')
        .argParser(integerParser(1, MAX_NUMBER))
        .default(1, '1'),
    )
    .addOption(
      new Option('--fail-on <difference>', 'which proven differences give exit code 79').choices(['any', 'widened']).default('any'),
    )
    .addOption(
      new Option('--timeout <seconds>', 'time for the proof of one workload').argParser(integerParser(1, MAX_NUMBER)).default(30, '30'),
    )
    .addOption(outputOption())
    .action(async (a: string, b: string | undefined, options: DiffOptions) => finish(await diff([a, b], options, context)));
}

async function diff([a, b]: readonly [string, string | undefined], options: DiffOptions, context: CommandContext): Promise<number> {
  if (options.requests !== undefined && options.generate !== undefined) {
    throw new CommandError(EXIT_USAGE, 'give requests in one form: as --requests or as --generate');
  }
  const sets = await readSides([a, b], options, context);
  const [before, after] = sets;
  if (options.requests === undefined && options.generate === undefined) return prove(sets, options, context);
  const sides = comparedPods(sets, options.workload, context).map((pod) => targetPair(before, after, pod));
  writeFindingLines([...before.compiledFindings(), ...after.compiledFindings()], context.stderr);
  const result = await compareDecisions(sides, { ...options, nowSeconds: parseTime(options.at) }, context);
  const { groups, notReached } = result;
  const isSampled = options.generate !== undefined;
  if (options.output === 'table')
    writeText(context.stdout, `${formatFlips(groups, context.stdout)}${formatNotReached(notReached, context.stdout)}`);
  else
    writeDocument(
      context.stdout,
      formatDocument('Comparison', { ...result, groups: groups.map(flipGroupValue), sampled: isSampled }, options.output),
    );
  writeText(context.stderr, `${summary(result, isSampled ? options.seed : undefined)}\n`);
  return result.flips === 0 && notReached.length === 0 ? EXIT_OK : EXIT_FINDINGS;
}

async function prove(sets: SetPair, options: DiffOptions, context: CommandContext): Promise<number> {
  const proven: ProvenWorkload[] = [];
  const proofs = proveSets(sets, { ...options, nowSeconds: parseTime(options.at) }, context);
  for await (const one of proofs.results) {
    proven.push(one);
    if (options.output === 'table') writeText(context.stdout, formatProof(one));
  }
  const missing = proofs.count - proven.length;
  if (options.output !== 'table') {
    const stopped = missing === 0 ? {} : { stopped: { missing } };
    writeDocument(context.stdout, formatDocument('Proof', { workloads: proven.map(proofValue), ...stopped }, options.output));
  }
  writeText(context.stderr, `${proofSummary(proven)}${missing === 0 ? '' : `; stopped, ${missing} NOT DECIDED`}\n`);
  return exitCodeOf(proven, { failOn: options.failOn, missing });
}

function proofSummary(proven: readonly ProvenWorkload[]): string {
  const counts = [...Map.groupBy(proven, ({ verdict }) => verdict)].map(
    ([verdict, all]) => `${all.length} ${verdict === 'undecided' ? 'NOT DECIDED' : verdict}`,
  );
  return [plural(proven.length, 'workload'), ...(counts.length === 0 ? [] : [counts.join(', ')])].join(': ');
}

/** A difference that counts is reported before an answer that is missing. */
function exitCodeOf(
  proven: readonly ProvenWorkload[],
  { failOn, missing }: { readonly failOn: DiffOptions['failOn']; readonly missing: number },
): number {
  const counts = (direction: string): boolean => failOn === 'any' || direction === failOn;
  if (proven.some(({ differences }) => differences.some(({ direction }) => counts(direction)))) return EXIT_FINDINGS;
  const isDecided = missing === 0 && !proven.some(({ undecided }) => undecided.some(({ direction }) => counts(direction)));
  return isDecided ? EXIT_OK : EXIT_UNDECIDED;
}

/** Both sides see the same request: the port of the pod is the one before, or after where it is not known before. */
function targetPair(before: PolicySet, after: PolicySet, { workload, labels }: ComparedPod): TargetPair {
  const target = before.target(workload, labels);
  const set: Pick<PolicySet, 'servicePort' | 'ownPort'> = {
    servicePort: (...dialed) => before.servicePort(...dialed) ?? after.servicePort(...dialed),
    ownPort: (pod) => before.ownPort(pod) ?? after.ownPort(pod),
  };
  return {
    before: target,
    after: after.target(workload, labels),
    withPodPort: (read, spec) => withPodPort(read, spec, { set, target }).read,
  };
}

/** @param seed of generated requests; undefined: the requests are from a file */
function summary({ requests, flips, notReached, unknown }: ComparisonResult, seed: number | undefined): string {
  const apart =
    unknown === undefined ? '' : `, ${unknown.requests} not compared: the access log does not have ${unknown.inputs.join(', ')}`;
  const counts = `${plural(requests, 'request')}${seed === undefined ? '' : ` (seed ${seed})`}, ${plural(flips, 'flip')}${apart}`;
  if (seed === undefined) return counts;
  if (notReached.length > 0) return `${counts}; sampled, and ${plural(notReached.length, 'rule')} not reached: nothing is known about them`;
  return flips === 0 ? `${counts}; sampled: no request was found that is decided differently, which is not a proof` : counts;
}

async function readSides([a, b]: readonly [string, string | undefined], options: DiffOptions, context: CommandContext): Promise<SetPair> {
  const keySetOf = await readKeySets(options.jwks, context);
  if (options.live === true) {
    if (b !== undefined) throw new CommandError(EXIT_USAGE, '--live compares one directory or file with the cluster');
    const given = options.config === undefined ? undefined : (await readConfig(options.config, context)).mesh;
    const { readLiveSides } = await import('../live/live-sides.ts');
    const sides = await readLiveSides(a, options, { mesh: given, keySetOf, context });
    writeFindingLines(sides[1].findings, context.stderr);
    return sides;
  }
  if (namesCluster(options)) throw new CommandError(EXIT_USAGE, 'the options of a cluster, such as -n, need --live');
  if (b === undefined) throw new CommandError(EXIT_USAGE, "missing required argument 'b': give two sets of policies, or one with --live");
  const { mesh } = await readConfig(options.config, context);
  return [await readSide(a, { mesh, keySetOf, context }), await readSide(b, { mesh, keySetOf, context })];
}
