/*
 * The facts that the status of one policy reports, read from the cluster state, the workload ledger and the key cache.
 */
import { isDenyingVersion } from '../api/istio/denying-version.ts';
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, parseWorkloadKey, type WorkloadKey } from '../api/kube/keys.ts';
import { INJECTION_LABEL } from '../api/kube/names.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import { findPeerIdentityFields } from '../lint/peer-identity.ts';
import { findSecrets } from '../lint/secrets.ts';
import { findUnservedPorts } from '../lint/unserved-ports.ts';
import { dryRunOf } from '../policy/lower/dry-run.ts';
import { findUnknownProvider } from '../policy/lower/unknown-provider.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import { agentFacts } from './agent-facts.ts';
import type { AgentReportsView } from './agent-reports.ts';
import type { KeyProblem, PolicyFacts } from './conditions.ts';
import { isUnverified, type LedgerView, type WorkloadRecord } from './workload-ledger.ts';

/** Where facts are read from. */
export interface FactSources {
  readonly clusterState: ClusterState;
  readonly ledger: LedgerView;
  readonly jwksCache: Pick<JwksCache, 'stateOf'>;
  /** The current mesh settings. */
  readonly mesh: () => MeshConfig;
  /** What agents say; absent: there is no feed. */
  readonly agents?: AgentReportsView;
  /** Why nothing can be signed; undefined: it can. Absent: the same. */
  readonly signing?: () => string | undefined;
}

/** The facts about a policy of which no version is active. */
export const NO_FACTS: PolicyFacts = {
  published: [],
  waiting: [],
  starting: [],
  refused: [],
  tampered: [],
  withoutAgent: [],
  altered: [],
  bypassed: [],
  uncaptured: [],
  notInjectable: [],
  notEnabled: [],
  isMeshWide: false,
  isDryRun: false,
  keys: [],
  findings: [],
};

/**
 * The facts about a policy; costs in proportion to the workloads that it selects.
 *
 * @returns undefined while the present leader has not verified the bundle of every selected workload: the status that an
 * earlier leader wrote then stays
 */
export function policyFacts(entry: PolicyEntry, sources: FactSources): PolicyFacts | undefined {
  const policy = entry.active;
  if (policy === undefined) return { ...NO_FACTS, ...agentsOf(entry, [], sources) };
  const { ledger, jwksCache } = sources;
  const { selection } = sources.clusterState;
  const published: string[] = [];
  const waiting: string[] = [];
  const starting: string[] = [];
  const refused: { readonly workload: string; readonly message: string }[] = [];
  const tampered: string[] = [];
  const findings: Finding[] = [];
  const selected = [...selection.workloadsOf(entry.key)].sort();
  for (const key of selected) {
    const record = ledger.get(key);
    if (isUnverified(record)) return undefined;
    // A replacement has nothing that its author could correct.
    if (!isDenyingVersion(policy)) findings.push(...(record?.desired?.findings.get(entry.key) ?? []));
    tampered.push(...tamperingOf(record));
    if (record?.refusal !== undefined) refused.push({ workload: key, message: record.refusal.message });
    else if (record?.policies.get(entry.key) === (policy.metadata.generation ?? 0)) published.push(key);
    else {
      waiting.push(key);
      if (record?.published === undefined) starting.push(key);
    }
  }
  const mesh = sources.mesh();
  const provider = providerProblem(policy, findings, mesh);
  const secrets = findSecrets(policy, mesh);
  const withheld = withheldBy(policy, secrets, mesh);
  return {
    ...NO_FACTS,
    published,
    waiting,
    starting,
    refused,
    tampered,
    ...signingProblem(sources),
    ...agentsOf(entry, selected, sources),
    ...unprotected(entry, sources.clusterState),
    ...bypassed(selected, sources.clusterState),
    isMeshWide: policy.metadata.namespace === mesh.rootNamespace,
    isDryRun: policy.kind === 'AuthorizationPolicy' && dryRunOf(policy.metadata) === true,
    ...(provider === undefined ? {} : { provider }),
    ...(withheld === undefined ? {} : { withheld }),
    keys: keyProblems(policy, jwksCache),
    findings: [
      // Missing keys are reported with the state of their source.
      ...findings.filter(({ code }) => code !== 'SP_JWKS_UNAVAILABLE' && code !== 'SP_SECRET'),
      ...secrets,
      ...peerFindings(policy, mesh),
      ...findUnservedPorts(policy, { served: () => selection.portsFor(policy) }),
    ],
  };
}

function agentsOf(
  entry: PolicyEntry,
  selected: readonly WorkloadKey[],
  { agents, ledger, clusterState }: FactSources,
): Pick<PolicyFacts, 'agents'> {
  return agents === undefined ? {} : { agents: agentFacts(entry, selected, { agents, ledger, pods: clusterState.pods }) };
}

function tamperingOf(record: WorkloadRecord | undefined): readonly string[] {
  const tampered = record?.published?.tampered;
  return tampered === undefined ? [] : [tampered];
}

function signingProblem({ signing }: FactSources): Pick<PolicyFacts, 'signing'> {
  const problem = signing?.();
  return problem === undefined ? {} : { signing: problem };
}

function peerFindings(policy: Policy, mesh: MeshConfig): readonly Finding[] {
  return policy.kind === 'AuthorizationPolicy' ? findPeerIdentityFields(policy, mesh) : [];
}

/** Without a selected workload nothing is compiled, so the provider is looked up here, too. */
function providerProblem(policy: Policy, compiled: readonly Finding[], mesh: MeshConfig): PolicyFacts['provider'] {
  const unknown = findUnknownProvider(policy, mesh);
  if (unknown !== undefined) return { reason: 'ProviderUnknown', message: unknown.message };
  const conflict = compiled.find((finding) => finding.code === 'SP_PROVIDER');
  if (conflict !== undefined) return { reason: 'ProviderConflict', message: conflict.message };
  return undefined;
}

/** What is not published because of `secrets`. It depends on the policy alone: pods of one namespace must not change whether it is ready. */
function withheldBy(policy: Policy, secrets: readonly Finding[], { rootNamespace }: MeshConfig): PolicyFacts['withheld'] {
  const { metadata, spec } = policy;
  const isMeshWide = metadata.namespace === rootNamespace;
  const selectsAll = spec.selector === undefined && (spec.targetRefs ?? []).length === 0;
  const [secret] = secrets;
  if (secret === undefined || (isMeshWide ? !selectsAll : policy.kind === 'RequestAuthentication')) return undefined;
  return { reason: policy.kind === 'RequestAuthentication' ? 'KeysWithheld' : 'ProviderWithheld', message: secret.message };
}

type Unprotected = Pick<PolicyFacts, 'withoutAgent' | 'altered' | 'notInjectable' | 'notEnabled'>;

/** Sorts the selected workloads with a pod without an agent by what is missing. */
function unprotected(entry: PolicyEntry, { selection, namespaces }: ClusterState): Unprotected {
  const withoutAgent: WorkloadKey[] = [];
  const altered: { readonly workload: string; readonly message: string }[] = [];
  const notInjectable: WorkloadKey[] = [];
  const notEnabled = new Map<string, WorkloadKey[]>();
  for (const key of [...selection.workloadsWithoutAgentOf(entry.key)].sort()) {
    const { namespace } = parseWorkloadKey(key);
    const bare = selection.traitsOf(key).filter((traits) => !traits.hasAgent);
    const fault = bare.find((traits) => traits.fault !== undefined)?.fault;
    if (fault !== undefined) altered.push({ workload: key, message: fault });
    else if (bare.every(({ obstacle }) => obstacle !== undefined)) notInjectable.push(key);
    else if (namespaces.get(objectKey('', namespace))?.labels[INJECTION_LABEL] === 'enabled') withoutAgent.push(key);
    else notEnabled.set(namespace, [...(notEnabled.get(namespace) ?? []), key]);
  }
  return {
    withoutAgent,
    altered,
    notInjectable,
    notEnabled: [...notEnabled].map(([namespace, workloads]) => ({ namespace, workloads })),
  };
}

/** The selected workloads whose agents ports or containers of the same pod bypass. */
function bypassed(selected: readonly WorkloadKey[], { selection }: ClusterState): Pick<PolicyFacts, 'bypassed' | 'uncaptured'> {
  const found: { readonly workload: string; readonly message: string }[] = [];
  const uncaptured: WorkloadKey[] = [];
  for (const key of selected) {
    const guarded = selection.traitsOf(key).filter((traits) => traits.hasAgent);
    const ports = [...new Set(guarded.flatMap(({ excluded }) => excluded))].sort((one, other) => one - other);
    const privileges = [...new Set(guarded.flatMap((traits) => traits.privileges))].sort();
    const only = guarded.find(({ opensOthers }) => opensOthers)?.ports;
    if (ports.length + privileges.length === 0 && only === undefined) continue;
    const excluded = ports.length === 0 ? [] : [`excluded ports ${ports.join(', ')}`];
    const others = only === undefined ? [] : [`every port but ${only.join(', ')}`];
    const message = [...excluded, ...others, ...privileges].join(', ');
    found.push({ workload: key, message });
    if (guarded.every(({ ports: captured, excluded }) => captured?.length === 0 && excluded.length > 0)) uncaptured.push(key);
  }
  return { bypassed: found, uncaptured };
}

/** What is wrong with the keys of the JWT rules of a policy. */
export function keyProblems(policy: Policy, jwksCache: FactSources['jwksCache']): readonly KeyProblem[] {
  if (policy.kind !== 'RequestAuthentication') return [];
  return (policy.spec.jwtRules ?? []).flatMap((rule, index): readonly KeyProblem[] => {
    const state = jwksCache.stateOf(rule, policy.metadata.namespace);
    switch (state.kind) {
      case 'stale':
      case 'unavailable':
        return [{ kind: state.kind, rule: index, reason: state.reason }];
      case 'pending':
        return [{ kind: 'pending', rule: index, reason: 'the keys are being fetched' }];
      case 'fresh':
        return state.leftOut.length === 0 ? [] : [{ kind: 'left-out', rule: index, reason: leftOutText(state.leftOut) }];
      default:
        return [];
    }
  });
}

/** At most this many keys of a set are named. */
const NAMED_KEYS = 3;

function leftOutText(leftOut: readonly string[]): string {
  const more = leftOut.length > NAMED_KEYS ? `; and ${leftOut.length - NAMED_KEYS} more` : '';
  return `keys of the fetched set are not used: ${leftOut.slice(0, NAMED_KEYS).join('; ')}${more}`;
}
