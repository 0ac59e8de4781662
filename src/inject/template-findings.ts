/*
 * What a pod template names although an agent makes it unreachable: ports that are not declared, and lifecycle hooks that pass
 * through the policies.
 */
import { EXCLUDE_PORTS_ANNOTATION, INCLUDE_PORTS_ANNOTATION } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import type { Capture } from './capture.ts';
import { isRaw, portOf, type Raw, rawListOf, rawOf, stringOf } from './raw-json.ts';
import type { ServicePort } from './services.ts';

/** A template before injection, and what is known of it. */
export interface TemplateFacts {
  readonly annotations: Raw;
  readonly spec: Raw;
  /** App containers and sidecars. */
  readonly containers: readonly Raw[];
  readonly capture: Pick<Capture, 'captured' | 'excluded'>;
  readonly services: readonly ServicePort[];
}

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
const HOOKS = ['postStart', 'preStop'] as const;
const SCRAPE_PORT_ANNOTATION = 'prometheus.io/port';

/** Warnings about ports that something asks for and that the agent closes, and about hooks that policies may deny. */
export function findUnreachable(facts: TemplateFacts): readonly Finding[] {
  return [...findNoPorts(facts), ...findUndeclaredPorts(facts), ...findHooks(facts)];
}

/** A Job has no clients, so it needs no port. */
function findNoPorts({ capture, spec }: TemplateFacts): readonly Finding[] {
  const runsToCompletion = spec['restartPolicy'] === 'Never' || spec['restartPolicy'] === 'OnFailure';
  if (capture.captured.length > 0 || capture.excluded.length > 0 || runsToCompletion) return [];
  return [
    warning('spec.containers', {
      message: 'the pod declares no port: the agent serves none, and every inbound connection is reset',
      hint: `declare the ports of the containers, or annotate the pod with ${INCLUDE_PORTS_ANNOTATION}`,
    }),
  ];
}

function findUndeclaredPorts(facts: TemplateFacts): readonly Finding[] {
  const { capture, services } = facts;
  const reachable = new Set([...capture.captured.map(({ port }) => port), ...capture.excluded]);
  const namesByPort = new Map<number, string[]>();
  const add = (port: number | undefined, source: string): void => {
    if (port === undefined || reachable.has(port)) return;
    const names = namesByPort.get(port) ?? [];
    if (!names.includes(source)) namesByPort.set(port, [...names, source]);
  };
  for (const { service, target } of services) if (typeof target === 'number') add(target, `Service ${service}`);
  for (const container of facts.containers) {
    for (const field of PROBES) add(probePort(rawOf(container[field])), `the ${field} of ${stringOf(container['name']) ?? ''}`);
  }
  const scrape = stringOf(facts.annotations[SCRAPE_PORT_ANNOTATION]) ?? '';
  if (/^\d{1,5}$/.test(scrape)) add(portOf(Number(scrape)), `annotation ${SCRAPE_PORT_ANNOTATION}`);
  return [...namesByPort].map(([port, names]) =>
    warning('spec.containers', {
      message: `${names.join(' and ')} ${names.length === 1 ? 'names' : 'name'} port ${port}, which no container declares: connections to it are reset`,
      hint: `declare containerPort ${port}, or annotate the pod with ${INCLUDE_PORTS_ANNOTATION}: "${port}"`,
    }),
  );
}

/** The port of a probe by number. A name always belongs to a declared port. */
function probePort(probe: Raw): number | undefined {
  for (const handler of ['httpGet', 'tcpSocket', 'grpc']) {
    const { port, host } = rawOf(probe[handler]);
    if (port !== undefined && (stringOf(host) ?? '') === '') return portOf(port);
  }
  return undefined;
}

/** The kubelet sends these requests to the pod's address and ignores the status of the response. */
function findHooks({ containers, capture }: TemplateFacts): readonly Finding[] {
  return containers.flatMap((container) =>
    HOOKS.flatMap((hook) => {
      const request = rawOf(rawOf(container['lifecycle'])[hook])['httpGet'];
      if (!isRaw(request) || (stringOf(request['host']) ?? '') !== '') return [];
      const port = portOf(request['port']) ?? namedPort(container, stringOf(request['port']) ?? '');
      if (port !== undefined && capture.excluded.includes(port)) return [];
      const isCaptured = capture.captured.some((entry) => entry.port === port);
      return [
        warning(`spec.containers[${stringOf(container['name']) ?? ''}].lifecycle.${hook}.httpGet`, {
          message: isCaptured
            ? 'the kubelet sends this request through the agent without a token: policies may deny it, and the kubelet does not report that'
            : `the kubelet sends this request to port ${port ?? String(request['port'])}, which the pod does not declare: it is reset`,
          hint: `use exec, allow the path without a token, or annotate the pod with ${EXCLUDE_PORTS_ANNOTATION}`,
        }),
      ];
    }),
  );
}

function namedPort(container: Raw, name: string): number | undefined {
  if (/^\d+$/.test(name)) return portOf(Number(name));
  return portOf(rawListOf(container['ports']).find((entry) => entry['name'] === name)?.['containerPort']);
}

function warning(path: string, { message, hint }: { readonly message: string; readonly hint: string }): Finding {
  return { code: 'SP_MANIFEST', severity: 'warning', path, message, hint };
}
