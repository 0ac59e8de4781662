/*
 * The few fields of Pods and Namespaces that the product reads. In: raw objects as the API server or a file gives them.
 * Out: small plain values, cheap to keep by the ten thousand. Called by the reflectors' projections and by injection.
 */

/** The object whose controller made a pod (`ownerReferences` entry with `controller: true`). */
export interface SlimOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface SlimPod {
  readonly namespace: string;
  /** `''` while a pod that is being created has only a `generateName`. */
  readonly name: string;
  /** Absent for pods from files and while a pod is being created. */
  readonly uid?: string;
  /** `metadata.generateName`, e.g. `httpbin-6b8c9f-`. */
  readonly generateName?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those below `sallyport.dev/`. */
  readonly annotations: Readonly<Record<string, string>>;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase?: string;
  readonly podIP?: string;
  readonly owner?: SlimOwner;
  /** RFC 3339; present: the pod is being deleted. */
  readonly deletionTimestamp?: string;
  readonly serviceAccount?: string;
}

export interface SlimNamespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly terminating: boolean;
}

/** Annotations with this prefix are kept by {@link projectPod}. */
export const OWN_ANNOTATION_PREFIX = 'sallyport.dev/';

type Raw = Readonly<Record<string, unknown>>;

/**
 * The slim form of a Pod, or of a pod template with the namespace filled in. Fields of a wrong type count as absent.
 *
 * @param raw a Pod as JSON; not kept
 */
export function projectPod(raw: unknown): SlimPod {
  const pod = asRecord(raw);
  const metadata = asRecord(pod['metadata']);
  const spec = asRecord(pod['spec']);
  const status = asRecord(pod['status']);
  const owner = controllerOf(metadata);
  return {
    namespace: asText(metadata['namespace']) ?? '',
    name: asText(metadata['name']) ?? '',
    ...present('uid', asText(metadata['uid'])),
    ...present('generateName', asText(metadata['generateName'])),
    labels: asTextMap(metadata['labels']),
    annotations: asTextMap(metadata['annotations'], OWN_ANNOTATION_PREFIX),
    ...present('phase', asText(status['phase'])),
    ...present('podIP', asText(status['podIP'])),
    ...(owner === undefined ? {} : { owner }),
    ...present('deletionTimestamp', asText(metadata['deletionTimestamp'])),
    ...present('serviceAccount', asText(spec['serviceAccountName'])),
  };
}

/** The slim form of a Namespace. @param raw a Namespace as JSON; not kept */
export function projectNamespace(raw: unknown): SlimNamespace {
  const namespace = asRecord(raw);
  const metadata = asRecord(namespace['metadata']);
  const isTerminating = asRecord(namespace['status'])['phase'] === 'Terminating' || metadata['deletionTimestamp'] !== undefined;
  return { name: asText(metadata['name']) ?? '', labels: asTextMap(metadata['labels']), terminating: isTerminating };
}

/** True for a pod that has run to its end: nothing of it serves any more. */
export function isFinished(pod: SlimPod): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

function controllerOf(metadata: Raw): SlimOwner | undefined {
  const references = metadata['ownerReferences'];
  if (!Array.isArray(references)) return undefined;
  const reference = references.map(asRecord).find((candidate) => candidate['controller'] === true);
  const kind = asText(reference?.['kind']);
  const name = asText(reference?.['name']);
  if (reference === undefined || kind === undefined || name === undefined) return undefined;
  return { apiVersion: asText(reference['apiVersion']) ?? '', kind, name, uid: asText(reference['uid']) ?? '' };
}

function asRecord(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function asTextMap(value: unknown, prefix = ''): Record<string, string> {
  const entries = Object.entries(asRecord(value)).filter(([key, text]) => typeof text === 'string' && key.startsWith(prefix));
  return Object.fromEntries(entries) as Record<string, string>;
}

function present<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}
