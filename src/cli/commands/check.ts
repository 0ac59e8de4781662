/*
 * `sallyport check PATH...`: everything that can be said about policies without a cluster. In: files and folders. Out:
 * findings as a table, JSON, YAML or SARIF, and an exit code for pipelines.
 */

import { type Command, Option } from 'commander';
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import { lintPolicies } from '../../lint/lint-policies.ts';
import { isGatewayTarget } from '../../resolve/policy-applies.ts';
import type { CommandHost } from '../command-context.ts';
import {
  compileAlone,
  createOfflineClusterState,
  exitCodeOf,
  type FailOn,
  type OfflineClusterState,
} from '../input/offline-cluster-state.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { formatFindingCount, formatFindingTable, plural, type ReportedFinding, sortReports } from '../output/findings.ts';
import { createProgress } from '../output/progress.ts';
import { formatSarif } from '../output/sarif.ts';
import { formatStructured, type OutputFormat } from '../output/structured.ts';

interface CheckOptions {
  readonly config?: string;
  readonly failOn: FailOn;
  readonly output: OutputFormat | 'sarif';
}

export function addCheckCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('check')
    .summary('say what is wrong with policies in files')
    .description(
      'Reads the policies in files and folders, checks them as the API server and the admission webhook would, compiles them for the workloads beside them, and tells what it finds. Nothing is fetched and no cluster is asked.',
    )
    .argument('<path...>', 'files or folders of manifests; - for standard input')
    .option('--config <file>', 'configuration of the controller: root namespace, extension providers, path normalization')
    .addOption(
      new Option('--fail-on <severity>', 'lowest severity that makes the exit code 79').choices(['error', 'warning']).default('error'),
    )
    .addOption(new Option('-o, --output <format>', 'form of the output').choices(['table', 'json', 'yaml', 'sarif']).default('table'))
    .action(async (paths: string[], options: CheckOptions) => {
      const progress = createProgress(context.stderr);
      const { mesh } = await readConfig(options.config, context);
      const manifests = await readManifests(paths, context, (file, done) => progress.show(`${plural(done, 'file')} read, now ${file}`));
      const offline = createOfflineClusterState(manifests, mesh);
      const findings = sortReports([
        ...offline.findings,
        ...compiledFindings(offline, mesh, progress.show),
        ...lintFindings(offline, mesh),
      ]);
      progress.clear();
      if (options.output === 'table') {
        context.stdout.write(formatFindingTable(findings, context.stdout));
        const count = formatFindingCount(findings, context.stderr);
        context.stderr.write(`${plural(manifests.textByFile.size, 'file')}, policies: ${offline.policies.length}, ${count}\n`);
      } else {
        context.stdout.write(options.output === 'sarif' ? formatSarif(findings) : formatStructured({ findings }, options.output));
      }
      finish(exitCodeOf(manifests, findings, options.failOn));
    });
}

/** What compiling finds, for each workload and for each policy that selects none. Keys behind URLs are left out: nothing is fetched. */
function compiledFindings(offline: OfflineClusterState, mesh: MeshConfig, onWorkload: (text: string) => void): readonly ReportedFinding[] {
  const { clusterState } = offline;
  const { selection } = clusterState;
  const compiled = [...selection.workloads()].flatMap((workload) => {
    onWorkload(`compiling ${workload}`);
    return offline.compile(parseWorkloadKey(workload)).findings;
  });
  for (const { key, active: policy } of clusterState.policies.values()) {
    if (policy === undefined) continue;
    const scope = policy.metadata.namespace === mesh.rootNamespace ? undefined : policy.metadata.namespace;
    if (selection.workloadsOf(key).size > 0) continue;
    compiled.push(...compileAlone(policy, offline, mesh).findings);
    // With no workload of the namespace at hand nothing is known of what a policy selects.
    if (selection.workloads(scope).size > 0 && !hasIdleTargetsOnly(policy)) compiled.push(selectsNothing(policy));
  }
  return offline.reportCompiled(compiled.filter((finding) => finding.code !== 'SP_JWKS_UNAVAILABLE'));
}

/** Lint says of each target why. */
function hasIdleTargetsOnly({ spec: { targetRefs = [] } }: Policy): boolean {
  return targetRefs.length > 0 && !targetRefs.some(isGatewayTarget);
}

/** Traps in policies that are valid. */
function lintFindings(offline: OfflineClusterState, mesh: MeshConfig): readonly ReportedFinding[] {
  const policies = [...offline.clusterState.policies.values()].flatMap(({ active }) => active ?? []);
  return offline.reportCompiled(
    lintPolicies(policies, mesh).flatMap(({ policy: { kind, metadata }, findings }) =>
      findings.map((finding) => ({ ...finding, policy: { kind, namespace: metadata.namespace, name: metadata.name } })),
    ),
  );
}

function selectsNothing({ kind, metadata: { namespace, name }, spec }: Policy): CompileResult['findings'][number] {
  return {
    policy: { kind, namespace, name },
    code: 'SP_SELECTS_NOTHING',
    severity: 'warning',
    path: spec.targetRefs === undefined ? 'spec.selector' : 'spec.targetRefs',
    message: 'selects none of the workloads that were read',
  };
}
