/*
 * `sallyport check PATH...`: reports everything that is wrong with policies in files, without a cluster.
 */
import { type Command, Option } from 'commander';
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, workloadKey } from '../../api/kube/keys.ts';
import { workloadNameOfOwner } from '../../api/kube/workload.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import { findObjectProblems } from '../../inject/inject-manifest.ts';
import { lintPolicies } from '../../lint/lint-policies.ts';
import { findUnservedPorts } from '../../lint/unserved-ports.ts';
import { isGatewayTarget } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { CommandContext, CommandHost } from '../context/command-context.ts';
import { configOption } from '../input/common-options.ts';
import { type LocatedFinding, locateInObject, sortFindings } from '../input/located-finding.ts';
import {
  compileAlone,
  createOfflineClusterState,
  exitCodeOf,
  type FailOn,
  type OfflineClusterState,
} from '../input/offline-cluster-state.ts';
import { readConfig } from '../input/read-config.ts';
import { type ReadManifests, readManifests } from '../input/read-manifests.ts';
import { podPortOf, type ServicePort } from '../input/service-ports.ts';
import { formatFindingCount, formatFindingTable } from '../output/findings.ts';
import { plural } from '../output/plural.ts';
import { createProgress } from '../output/progress.ts';
import { formatSarif } from '../output/sarif.ts';
import { formatStructured, type OutputFormat, outputOption } from '../output/structured.ts';

interface CheckOptions {
  readonly config?: string;
  readonly failOn: FailOn;
  readonly output: OutputFormat | 'sarif';
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
    .addOption(outputOption('sarif'))
    .action(async (paths: string[], options: CheckOptions) => finish(await check(paths, options, context)));
}

async function check(paths: readonly string[], options: CheckOptions, context: CommandContext): Promise<number> {
  const progress = createProgress(context.stderr);
  const { mesh } = await readConfig(options.config, context);
  const manifests = await readManifests(paths, context, (file, done) => progress.show(`${plural(done, 'file')} read, now ${file}`));
  const offline = createOfflineClusterState(manifests, mesh);
  const findings = sortFindings([
    ...offline.findings,
    ...compiledFindings(offline, mesh, progress.show),
    ...lintFindings(offline, mesh),
    ...portFindings(offline, manifests.objects),
    ...workloadFindings(offline, manifests),
  ]);
  progress.clear();
  if (options.output === 'table') {
    context.stdout.write(formatFindingTable(findings, context.stdout));
    const count = formatFindingCount(findings, context.stderr);
    context.stderr.write(`${plural(manifests.textByFile.size, 'file')}, policies: ${offline.policies.length}, ${count}\n`);
  } else {
    context.stdout.write(options.output === 'sarif' ? formatSarif(findings) : formatStructured({ findings }, options.output));
  }
  return exitCodeOf(manifests, findings, options.failOn);
}

/** Findings of compiling each workload, and each policy that selects none. Keys behind URLs are not fetched, so they are not missed. */
function compiledFindings(offline: OfflineClusterState, mesh: MeshConfig, onWorkload: (text: string) => void): readonly LocatedFinding[] {
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
    // Without any workload of the namespace, it is unknown what a policy selects.
    if (selection.workloads(scope).size > 0 && !hasIdleTargetsOnly(policy)) compiled.push(selectsNothing(policy));
  }
  return offline.reportCompiled(compiled.filter((finding) => finding.code !== 'SP_JWKS_UNAVAILABLE'));
}

/** Lint reports the reason for each such target. */
function hasIdleTargetsOnly({ spec: { targetRefs = [] } }: Policy): boolean {
  return targetRefs.length > 0 && !targetRefs.some(isGatewayTarget);
}

/** Likely mistakes in policies that are valid. */
function lintFindings(offline: OfflineClusterState, mesh: MeshConfig): readonly LocatedFinding[] {
  const policies = [...offline.clusterState.policies.values()].flatMap(({ active }) => active ?? []);
  return offline.reportCompiled(
    lintPolicies(policies, mesh).flatMap(({ policy: { kind, metadata }, findings }) =>
      findings.map((finding) => ({ ...finding, policy: { kind, namespace: metadata.namespace, name: metadata.name } })),
    ),
  );
}

/** What injection would report about workloads; that there can be no agent only where a policy selects the workload. */
function workloadFindings({ clusterState }: OfflineClusterState, { objects, locate }: ReadManifests): readonly LocatedFinding[] {
  const { selection } = clusterState;
  const all = objects.map(({ object }) => object);
  return objects.flatMap((item) => {
    const { kind, metadata } = item.object;
    const key = workloadKey({ namespace: metadata.namespace ?? 'default', name: workloadNameOfOwner(kind, metadata.name) });
    const isSelected = selection.policiesOf(key).size > 0;
    return findObjectProblems(item.object, all)
      .filter(({ code }) => code !== 'SP_NO_AGENT' || isSelected)
      .map((finding) => locateInObject(finding, item, locate));
  });
}

/** Rules that name a port that none of the selected pods serves. */
function portFindings(
  { clusterState, reportCompiled }: OfflineClusterState,
  objects: readonly ManifestObject[],
): readonly LocatedFinding[] {
  const { selection, policies } = clusterState;
  const found = [...policies.values()].flatMap(({ key, active: policy }): CompileResult['findings'] => {
    if (policy === undefined) return [];
    const { kind, metadata } = policy;
    const behindService = (port: number): ServicePort | undefined =>
      [...selection.workloadsOf(key)]
        .flatMap((workload) => selection.labelSetsOf(workload).map((labels) => ({ ...parseWorkloadKey(workload), labels })))
        .map(({ namespace, labels }) => podPortOf(objects, { namespace, labels, host: '', port }))
        .find((target) => target !== undefined);
    return findUnservedPorts(policy, { served: () => selection.portsFor(policy), behindService }).map((finding) => ({
      ...finding,
      policy: { kind, namespace: metadata.namespace, name: metadata.name },
    }));
  });
  return reportCompiled(found);
}

function selectsNothing({ kind, metadata: { namespace, name }, spec }: Policy): CompileResult['findings'][number] {
  return {
    policy: { kind, namespace, name },
    code: 'SP_SELECTS_NOTHING',
    severity: 'warning',
    path: spec.targetRefs === undefined ? 'spec.selector' : 'spec.targetRefs',
    message: 'selects none of the workloads in the input',
  };
}
