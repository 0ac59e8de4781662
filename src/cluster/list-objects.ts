/*
 * All objects of a collection, page by page. In: which collection. Out: each raw object to a visitor, and the
 * resourceVersion that the whole list belongs to. Called by the reflector, and by whoever needs a list once.
 */
import { TransientError } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { collectionPath, type Resource } from './paths.ts';

/** Which objects. */
export interface Collection {
  readonly resource: Resource;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** Kubernetes selector syntax, e.g. `sallyport.dev/bundle=true`; absent: all objects. */
  readonly labelSelector?: string;
  /** E.g. `metadata.name=sallyport`; absent: all objects. */
  readonly fieldSelector?: string;
  /** Ask the server for metadata only (objects come with neither spec nor data). */
  readonly metadataOnly?: boolean;
}

/** Objects per page: a page of pods parses in well under 50 ms and is garbage before the next one comes. */
const PAGE_SIZE = 500;
const TIMEOUT_MS = 30_000;

/** Query parameters that choose the objects of a collection, for list and watch alike. */
export function selectionOf(collection: Collection): Record<string, string | undefined> {
  return { labelSelector: collection.labelSelector, fieldSelector: collection.fieldSelector };
}

/** The Accept header for objects (`''`) or lists (`'List'`) of a collection. */
export function acceptOf(collection: Collection, suffix: '' | 'List'): string {
  if (collection.metadataOnly !== true) return 'application/json';
  return `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1`;
}

/**
 * Visits every object of the collection as it was at one moment; pages are fetched as the visits go on.
 * @returns the resourceVersion to watch from
 * @throws TransientError `SP_KUBE_GONE` when the list took so long that its later pages are no more (begin again), and
 *   whatever {@link KubeClient.request} and `visit` throw
 */
export async function listObjects(
  client: KubeClient,
  collection: Collection,
  visit: (object: RawObject) => void,
  signal: AbortSignal,
): Promise<string> {
  const path = collectionPath(collection.resource, collection.namespace);
  let token: string | undefined;
  let resourceVersion: string | undefined;
  do {
    const query = { ...selectionOf(collection), limit: PAGE_SIZE, continue: token };
    const { json } = await client.request({
      method: 'GET',
      path,
      query,
      accept: acceptOf(collection, 'List'),
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    const page = isRawObject(json) ? json : {};
    resourceVersion ??= page.metadata?.resourceVersion;
    if (!Array.isArray(page['items']) || resourceVersion === undefined || resourceVersion === '') {
      throw new TransientError('SP_KUBE_API', `GET ${path}: the answer is not a list`);
    }
    for (const item of page['items'] as readonly unknown[]) {
      if (isRawObject(item)) visit(item);
    }
    token = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
  } while (token !== undefined);
  return resourceVersion;
}
