/*
 * Resolves the port that a client dials to the port of the pod, which is the one that policies see.
 */
import { type Fields, fieldsOf, itemsOf } from '../../api/kube/pod-fields.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { matchesLabels } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';

/** The pod's port behind a port of a Service. */
export interface ServicePort {
  /** Name of the Service. */
  readonly service: string;
  readonly port: number;
}

/** What the client dials, and the pod that it reaches. */
export interface DialedAddress {
  /** Of the pod. */
  readonly namespace: string;
  /** Of the pod. */
  readonly labels: Labels;
  /** Of the URL, without port. */
  readonly host: string;
  readonly port: number;
}

/**
 * The target of `port` in the Service that the host names, if it selects the pod, else in any Service that selects the pod.
 * Undefined: no Service among the manifests has that port.
 */
export function podPortOf(objects: readonly ManifestObject[], { namespace, labels, host, port }: DialedAddress): ServicePort | undefined {
  const candidates = objects.flatMap(({ object }): readonly ServicePort[] => {
    if (object.kind !== 'Service' || (object.metadata.namespace ?? 'default') !== namespace) return [];
    const spec = fieldsOf(object['spec']);
    const selector = fieldsOf(spec['selector']);
    if (Object.keys(selector).length === 0 || !matchesLabels(selector as Labels, labels)) return [];
    const entry = itemsOf(spec['ports']).find((one) => one['port'] === port);
    const target = entry === undefined ? undefined : targetPort(objects, entry, { namespace, labels });
    return target === undefined ? [] : [{ service: object.metadata.name, port: target }];
  });
  const [name = ''] = host.split('.');
  return candidates.find(({ service }) => service === name) ?? candidates[0];
}

function targetPort(
  objects: readonly ManifestObject[],
  entry: Fields,
  pod: Pick<DialedAddress, 'namespace' | 'labels'>,
): number | undefined {
  const target = entry['targetPort'] ?? entry['port'];
  return typeof target === 'number' ? target : objects.map((item) => containerPort(item, target, pod)).find((port) => port !== undefined);
}

/** The container port named `name` in a pod, or in a pod template, with the pod's labels. */
function containerPort(
  { object }: ManifestObject,
  name: unknown,
  { namespace, labels }: Pick<DialedAddress, 'namespace' | 'labels'>,
): number | undefined {
  if ((object.metadata.namespace ?? 'default') !== namespace) return undefined;
  const template = object.kind === 'Pod' ? object : fieldsOf(fieldsOf(object['spec'])['template']);
  const own = fieldsOf(fieldsOf(template['metadata'])['labels']);
  if (Object.keys(own).length === 0 || !matchesLabels(own as Labels, labels)) return undefined;
  const ports = itemsOf(fieldsOf(template['spec'])['containers']).flatMap((container) => itemsOf(container['ports']));
  const port = ports.find((one) => one['name'] === name)?.['containerPort'];
  return typeof port === 'number' ? port : undefined;
}
