/*
 * From the port that a client dials to the port of the pod, which is what policies see. In: manifests, the workload's labels
 * and the host and port of a URL. Out: the pod's port and the Service that leads there. Called where requests have URLs.
 */
import type { Labels } from '../../resolve/policy-applies.ts';
import { matchesLabels } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';

/** The pod's port behind a Service's. */
export interface ServicePort {
  /** Name of the Service. */
  readonly service: string;
  readonly port: number;
}

export interface Dialled {
  readonly namespace: string;
  /** Of the pod. */
  readonly labels: Labels;
  /** Of the URL, without port. */
  readonly host: string;
  readonly port: number;
}

/**
 * Where `port` of a Service leads that has the host's name and selects the pod, else of any that selects the pod.
 * `undefined`: no Service among the manifests has that port.
 */
export function podPortOf(objects: readonly ManifestObject[], { namespace, labels, host, port }: Dialled): ServicePort | undefined {
  const fitting = objects.flatMap(({ object }): readonly ServicePort[] => {
    if (object.kind !== 'Service' || (object.metadata.namespace ?? 'default') !== namespace) return [];
    const spec = recordOf(object['spec']);
    const selector = recordOf(spec['selector']);
    if (Object.keys(selector).length === 0 || !matchesLabels(selector as Labels, labels)) return [];
    const entry = listOf(spec['ports']).find((one) => one['port'] === port);
    const target = entry === undefined ? undefined : targetPort(objects, entry, { namespace, labels });
    return target === undefined ? [] : [{ service: object.metadata.name, port: target }];
  });
  const [name = ''] = host.split('.');
  return fitting.find(({ service }) => service === name) ?? fitting[0];
}

function targetPort(
  objects: readonly ManifestObject[],
  entry: Readonly<Record<string, unknown>>,
  pod: Pick<Dialled, 'namespace' | 'labels'>,
): number | undefined {
  const target = entry['targetPort'] ?? entry['port'];
  return typeof target === 'number' ? target : objects.map((item) => containerPort(item, target, pod)).find((port) => port !== undefined);
}

/** The port of that name in a pod template, or a pod, with the pod's labels. */
function containerPort(
  { object }: ManifestObject,
  name: unknown,
  { namespace, labels }: Pick<Dialled, 'namespace' | 'labels'>,
): number | undefined {
  if ((object.metadata.namespace ?? 'default') !== namespace) return undefined;
  const template = object.kind === 'Pod' ? object : recordOf(recordOf(object['spec'])['template']);
  const own = recordOf(recordOf(template['metadata'])['labels']);
  if (Object.keys(own).length === 0 || !matchesLabels(own as Labels, labels)) return undefined;
  const ports = listOf(recordOf(template['spec'])['containers']).flatMap((container) => listOf(container['ports']));
  const port = ports.find((one) => one['name'] === name)?.['containerPort'];
  return typeof port === 'number' ? port : undefined;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}
