/*
 * Prints the state of policies and workloads as tables.
 */
import type { InstallationStatus, PolicyStatus, WorkloadStatus } from '../live/installation-status.ts';
import { type Cell, formatTable } from './table.ts';

const DIGEST_LENGTH = 'sha256:'.length + 12;
/** Conditions that have a column. */
const TYPES = ['Accepted', 'Ready', 'Programmed', 'Enforced'] as const;
type ShownType = (typeof TYPES)[number];

/** One table of policies, with the message of the first condition that is not true, and one of workloads. */
export function formatInstallationStatus(
  { policies, workloads, configurationProblems = [] }: InstallationStatus,
  stream: NodeJS.WritableStream,
): string {
  // Only an installation with the feed has this condition.
  const hasProgrammed = policies.some(({ conditions }) => conditions.some(({ type }) => type === 'Programmed'));
  const types = TYPES.filter((type) => type !== 'Programmed' || hasProgrammed);
  const header = ['NAMESPACE', 'POLICY', ...types.map((type) => type.toUpperCase()), 'REASON', 'MESSAGE'];
  return [
    ...configurationProblems.map(({ replica, message, time }) => `configuration refused by ${replica} at ${time}: ${message}\n`),
    policies.length === 0
      ? 'no policies\n'
      : formatTable(
          header,
          policies.map((policy) => policyRow(policy, types)),
          stream,
        ),
    '\n',
    workloads.length === 0
      ? 'no workload has an agent\n'
      : formatTable(['WORKLOAD', 'PODS', 'AGENTS', 'BUNDLE', 'PUBLISHED'], workloads.map(workloadRow), stream),
  ].join('');
}

/** Whether the controller has seen the newest generation of every policy, enforces all of them, and uses its present configuration. */
export function isHealthy({ policies, workloads, configurationProblems = [] }: InstallationStatus): boolean {
  if (configurationProblems.length > 0) return false;
  return policies.every((policy) => problemOf(policy) === undefined) && workloads.every(({ pods, agents }) => pods === agents);
}

function policyRow(policy: PolicyStatus, types: readonly ShownType[]): readonly Cell[] {
  const { kind, namespace, name, conditions } = policy;
  const problem = problemOf(policy);
  const cells = types.map((type): Cell => {
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
