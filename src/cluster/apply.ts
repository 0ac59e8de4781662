/*
 * Writes objects with server-side apply, delete and merge patch, and reads single objects.
 */
import { InvariantError, RefusedError } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { type ObjectRef, objectPath, resourceOf } from './paths.ts';

/** An object to apply: `apiVersion`, `kind`, `metadata.name`, and exactly the fields that the field manager owns. */
export interface AppliedObject {
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

/** Options of {@link applyObject}. */
export interface ApplyOptions {
  /** Owner of the fields. Fields that this manager applied before and that are absent now are removed. */
  readonly fieldManager: string;
  /** Takes over fields of other managers; absent or false: a field of another manager is a conflict (`SP_KUBE_CONFLICT`). */
  readonly force?: boolean;
  /** The server validates the object but does not store it. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Applies an object with server-side apply. An object without changes keeps its resourceVersion.
 * @internal tests bring their manifests into a cluster with it; the controller creates and replaces what it signs
 * @returns the stored object
 * @throws RefusedError `SP_KUBE_INVALID` (rejected by the schema), `SP_KUBE_FORBIDDEN`, `SP_KUBE_NOT_FOUND` (no such
 *   namespace, or it is being deleted); TransientError for the rest
 */
export async function applyObject(client: KubeClient, object: AppliedObject, options: ApplyOptions): Promise<RawObject> {
  const resource = resourceOf(object.apiVersion, object.kind);
  const { name, namespace } = object.metadata;
  const { json } = await client.request({
    method: 'PATCH',
    path: objectPath({ resource, name, ...(namespace === undefined ? {} : { namespace }) }),
    query: { fieldManager: options.fieldManager, force: options.force ?? false, dryRun: options.dryRun === true ? 'All' : undefined },
    body: object,
    contentType: 'application/apply-patch+yaml',
    ...signalOf(options.signal),
  });
  if (!isRawObject(json)) throw new InvariantError(`the response to an apply of ${object.kind} ${name} is not an object`);
  return json;
}

/** Reads one object; undefined if it does not exist. @throws like {@link KubeClient.request}, except for 404 */
export async function readObject(client: KubeClient, ref: ObjectRef, signal?: AbortSignal): Promise<RawObject | undefined> {
  const answer = await ifFound(client.request({ method: 'GET', path: objectPath(ref), ...signalOf(signal) }));
  return isRawObject(answer?.json) ? answer.json : undefined;
}

/** Options of {@link deleteObject}. */
export interface DeleteOptions {
  /** Deletes the object only if it has this UID, and not a newer object of the same name. */
  readonly uid?: string;
  /** Deletes the object only if it is unchanged since this version. */
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

/**
 * Deletes one object, and its dependents in the background.
 * @returns false if the object did not exist
 * @throws TransientError `SP_KUBE_CONFLICT` if a precondition fails; otherwise like {@link KubeClient.request}
 */
export async function deleteObject(client: KubeClient, ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
  const { uid, resourceVersion } = options;
  const preconditions = { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  const answer = await ifFound(
    client.request({
      method: 'DELETE',
      path: objectPath(ref),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions },
      ...signalOf(options.signal),
    }),
  );
  return answer !== undefined;
}

/** Options of {@link patchAnnotations}. */
export interface PatchOptions {
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

/**
 * Sets annotations and changes nothing else. A null value removes an annotation.
 * @returns false if the object does not exist
 * @throws like {@link KubeClient.request}, except for 404
 */
export async function patchAnnotations(
  client: KubeClient,
  ref: ObjectRef,
  annotations: Readonly<Record<string, string | null>>,
  options: PatchOptions,
): Promise<boolean> {
  const answer = await ifFound(
    client.request({
      method: 'PATCH',
      path: objectPath(ref),
      query: { fieldManager: options.fieldManager },
      body: { metadata: { annotations } },
      contentType: 'application/merge-patch+json',
      ...signalOf(options.signal),
    }),
  );
  return answer !== undefined;
}

/** Result of `request`, or undefined if it fails with 404. */
export async function ifFound<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (thrown) {
    if (thrown instanceof RefusedError && thrown.code === 'SP_KUBE_NOT_FOUND') return undefined;
    throw thrown;
  }
}

function signalOf(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
