/*
 * Checks the policies of a cluster: the findings of `check` on files, and the selected workloads that have no agent.
 */
import { parsePolicyKey, parseWorkloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { CommandContext } from '../context/command-context.ts';
import { type CheckResult, checkManifests } from '../input/check-findings.ts';
import { type LocatedFinding, locateInFile } from '../input/located-finding.ts';
import { CLUSTER_NAME } from '../input/read-file.ts';
import type { ReadManifests } from '../input/read-manifests.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { readLiveManifests } from './live-manifests.ts';
import { withSession } from './session.ts';

/** The findings in the chosen namespace, or in all. */
export interface LiveCheck extends Pick<CheckResult, 'findings' | 'policies'> {
  readonly manifests: ReadManifests;
  readonly mesh: MeshConfig;
  /** What could not be read, and what that means. */
  readonly notes: readonly string[];
}

const MAX_NAMED = 5;

/** Reads the cluster and checks it. @param given mesh settings of `--config`; undefined: those of the controller */
export async function checkLive(options: ClusterOptions, given: MeshConfig | undefined, context: CommandContext): Promise<LiveCheck> {
  return withSession(options, context, async (session) => {
    const { manifests, mesh, unguarded, notes } = await readLiveManifests(session, given);
    const { findings, offline } = checkManifests(manifests, mesh);
    const { selection } = offline.clusterState;
    const bare = [...unguarded].flatMap((key) => noAgent(key, [...selection.policiesOf(key).keys()].map(policyName)));
    const isInScope = ({ object }: LocatedFinding): boolean =>
      session.scope === undefined || object.split(' ')[1]?.split('/')[0] === session.scope;
    const inScope = offline.policies.filter(({ object }) => session.scope === undefined || object.metadata.namespace === session.scope);
    return { manifests, mesh, notes, findings: [...findings, ...bare].filter(isInScope), policies: inScope.length };
  });
}

function policyName(key: string): string {
  const { kind, namespace, name } = parsePolicyKey(key);
  return `${kind} ${namespace}/${name}`;
}

function noAgent(key: string, policies: readonly string[]): readonly LocatedFinding[] {
  if (policies.length === 0) return [];
  const { namespace, kind, name } = parseWorkloadKey(key);
  const more = policies.length > MAX_NAMED ? ` and ${policies.length - MAX_NAMED} more` : '';
  const finding = {
    code: 'SP_NO_AGENT',
    severity: 'warning',
    path: '',
    message: `pods run without an agent, so nothing is enforced on them: ${policies.slice(0, MAX_NAMED).join(', ')}${more}`,
    hint: `label the namespace sallyport.dev/injection=enabled and restart the pods`,
  } as const;
  return [{ ...locateInFile(finding, { file: CLUSTER_NAME, line: 1 }), object: `${kind} ${namespace}/${name}` }];
}
