/*
 * What containers of a guarded pod may do besides their work: undo the redirect, or reach into the agent. The same rules stand in
 * the ValidatingAdmissionPolicies of the chart.
 */
import { AGENT_CONTAINER, AGENT_USER, AGENT_VOLUME_NAMES, REDIRECT_CONTAINER } from './agent-contract.ts';
import { type Fields, fieldsOf, itemsOf, textsOf } from './pod-fields.ts';

/** Capabilities with which a container can change the pod's packet filter or read and write the agent's memory. */
export const DANGEROUS_CAPABILITIES = ['ALL', 'BPF', 'NET_ADMIN', 'SYS_ADMIN', 'SYS_MODULE', 'SYS_PTRACE', 'SYS_RAWIO'] as const;

const OWN_CONTAINERS: readonly unknown[] = [AGENT_CONTAINER, REDIRECT_CONTAINER];

/** One phrase for each privilege, e.g. `container app has NET_ADMIN`; empty: the pod's containers cannot bypass its agent. */
export function privilegesOf(spec: Fields): readonly string[] {
  const ofPod = (['shareProcessNamespace', 'hostPID'] as const)
    .filter((field) => spec[field] === true)
    .map((field) => `the pod sets ${field}`);
  const podUser = fieldsOf(spec['securityContext'])['runAsUser'];
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) => itemsOf(spec[field]));
  const agent = containers.find(({ name }) => name === AGENT_CONTAINER);
  const users = { podUser, agentUser: fieldsOf(agent?.['securityContext'])['runAsUser'] ?? AGENT_USER };
  const others = containers.filter(({ name }) => !OWN_CONTAINERS.includes(name));
  const describe = (container: Fields): readonly string[] =>
    privilegesOfContainer(container, users).map((what) => `container ${String(container['name'])} ${what}`);
  return [...ofPod, ...others.flatMap(describe)];
}

interface Users {
  /** User of containers that set none; undefined: that of the image. */
  readonly podUser: unknown;
  readonly agentUser: unknown;
}

function privilegesOfContainer(container: Fields, { podUser, agentUser }: Users): readonly string[] {
  const { privileged, runAsUser = podUser, capabilities } = fieldsOf(container['securityContext']);
  const added = textsOf(fieldsOf(capabilities)['add']).map((name) => name.toUpperCase().replace(/^CAP_/, ''));
  const mounted = itemsOf(container['volumeMounts']).filter(({ name }) => AGENT_VOLUME_NAMES.includes(String(name)));
  return [
    ...(privileged === true ? ['is privileged'] : []),
    ...DANGEROUS_CAPABILITIES.filter((name) => added.includes(name)).map((name) => `has ${name}`),
    ...(runAsUser === agentUser ? ["runs as the agent's user"] : []),
    ...mounted.map(({ name }) => `mounts ${String(name)}`),
    ...(OWN_CONTAINERS.includes(container['targetContainerName']) ? [`targets ${String(container['targetContainerName'])}`] : []),
  ];
}
