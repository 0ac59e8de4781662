/*
 * The little that this room assumes about any Kubernetes object. In: raw JSON. Out: its metadata, its key. Nothing here
 * drops a field: objects stay the JSON that the server sent.
 */

/** Metadata fields that this room reads; every other field is there too. */
export interface RawMetadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly continue?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** An object as the server sent it. `apiVersion` and `kind` are absent on the items of a list. */
export interface RawObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: RawMetadata;
  readonly [field: string]: unknown;
}

/** `namespace/name`, or `name` for cluster-scoped objects; undefined when the object has no name. */
export function keyOf(object: RawObject): string | undefined {
  const { name, namespace } = object.metadata ?? {};
  if (typeof name !== 'string' || name === '') return undefined;
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name;
}

/** Is this JSON an object at all? */
export function isRawObject(json: unknown): json is RawObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
