/*
 * Prints the state of policies and workloads as tables.
 */
import type { InstallationStatus, PolicyStatus, WorkloadStatus } from '../live/installation-status.ts';
import { type Cell, formatTable } from './table.ts';

const DIGEST_LENGTH = 'sha256:'.length + 12;
/** Conditions that have a column. */
const TYPES = ['Accepted', 'Ready', 'Enforced'] as const;

/** One table of policies, with the message of the first condition that is not true, and one of workloads. */
export function formatInstallationStatus({ policies, workloads }: InstallationStatus, stream: NodeJS.WritableStream): string {
  const header = ['NAMESPACE', 'POLICY', ...TYPES.map((type) => type.toUpperCase()), 'REASON', 'MESSAGE'];
  return [
    policies.length === 0 ? 'no policies\n' : formatTable(header, policies.map(policyRow), stream),
    '\n',
    workloads.length === 0
      ? 'no workload has an agent\n'
      : formatTable(['WORKLOAD', 'PODS', 'AGENTS', 'BUNDLE', 'PUBLISHED'], workloads.map(workloadRow), stream),
  ].join('');
}

/** Whether the controller has seen the newest generation of every policy, and enforces all of them. */
export function isHealthy({ policies, workloads }: InstallationStatus): boolean {
  return policies.every((policy) => problemOf(policy) === undefined) && workloads.every(({ pods, agents }) => pods === agents);
}

function policyRow(policy: PolicyStatus): readonly Cell[] {
  const { kind, namespace, name, conditions } = policy;
  const problem = problemOf(policy);
  const cells = TYPES.map((type): Cell => {
    const condition = conditions.find((one) => one.type === type);
    if (condition === undefined) return '-';
    if (!condition.isCurrent) return { text: 'old', style: 'yellow' };
    return { text: condition.status, style: condition.status === 'True' ? 'green' : 'red' };
  });
  return [namespace, `${kind} ${name}`, ...cells, problem?.reason ?? '', problem?.message ?? ''];
}

function problemOf({ conditions }: PolicyStatus): { readonly reason: string; readonly message: string } | undefined {
  if (conditions.length === 0) return { reason: 'NotSeen', message: 'no controller has written a status' };
  const shown = TYPES.flatMap((type) => conditions.filter((one) => one.type === type));
  const old = shown.find(({ isCurrent }) => !isCurrent);
  if (old !== undefined) return { reason: 'Outdated', message: 'the status is about an older generation' };
  return shown.find(({ status }) => status !== 'True');
}

function workloadRow({ workload, pods, agents, bundle }: WorkloadStatus): readonly Cell[] {
  return [
    workload,
    String(pods),
    agents === pods ? String(agents) : { text: String(agents), style: 'red' },
    bundle === undefined ? { text: 'none', style: 'red' } : bundle.digest.slice(0, DIGEST_LENGTH),
    bundle?.published ?? '',
  ];
}
