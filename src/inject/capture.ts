/*
 * Decides which inbound ports of a pod go through its agent: one agent port for each captured container port, and the ports
 * that are excluded.
 * @see docs/adr/0010-traffic-capture.md
 */
import { AGENT_ADMIN_PORT, AGENT_BLOCKED_PORT, AGENT_FIRST_PORT } from '../api/kube/agent-contract.ts';
import { EXCLUDE_PORTS_ANNOTATION, INCLUDE_PORTS_ANNOTATION } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import { findOtherProtocol } from './port-protocols.ts';
import { portOf, type Raw, rawListOf, stringOf } from './raw-json.ts';
import type { ServicePort } from './services.ts';

/** Istio's annotation with the same meaning, so that manifests written for Istio keep their excluded ports. */
export const ISTIO_EXCLUDE_ANNOTATION = 'traffic.sidecar.istio.io/excludeInboundPorts';

/** A captured port. */
export interface CapturedPort {
  /** Container port of the application. */
  readonly port: number;
  /** Port of the agent that connections are redirected to. */
  readonly listen: number;
}

/** Which ports of a pod are captured and which are excluded. */
export interface Capture {
  /** Ascending by container port. Every other inbound TCP port is closed, except excluded ones. */
  readonly captured: readonly CapturedPort[];
  /** Ports that bypass the agent, ascending. */
  readonly excluded: readonly number[];
  readonly findings: readonly Finding[];
}

/**
 * Plans the capture.
 *
 * @param containers containers that serve while the pod runs: app containers and sidecars
 * @param services ports of Services that lead to the pod, as far as they are known
 */
export function planCapture(containers: readonly Raw[], annotations: Raw, services: readonly ServicePort[] = []): Capture {
  const findings: Finding[] = [];
  const included = portList(annotations, INCLUDE_PORTS_ANNOTATION, findings);
  const excluded = new Set([
    ...portList(annotations, EXCLUDE_PORTS_ANNOTATION, findings),
    ...portList(annotations, ISTIO_EXCLUDE_ANNOTATION, findings),
  ]);
  const declared = declaredPorts(containers);
  findings.push(...findOtherProtocols(containers, excluded, services));
  const ports = [...new Set([...declared, ...included])].filter((port) => !excluded.has(port)).sort((a, b) => a - b);
  const inUse = new Set([...ports, ...excluded]);
  for (const reserved of [AGENT_ADMIN_PORT, AGENT_BLOCKED_PORT]) {
    if (inUse.has(reserved)) {
      findings.push({
        code: 'SP_MANIFEST',
        severity: 'error',
        path: 'spec.containers',
        message: `port ${reserved} is reserved for the agent`,
        hint: 'configure the application to listen on another port',
      });
    }
  }
  return { captured: assignPorts(ports, inUse), excluded: [...excluded].sort((a, b) => a - b), findings };
}

function assignPorts(ports: readonly number[], inUse: ReadonlySet<number>): readonly CapturedPort[] {
  let next = AGENT_FIRST_PORT;
  return ports.map((port) => {
    while (inUse.has(next)) next += 1;
    const listen = next;
    next += 1;
    return { port, listen };
  });
}

function declaredPorts(containers: readonly Raw[]): readonly number[] {
  return containers.flatMap((container) => tcpPortsOf(container).flatMap((entry) => portOf(entry['containerPort']) ?? []));
}

function tcpPortsOf(container: Raw): readonly Raw[] {
  return rawListOf(container['ports']).filter((entry) => (entry['protocol'] ?? 'TCP') === 'TCP');
}

function findOtherProtocols(
  containers: readonly Raw[],
  excluded: ReadonlySet<number>,
  services: readonly ServicePort[],
): readonly Finding[] {
  return containers.flatMap((container) =>
    tcpPortsOf(container).flatMap((entry) => {
      const port = portOf(entry['containerPort']);
      if (port === undefined || excluded.has(port)) return [];
      const name = stringOf(entry['name']) ?? '';
      const other = findOtherProtocol({ port, name }, services);
      return other === undefined
        ? []
        : [otherProtocol(`spec.containers[${stringOf(container['name']) ?? ''}].ports[${name || port}]`, port, other)];
    }),
  );
}

function otherProtocol(path: string, port: number, { source, protocol }: { readonly source: string; readonly protocol: string }): Finding {
  return {
    code: 'SP_MANIFEST',
    severity: 'warning',
    path,
    message: `${source} of port ${port} indicates ${protocol}, but the agent supports only HTTP/1.1 and rejects other connections`,
    hint: `annotate the pod with ${EXCLUDE_PORTS_ANNOTATION}: "${port}" to let the port bypass the agent`,
  };
}

function portList(annotations: Raw, name: string, findings: Finding[]): readonly number[] {
  const text = stringOf(annotations[name])?.trim() ?? '';
  if (text === '') return [];
  const ports = text.split(',').map((part) => (/^\d{1,5}$/.test(part.trim()) ? portOf(Number(part)) : undefined));
  const valid = ports.filter((port) => port !== undefined);
  if (valid.length === ports.length) return valid;
  findings.push({
    code: 'SP_ANNOTATION',
    severity: 'error',
    path: `metadata.annotations[${name}]`,
    message: `"${text}" is not a comma-separated list of ports`,
  });
  return [];
}
