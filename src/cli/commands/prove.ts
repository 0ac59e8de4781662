/*
 * `sallyport prove PATH... --invariants FILE`: proves that invariants hold for every workload that they name, or shows a request for which
 * they do not.
 */
import { type Command, Option } from 'commander';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK, EXIT_UNDECIDED } from '../context/exit-codes.ts';
import { configOption, integerParser, parseTime, timeOption } from '../input/common-options.ts';
import { type Invariant, readInvariants } from '../input/invariants.ts';
import { readKeySets } from '../input/key-sets.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { writeFindingLines } from '../output/findings.ts';
import {
  type CheckedInvariant,
  formatInvariant,
  formatInvariantDocument,
  formatInvariantJunit,
  type InvariantFormat,
  invariantFindings,
} from '../output/invariants.ts';
import { plural } from '../output/plural.ts';
import { formatSarif } from '../output/sarif.ts';
import { outputOption } from '../output/structured.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';
import { rulesOfInvariant } from './invariant-rules.ts';
import type { InvariantTask } from './prove-invariants.ts';
import { runProofs } from './run-proofs.ts';
import { type FindSelectorPods, selectorPods } from './selector-pods.ts';

const MAX_SECONDS = 9_999_999;

interface ProveOptions {
  readonly invariants: string;
  readonly config?: string;
  readonly at?: string;
  readonly timeout: number;
  readonly output: InvariantFormat;
}

/** Adds `prove` to the program. */
export function addProveCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('prove')
    .summary('prove that invariants hold whatever is requested')
    .description(
      'Reads policies and workloads, and a file of invariants: what must never be let in, what must always be, which paths require a token, and who alone may call. Proves each invariant for every workload that it names, or shows a request for which it does not hold, confirmed by the filter chain of the agent. Exit code 0: all are proven; 79: some are violated; 80: none is violated, but some are not decided; 65: an invariant or a policy is invalid. See docs/tasks/prove-invariants-in-ci.md.',
    )
    .argument('<path...>', 'files or directories of manifests; - for standard input')
    .requiredOption('--invariants <file>', 'invariants in YAML')
    .addOption(configOption())
    .addOption(timeOption())
    .addOption(
      new Option('--timeout <seconds>', 'time for the proof of one invariant for one workload')
        .argParser(integerParser(1, MAX_SECONDS))
        .default(30, '30'),
    )
    .addOption(outputOption('junit', 'sarif'))
    .action(async (paths: string[], options: ProveOptions) => finish(await prove(paths, options, context)));
}

async function prove(paths: readonly string[], options: ProveOptions, context: CommandContext): Promise<number> {
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context);
  const set = policySetOf(manifests, mesh, await readKeySets([], context));
  const { invariants, findings } = await readInvariants(options.invariants, context);
  const findPods = selectorPods([set]);
  const tasks = invariants.map((invariant) => ({ invariant, pods: podsOf(invariant, set, findPods) }));
  const idle = tasks.filter(({ pods }) => pods.length === 0).map(({ invariant }) => selectsNothing(invariant));
  writeFindingLines([...set.findings, ...findings, ...idle], context.stderr);
  if (!manifests.isComplete || [...set.findings, ...findings, ...idle].some(({ severity }) => severity === 'error'))
    throw new CommandError(EXIT_BAD_DATA, 'the input has errors, so nothing is proven');
  if (set.workloads.length === 0)
    writeMessage(context.stderr, 'no workloads in the input; proven for pods with the labels of the invariants and of the policies');
  const work = tasks.flatMap(({ invariant, pods }) => pods.map((pod) => taskOf(invariant, pod, set, mesh)));
  writeFindingLines(set.compiledFindings(), context.stderr);
  const checked = await runTasks(work, { ...options, nowSeconds: parseTime(options.at) }, { set, context });
  const missing = work.length - checked.length;
  writeAll(checked, options.output, { set, context, missing });
  writeText(context.stderr, `${summaryOf(checked)}${missing === 0 ? '' : `; stopped, ${missing} NOT DECIDED`}\n`);
  return exitCodeOf(checked, missing);
}

interface Output {
  readonly set: PolicySet;
  readonly context: CommandContext;
}

/** The answers so far when the command is stopped. */
async function runTasks(
  tasks: readonly InvariantTask[],
  { timeout, nowSeconds, output }: ProveOptions & { readonly nowSeconds: number },
  { set, context }: Output,
): Promise<readonly CheckedInvariant[]> {
  const checked: CheckedInvariant[] = [];
  const job = { kind: 'invariants', tasks, options: { timeoutMs: timeout * 1000, nowSeconds } } as const;
  for await (const one of runProofs(job, context)) {
    checked.push(one);
    if (output === 'table') writeText(context.stdout, formatInvariant(one, set.locate, context.stdout));
  }
  return checked;
}

/** A table is written while it is computed. */
function writeAll(
  checked: readonly CheckedInvariant[],
  format: InvariantFormat,
  { set, context, missing }: Output & { readonly missing: number },
): void {
  switch (format) {
    case 'table':
      return;
    case 'junit':
      writeDocument(context.stdout, formatInvariantJunit(checked, set.locate));
      return;
    case 'sarif':
      writeDocument(context.stdout, formatSarif(invariantFindings(checked, set.locate)));
      return;
    default:
      writeDocument(context.stdout, formatInvariantDocument(checked, { locate: set.locate, missing }, format));
  }
}

/** A workload that an invariant is about. */
interface Pod {
  readonly workload: string;
  /** Absent: the pods of the workload do not differ. */
  readonly labels?: Labels;
}

/** The pods that an invariant names: those of the input, and those that policies select and the input does not have. */
function podsOf({ namespaces, labels }: Invariant, set: PolicySet, findPods: FindSelectorPods): readonly Pod[] {
  const isWanted = (namespace: string): boolean => namespaces === undefined || namespaces.some((pattern) => matches(pattern, namespace));
  // A namespace without anything in it is a mistake where there are workloads.
  const exact = set.workloads.length === 0 ? (namespaces ?? []).filter((name) => !name.includes('*')) : [];
  const named = set.workloads.filter((workload) => isWanted(parseWorkloadKey(workload).namespace));
  const pods = named.flatMap((workload): readonly Pod[] => {
    const all = set.labelSets(workload);
    const selected = all.filter((own) => Object.entries(labels).every(([key, value]) => own[key] === value));
    return all.length === 1 && selected.length === 1 ? [{ workload }] : selected.map((own) => ({ workload, labels: own }));
  });
  return [...pods, ...findPods({ start: labels, withoutPolicies: true, namespaces: exact, isWanted })];
}

function matches(pattern: string, namespace: string): boolean {
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return namespace.startsWith(pattern.slice(0, -1));
  return pattern.startsWith('*') ? namespace.endsWith(pattern.slice(1)) : namespace === pattern;
}

function selectsNothing({ file, line, name }: Invariant): LocatedFinding {
  const message = `the invariant "${name}" names none of the workloads in the input`;
  return { file, line, column: 1, severity: 'error', code: 'SP_SELECTS_NOTHING', object: '', path: 'workloads', message };
}

function taskOf(invariant: Invariant, { workload, labels }: Pod, set: PolicySet, mesh: MeshConfig): InvariantTask {
  const { name, kind, file, line } = invariant;
  const { program } = set.target(workload, labels);
  const rules = rulesOfInvariant(invariant, parseWorkloadKey(workload).namespace, mesh);
  return { name, kind, file, line, workload, ...(labels === undefined ? {} : { labels }), program, rules };
}

function summaryOf(checked: readonly CheckedInvariant[]): string {
  const counts = [...Map.groupBy(checked, ({ answer }) => answer)].map(
    ([answer, all]) => `${all.length} ${answer === 'undecided' ? 'NOT DECIDED' : answer}`,
  );
  return [plural(checked.length, 'answer'), ...(counts.length === 0 ? [] : [counts.join(', ')])].join(': ');
}

function exitCodeOf(checked: readonly CheckedInvariant[], missing: number): number {
  if (checked.some(({ answer }) => answer === 'violated')) return EXIT_FINDINGS;
  return missing > 0 || checked.some(({ answer }) => answer === 'undecided') ? EXIT_UNDECIDED : EXIT_OK;
}
