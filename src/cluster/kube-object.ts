/*
 * The assumptions of this package about a Kubernetes object: its metadata and its key. Objects stay the JSON that the server
 * sent; no field is dropped.
 */

/** Metadata of an object. Lists the fields that this package reads; all other fields are present, too. */
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

/** An object to create or to replace another with. */
export interface WrittenObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly object[];
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** `namespace/name`, or `name` for cluster-scoped objects; undefined when the object has no name. */
export function keyOf(object: RawObject): string | undefined {
  const { name, namespace } = object.metadata ?? {};
  if (typeof name !== 'string' || name === '') return undefined;
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name;
}

/** Whether `json` is a JSON object. */
export function isRawObject(json: unknown): json is RawObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
