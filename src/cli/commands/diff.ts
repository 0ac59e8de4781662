/*
 * `sallyport diff A B`: proves which requests one set of policies lets in and the other refuses, or compares the decisions on requests
 * from a file or on generated ones.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK, EXIT_UNDECIDED, EXIT_USAGE } from '../context/exit-codes.ts';
import { isBundleJson, policySetOfBundle } from '../input/bundle-policy-set.ts';
import { configOption, integerParser, jwksOption, parseTime, timeOption } from '../input/common-options.ts';
import { type KeySetOf, readKeySets } from '../input/key-sets.ts';
import { withPodPort } from '../input/pod-port.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { requireInput } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { resolveWorkload } from '../input/workload-argument.ts';
import { writeFindingLines } from '../output/findings.ts';
import { flipGroupValue, formatFlips, formatNotReached } from '../output/flips.ts';
import { plural } from '../output/plural.ts';
import { formatProof, type ProvenWorkload, proofValue } from '../output/proof.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';
import { type ComparisonResult, compareDecisions, type TargetPair } from './compare-decisions.ts';
import type { ProvenPair } from './prove-diff.ts';

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
  readonly failOn: 'any' | 'widened';
  readonly timeout: number;
  readonly output: OutputFormat;
}

/** Adds `diff` to the program. */
export function addDiffCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('diff')
    .summary('prove which requests a change of policies lets in or refuses')
    .description(
      'Proves for every workload that the second set of policies lets in exactly the requests that the first one lets in (same), or finds a request that it lets in and the first refuses (widened), or the reverse (narrowed), or one of each (both). Every such request is confirmed by the filter chain of the agent. Exit code 0: same; 79: some request differs (with --fail-on widened: some request is let in that was refused); 80: not decided, because of the time limit or of policies that the analysis cannot decide. With --requests or --generate it evaluates the same requests under both sets instead and counts the verdicts that differ (flips), grouped by the two rules that decided, with an example of each. Requests come from a file (an HTTP archive, an access log of agents, or one JSON object per line) or are generated from the values in both sets. Generated requests are a sample: a token that the policies accept and a value inside and just outside every clause, rules that differ first; rules that none of them reached are listed. Exit code 0: no decision differs, and every rule was reached; 79: some decisions differ, or some rules were not reached.',
    )
    .argument('<a>', 'before: a directory or file of manifests, or a bundle in JSON')
    .argument('<b>', 'after: likewise')
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
    .action(async (a: string, b: string, options: DiffOptions) => finish(await diff([a, b], options, context)));
}

async function diff([a, b]: readonly [string, string], options: DiffOptions, context: CommandContext): Promise<number> {
  if (options.requests !== undefined && options.generate !== undefined) {
    throw new CommandError(EXIT_USAGE, 'give requests in one form: as --requests or as --generate');
  }
  const { mesh } = await readConfig(options.config, context);
  const keySetOf = await readKeySets(options.jwks, context);
  const [before, after] = [await readSide(a, { mesh, keySetOf, context }), await readSide(b, { mesh, keySetOf, context })];
  if (options.requests === undefined && options.generate === undefined) return prove([before, after], options, context);
  const sides = comparedPods(before, after, options.workload, context).map((pod) => targetPair(before, after, pod));
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

async function prove([before, after]: readonly [PolicySet, PolicySet], options: DiffOptions, context: CommandContext): Promise<number> {
  const refused = [...before.findings, ...after.findings].find(({ severity }) => severity === 'error');
  if (refused !== undefined) {
    throw new CommandError(EXIT_BAD_DATA, `${refused.file}:${refused.line}: admission refuses this policy, so nothing is proven`);
  }
  const pairs = provenPods(before, after, options.workload, context).map(
    ({ onlyIn, ...pod }): ProvenPair => ({ ...targetPair(before, after, pod), ...pod, ...(onlyIn === undefined ? {} : { onlyIn }) }),
  );
  writeFindingLines([...before.compiledFindings(), ...after.compiledFindings()], context.stderr);
  const { proveDifferences } = await import('./prove-diff.ts');
  const proven: ProvenWorkload[] = [];
  const proofs = proveDifferences(pairs, { timeoutMs: options.timeout * 1000, nowSeconds: parseTime(options.at) });
  for await (const one of proofs) {
    proven.push(one);
    if (options.output === 'table') writeText(context.stdout, formatProof(one));
  }
  if (options.output !== 'table') {
    writeDocument(context.stdout, formatDocument('Proof', { workloads: proven.map(proofValue) }, options.output));
  }
  writeText(context.stderr, `${proofSummary(proven)}\n`);
  return exitCodeOf(proven, options.failOn);
}

function proofSummary(proven: readonly ProvenWorkload[]): string {
  const counts = [...Map.groupBy(proven, ({ verdict }) => verdict)].map(
    ([verdict, all]) => `${all.length} ${verdict === 'undecided' ? 'NOT DECIDED' : verdict}`,
  );
  return `${plural(proven.length, 'workload')}: ${counts.join(', ')}`;
}

/** A difference that counts is reported before an answer that is missing. */
function exitCodeOf(proven: readonly ProvenWorkload[], failOn: DiffOptions['failOn']): number {
  const counts = (direction: string): boolean => failOn === 'any' || direction === failOn;
  if (proven.some(({ differences }) => differences.some(({ direction }) => counts(direction)))) return EXIT_FINDINGS;
  return proven.some(({ undecided }) => undecided.some(({ direction }) => counts(direction))) ? EXIT_UNDECIDED : EXIT_OK;
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
    if (isBundleJson(text, path)) return policySetOfBundle(text, path, keySetOf);
  }
  const manifests = await readManifests([path], context);
  const set = policySetOf(manifests, mesh, keySetOf);
  writeFindingLines(set.findings, context.stderr);
  if (!manifests.isComplete) throw new CommandError(EXIT_BAD_DATA, `${path}: not every file could be read, so nothing is compared`);
  return set;
}

/** A pod whose policies are compared. */
interface ComparedPod {
  readonly workload: string;
  /** Absent: as in its manifest. */
  readonly labels?: Labels;
}

/** A pod for a proof. */
interface ProvenPod extends ComparedPod {
  /** The set that has its workload; absent: both. */
  readonly onlyIn?: 'before' | 'after';
}

/** Every workload of both sets, with each set of labels that its pods have. A set without the workload applies its policies to them alike. */
function provenPods(before: PolicySet, after: PolicySet, wanted: string | undefined, { stderr }: CommandContext): readonly ProvenPod[] {
  const workloads = [...new Set([...before.workloads, ...after.workloads])].toSorted();
  if (workloads.length === 0) return wanted === undefined ? selectedPods([before, after], stderr) : [{ workload: wanted }];
  const named = wanted === undefined ? workloads : [workloadKey(resolveWorkload(wanted, workloads))];
  return named.flatMap((workload): readonly ProvenPod[] => {
    const [isBefore, isAfter] = [before.workloads.includes(workload), after.workloads.includes(workload)];
    if (isBefore && isAfter) return sharedPods(workload, before.labelSets(workload), after.labelSets(workload));
    if ((isBefore ? after : before).policies === undefined) {
      writeMessage(stderr, `${workload} is not the workload of the bundle and is not compared`);
      return [];
    }
    const onlyIn = isBefore ? 'before' : 'after';
    return (isBefore ? before : after).labelSets(workload).map((labels) => ({ workload, labels, onlyIn }));
  });
}

function comparedPods(before: PolicySet, after: PolicySet, wanted: string | undefined, { stderr }: CommandContext): readonly ComparedPod[] {
  if (wanted !== undefined) return [{ workload: wanted }];
  if (before.workloads.length + after.workloads.length === 0) return selectedPods([before, after], stderr);
  const shared = before.workloads.filter((workload) => after.workloads.includes(workload));
  const unshared = [...before.workloads, ...after.workloads].filter((workload) => !shared.includes(workload));
  for (const workload of unshared) writeMessage(stderr, `${workload} is in one set only and is not compared`);
  if (shared.length === 0) throw new CommandError(EXIT_BAD_DATA, 'the two sets have no workload in common');
  return shared.map((workload) => ({ workload }));
}

/** A workload whose pods do not differ has the labels of each set; otherwise each set of labels is compared by itself. */
function sharedPods(workload: string, before: readonly Labels[], after: readonly Labels[]): readonly ProvenPod[] {
  if (before.length === 1 && after.length === 1) return [{ workload }];
  const distinct = new Map([...before, ...after].map((labels) => [JSON.stringify(Object.entries(labels).toSorted()), labels]));
  return [...distinct.values()].map((labels) => ({ workload, labels }));
}

/** Without any workload, a pod for each selector of the policies, and one for policies without a selector. */
function selectedPods(sides: readonly PolicySet[], stderr: CommandContext['stderr']): readonly ComparedPod[] {
  const pods = new Map<string, ComparedPod>();
  for (const { metadata, spec } of sides.flatMap(({ policies }) => policies ?? [])) {
    const labels = spec.selector?.matchLabels ?? {};
    const pairs = Object.entries(labels)
      .toSorted()
      .map(([key, value]) => `${key}=${value}`);
    // A slash separates namespace and name.
    const name = pairs.length === 0 ? 'any-pod' : pairs.join(',').replaceAll('/', '.');
    const workload = `${metadata.namespace}/${name}`;
    pods.set(workload, { workload, labels });
  }
  if (pods.size === 0) throw new CommandError(EXIT_BAD_DATA, 'the two sets have neither workloads nor policies, so nothing is compared');
  writeMessage(
    stderr,
    `no workloads in the input; compared for pods with the labels that the policies select: ${[...pods.keys()].join(', ')}`,
  );
  return [...pods.values()];
}
