/*
 * `sallyport compile PATH...`: prints the bundle of each workload, as the controller would publish it, without a cluster.
 */

import type { Command } from 'commander';
import { isSameWorkload, parseWorkloadKey, type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { configOption } from '../input/common-options.ts';
import { type LocatedFinding, sortFindings } from '../input/located-finding.ts';
import { createOfflineClusterState, exitCodeOf, type OfflineClusterState } from '../input/offline-cluster-state.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { resolveWorkload } from '../input/workload-argument.ts';
import { writeFindingLines } from '../output/findings.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { formatTable } from '../output/table.ts';
import { writeDocument, writeMessage, writeText } from '../terminal/writers.ts';

interface CompileOptions {
  readonly config?: string;
  readonly workload?: string;
  readonly output: OutputFormat;
}

/** Printed as JSON with these member names. */
interface CompiledWorkload {
  /** `namespace/kind/name`. */
  readonly workload: string;
  readonly digest: string;
  /** `Kind namespace/name` of each policy that applies to at least one pod of the workload. */
  readonly policies: readonly string[];
  readonly bytes: number;
  readonly bundle: unknown;
}

const DIGEST_LENGTH = 'sha256:'.length + 12;

/** Adds `compile` to the program. */
export function addCompileCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('compile')
    .summary('print the bundle of each workload in files')
    .description(
      'Compiles the policies in files and directories for the workloads in them, and prints what the controller would publish. Keys behind URLs are not fetched.',
    )
    .argument('<path...>', 'files or directories of manifests; - for standard input')
    .addOption(configOption())
    .option('--workload <namespace/[kind/]name>', 'only this workload; JSON and YAML then have this object instead of a list')
    .addOption(outputOption())
    .action(async (paths: string[], options: CompileOptions) => {
      const { mesh } = await readConfig(options.config, context);
      const manifests = await readManifests(paths, context);
      const offline = createOfflineClusterState(manifests, mesh);
      const { compiled, findings } = compileWorkloads(offline, options.workload);
      printCompiled(compiled, options, context);
      const all = sortFindings([...offline.findings, ...findings]);
      writeFindingLines(all, context.stderr);
      finish(exitCodeOf(manifests, all, 'error'));
    });
}

function chosenFrom(all: readonly WorkloadRef[], wanted: string): readonly WorkloadRef[] {
  const chosen = resolveWorkload(wanted, all.map(workloadKey));
  return all.filter((workload) => isSameWorkload(workload, chosen));
}

/** @param wanted name of one workload; undefined: all @throws CommandError when it does not exist */
function compileWorkloads(
  offline: OfflineClusterState,
  wanted: string | undefined,
): { readonly compiled: readonly CompiledWorkload[]; readonly findings: readonly LocatedFinding[] } {
  const all = [...offline.clusterState.selection.workloads()].toSorted().map(parseWorkloadKey);
  const chosen = wanted === undefined ? all : chosenFrom(all, wanted);
  if (wanted !== undefined && chosen.length === 0) {
    const known = all.map(workloadKey).join(', ');
    throw new CommandError(EXIT_BAD_DATA, `no workload ${wanted}; known: ${known === '' ? 'none' : known}`);
  }
  const results = chosen.map((workload) => {
    const { encoded, selecting, findings } = offline.compile(workload);
    const { digest, json } = encoded;
    const policies = selecting.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    return {
      compiled: { workload: workloadKey(workload), digest, policies, bytes: Buffer.byteLength(json), bundle: JSON.parse(json) },
      findings,
    };
  });
  return {
    compiled: results.map((result) => result.compiled),
    findings: offline.reportCompiled(results.flatMap((result) => result.findings)),
  };
}

function printCompiled(compiled: readonly CompiledWorkload[], options: CompileOptions, { stdout, stderr }: CommandContext): void {
  if (options.output === 'table') {
    if (compiled.length === 0) writeMessage(stderr, 'no workloads in the input, so there is no bundle; add the manifests of the workloads');
    if (compiled.length === 0) return;
    const rows = compiled.map(({ workload, policies, bytes, digest }) => [
      workload,
      policies.join(', '),
      String(bytes),
      digest.slice(0, DIGEST_LENGTH),
    ]);
    writeText(stdout, formatTable(['WORKLOAD', 'POLICIES', 'BYTES', 'DIGEST'], rows, stdout));
    return;
  }
  const [only] = compiled;
  writeDocument(
    stdout,
    options.workload === undefined || only === undefined
      ? formatDocument('Bundles', { items: compiled }, options.output)
      : formatDocument('Bundle', only, options.output),
  );
}
