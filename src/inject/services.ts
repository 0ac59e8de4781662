/*
 * The Services that lead to a pod, as far as manifests contain them.
 */
import { portOf, type Raw, rawListOf, rawOf, stringOf } from './raw-json.ts';

/** A TCP port of a Service, and where it leads. */
export interface ServicePort {
  /** Name of the Service. */
  readonly service: string;
  /** Name of the Service's port; `''`: none. */
  readonly name: string;
  readonly appProtocol?: string;
  /** Port of the Service; 0: not given. */
  readonly number: number;
  /** Number or name of the container port. */
  readonly target: number | string;
}

/** The pod that Services may select. */
export interface SelectedPod {
  /** `''` when the manifest names none. */
  readonly namespace: string;
  readonly labels: Raw;
}

/** The ports of those of `objects` that are Services of the pod's namespace and select it. */
export function servicePortsFor(objects: readonly Raw[], pod: SelectedPod): readonly ServicePort[] {
  return objects.filter((object) => leadsTo(object, pod)).flatMap(portsOf);
}

function leadsTo(object: Raw, { namespace, labels }: SelectedPod): boolean {
  if (object['kind'] !== 'Service' || object['apiVersion'] !== 'v1') return false;
  const selector = Object.entries(rawOf(rawOf(object['spec'])['selector']));
  const own = stringOf(rawOf(object['metadata'])['namespace']) ?? '';
  return own === namespace && selector.length > 0 && selector.every(([key, value]) => labels[key] === value);
}

function portsOf(service: Raw): readonly ServicePort[] {
  return rawListOf(rawOf(service['spec'])['ports'])
    .filter((entry) => (entry['protocol'] ?? 'TCP') === 'TCP')
    .flatMap((entry): readonly ServicePort[] => {
      const target = portOf(entry['targetPort']) ?? stringOf(entry['targetPort']) ?? portOf(entry['port']);
      if (target === undefined) return [];
      const appProtocol = stringOf(entry['appProtocol']);
      return [
        {
          service: stringOf(rawOf(service['metadata'])['name']) ?? '',
          name: stringOf(entry['name']) ?? '',
          number: portOf(entry['port']) ?? 0,
          // A port number may be written as a string.
          target: typeof target === 'string' && /^\d+$/.test(target) ? Number(target) : target,
          ...(appProtocol === undefined ? {} : { appProtocol }),
        },
      ];
    });
}
