/*
 * Reads and deletes single objects, and patches their annotations.
 */
import { RefusedError } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { type ObjectRef, objectPath } from './paths.ts';
import type { Lane } from './request-budget.ts';

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
  /** Share of the request limit that it uses; absent: `default`. */
  readonly lane?: Lane;
  readonly signal?: AbortSignal;
}

/**
 * Deletes one object, and its dependents in the background.
 * @returns false if the object did not exist
 * @throws TransientError `SP_KUBE_CONFLICT` if a precondition fails; otherwise like {@link KubeClient.request}
 */
export async function deleteObject(client: KubeClient, ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
  const { uid, resourceVersion, lane } = options;
  const preconditions = { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  const answer = await ifFound(
    client.request({
      method: 'DELETE',
      path: objectPath(ref),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions },
      ...(lane === undefined ? {} : { lane }),
      ...signalOf(options.signal),
    }),
  );
  return answer !== undefined;
}

/** The whole object, which is not read, costs the server and this process more than the patch. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

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
      lane: 'touch',
      accept: METADATA_ONLY,
      discard: true,
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
