/*
 * Decides which inbound ports of a pod go through its agent: all of them, but for those that annotations exclude.
 * @see docs/adr/0032-one-captured-port.md
 */
import { AGENT_ADMIN_PORT, AGENT_CAPTURE_PORT, APP_PROTOCOLS, MAX_LISTED_PORTS } from '../api/kube/agent-contract.ts';
import {
  APP_PROTOCOL_ANNOTATION,
  EXCLUDE_PORTS_ANNOTATION,
  INCLUDE_PORTS_ANNOTATION,
  INJECTION_LABEL,
  ISTIO_INCLUDE_PORTS_ANNOTATION,
} from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import { appProtocolOf, findEncryption } from './port-protocols.ts';
import { portOf, type Raw, rawListOf, stringOf } from './raw-json.ts';
import type { ServicePort } from './services.ts';

/** Istio's annotation with the same meaning, so that manifests written for Istio keep their excluded ports. */
export const ISTIO_EXCLUDE_ANNOTATION = 'traffic.sidecar.istio.io/excludeInboundPorts';

/** Which ports of a pod are captured and which are excluded. */
export interface Capture {
  /** Ports that are known to be captured, ascending: the declared ones, and those that an annotation names. */
  readonly captured: readonly number[];
  /** Ports that bypass the agent, ascending. */
  readonly excluded: readonly number[];
  /** The only captured ports, ascending: every other port bypasses the agent. Undefined: every port is captured that is not excluded. */
  readonly only: readonly number[] | undefined;
  /** What the application speaks, as `<port>:<protocol>`; ports whose clients choose are left out, `*` stands for every port. */
  readonly appProtocols: readonly string[];
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
  const only = onlyPorts(annotations, findings);
  const excluded = new Set([
    ...portList(annotations, EXCLUDE_PORTS_ANNOTATION, findings),
    ...portList(annotations, ISTIO_EXCLUDE_ANNOTATION, findings),
  ]);
  const declared = only ?? declaredPorts(containers);
  findings.push(...findEncryptedPorts(containers, excluded, services), ...findDatagramPorts(containers));
  const captured = [...new Set([...declared, ...included])].filter((port) => !excluded.has(port)).sort(ascending);
  for (const reserved of [AGENT_ADMIN_PORT, AGENT_CAPTURE_PORT]) {
    if (!declaredPorts(containers).includes(reserved) && !captured.includes(reserved) && !excluded.has(reserved)) continue;
    findings.push({
      code: 'SP_MANIFEST',
      severity: 'error',
      path: 'spec.containers',
      message: `port ${reserved} is reserved for the agent`,
      hint: 'configure the application to listen on another port',
    });
  }
  findings.push(...findTooMany(excluded.size + (only === undefined ? 0 : captured.length)));
  return {
    captured,
    excluded: [...excluded].sort(ascending),
    only: only === undefined ? undefined : captured,
    appProtocols: appProtocols({ containers, annotations, services }, captured),
    findings,
  };
}

function findTooMany(listed: number): readonly Finding[] {
  if (listed <= MAX_LISTED_PORTS) return [];
  const message = `annotations exclude or select ${listed} ports, and at most ${MAX_LISTED_PORTS} are allowed`;
  return [{ code: 'SP_ANNOTATION', severity: 'error', path: 'metadata.annotations', message, hint: 'list fewer ports' }];
}

interface PortSources {
  readonly containers: readonly Raw[];
  readonly annotations: Raw;
  readonly services: readonly ServicePort[];
}

/** The annotation, which `settingsOfPod` checks, counts for every port. */
function appProtocols({ containers, annotations, services }: PortSources, ports: readonly number[]): readonly string[] {
  const set = APP_PROTOCOLS.find((protocol) => protocol === annotations[APP_PROTOCOL_ANNOTATION]);
  if (set !== undefined) return set === 'client' ? [] : [`*:${set}`];
  const entries = containers.flatMap(tcpPortsOf);
  const targets = services.map(({ target }) => target).filter((target) => typeof target === 'number');
  return [...new Set([...ports, ...targets])].sort(ascending).flatMap((port) => {
    const name = stringOf(entries.find((entry) => portOf(entry['containerPort']) === port)?.['name']) ?? '';
    const protocol = appProtocolOf({ port, name }, services);
    return protocol === 'client' ? [] : [`${port}:${protocol}`];
  });
}

/** The ports of Istio's annotation; undefined: every port. */
function onlyPorts(annotations: Raw, findings: Finding[]): readonly number[] | undefined {
  const text = stringOf(annotations[ISTIO_INCLUDE_PORTS_ANNOTATION])?.trim();
  if (text === undefined || text === '*') return undefined;
  const path = `metadata.annotations[${ISTIO_INCLUDE_PORTS_ANNOTATION}]`;
  if (text === '') {
    const message = 'an empty list captures no port, so that no policy would be enforced';
    const hint = `name the ports, or label the pod ${INJECTION_LABEL}: disabled`;
    findings.push({ code: 'SP_ANNOTATION', severity: 'error', path, message, hint });
    return undefined;
  }
  const ports = portList(annotations, ISTIO_INCLUDE_PORTS_ANNOTATION, findings);
  findings.push({
    code: 'SP_ANNOTATION',
    severity: 'warning',
    path,
    message: `only ports ${ports.join(', ')} are captured: every other port bypasses the agent`,
    hint: 'remove the annotation to capture every port',
  });
  return ports;
}

function ascending(one: number, other: number): number {
  return one - other;
}

/** TCP ports that containers declare, in their order. */
export function declaredPorts(containers: readonly Raw[]): readonly number[] {
  return containers.flatMap((container) => tcpPortsOf(container).flatMap((entry) => portOf(entry['containerPort']) ?? []));
}

function tcpPortsOf(container: Raw): readonly Raw[] {
  return rawListOf(container['ports']).filter((entry) => (entry['protocol'] ?? 'TCP') === 'TCP');
}

/** UDP passes by every policy, and with it HTTP/3. */
function findDatagramPorts(containers: readonly Raw[]): readonly Finding[] {
  return containers.flatMap((container) =>
    rawListOf(container['ports'])
      .filter((entry) => entry['protocol'] === 'UDP')
      .flatMap((entry): readonly Finding[] => {
        const port = portOf(entry['containerPort']);
        if (port === undefined) return [];
        return [
          {
            code: 'SP_MANIFEST',
            severity: 'warning',
            path: `spec.containers[${stringOf(container['name']) ?? ''}].ports[${stringOf(entry['name']) ?? port}]`,
            message: `UDP port ${port} is not captured: datagrams, and with them HTTP/3, reach the application without evaluation`,
            hint: 'remove the port if it serves what policies protect',
          },
        ];
      }),
  );
}

function findEncryptedPorts(
  containers: readonly Raw[],
  excluded: ReadonlySet<number>,
  services: readonly ServicePort[],
): readonly Finding[] {
  return containers.flatMap((container) =>
    tcpPortsOf(container).flatMap((entry) => {
      const port = portOf(entry['containerPort']);
      if (port === undefined || excluded.has(port)) return [];
      const name = stringOf(entry['name']) ?? '';
      const other = findEncryption({ port, name }, services);
      return other === undefined
        ? []
        : [encryptedPort(`spec.containers[${stringOf(container['name']) ?? ''}].ports[${name || port}]`, port, other)];
    }),
  );
}

function encryptedPort(path: string, port: number, { source, protocol }: { readonly source: string; readonly protocol: string }): Finding {
  return {
    code: 'SP_MANIFEST',
    severity: 'warning',
    path,
    message: `${source} of port ${port} indicates ${protocol}, which the agent passes through as TCP: rules on requests apply in their form for TCP`,
    hint: 'end TLS in front of the pod if policies have to see requests',
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
