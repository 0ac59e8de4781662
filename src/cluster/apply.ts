/*
 * Writing objects. In: whole objects, or annotations. Out: server-side apply, delete and merge patch, with failures as
 * our own errors. Called by publish (bundles, touches), the webhook (its certificate and CA bundle) and the CLI.
 */
import { InvariantError, RefusedError } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { type ObjectRef, objectPath, resourceOf } from './paths.ts';

/** An object to be applied: `apiVersion`, `kind` and `metadata.name` are needed, and exactly the fields that we own. */
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

export interface ApplyOptions {
  /** Who owns the fields; fields that this manager applied before and that are absent now are removed. */
  readonly fieldManager: string;
  /** Take fields over from other managers; absent: their ownership is a conflict (`SP_KUBE_CONFLICT`). */
  readonly force?: boolean;
  /** Let the server check, but store nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Server-side apply. An object that is already so keeps its resourceVersion.
 * @returns the object as stored, raw
 * @throws RefusedError `SP_KUBE_INVALID` (refused by the schema), `SP_KUBE_FORBIDDEN`, `SP_KUBE_NOT_FOUND` (no such
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
  if (!isRawObject(json))
    throw new InvariantError(`the API server answered an apply of ${object.kind} ${name} with something that is no object`);
  return json;
}

/** Reads one object, raw; undefined when there is none. @throws as {@link KubeClient.request}, but for 404 */
export async function readObject(client: KubeClient, ref: ObjectRef, signal?: AbortSignal): Promise<RawObject | undefined> {
  const answer = await ifFound(client.request({ method: 'GET', path: objectPath(ref), ...signalOf(signal) }));
  return isRawObject(answer?.json) ? answer.json : undefined;
}

export interface DeleteOptions {
  /** Delete only this very object, not one of the same name made since. */
  readonly uid?: string;
  /** Delete only if nobody changed it since. */
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

/** Deletes one object, its dependents in the background. @returns false when there was none
 *  @throws TransientError `SP_KUBE_CONFLICT` when a precondition does not hold; otherwise as {@link KubeClient.request} */
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

export interface PatchOptions {
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

/** Sets annotations (null removes one) and touches nothing else. @returns false when the object is gone
 *  @throws as {@link KubeClient.request}, but for 404 */
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

/** Undefined instead of a 404. */
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
