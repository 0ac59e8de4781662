/*
 * Lists all objects of a collection page by page, for the reflector and for single lists.
 */
import { TransientError } from '../errors.ts';
import { doStepsApart, type Steps, type Turns } from '../steps.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, type RawObject } from './kube-object.ts';
import { collectionPath, type Resource } from './paths.ts';
import type { Lane } from './request-budget.ts';

/** Selects the objects of one resource. */
export interface Collection {
  readonly resource: Resource;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** Kubernetes selector syntax, e.g. `sallyport.dev/bundle=true`; absent: all objects. */
  readonly labelSelector?: string;
  /** E.g. `metadata.name=sallyport`; absent: all objects. */
  readonly fieldSelector?: string;
  /** Requests metadata only: objects have neither spec nor data. */
  readonly metadataOnly?: boolean;
  /** Objects per page of a list; absent: 200. Fewer keep the memory small where any object may be as large as the API server allows, 1.5 MB. */
  readonly pageSize?: number;
  /** Share of the request limit that the list uses; absent: `default`. */
  readonly lane?: Lane;
}

/**
 * Visits every object of a collection that this process may read, in all its namespaces.
 * @throws like {@link listObjects}
 */
export type ListAll = (collection: Omit<Collection, 'namespace'>, visit: (object: RawObject) => void, signal: AbortSignal) => Promise<void>;

/** Objects per page: a page of pods is parsed in a few milliseconds, and garbage before the next one arrives. */
const PAGE_SIZE = 200;
/** Pods are projected, and signatures of bundles verified, while the process serves probes and agents. */
const TURNS: Turns = { pause: (resume) => void setImmediate(resume), turnMs: 5 };
const TIMEOUT_MS = 30_000;

/** Query parameters that select the objects of a collection, for list and watch. */
export function selectionOf(collection: Collection): Record<string, string | undefined> {
  return { labelSelector: collection.labelSelector, fieldSelector: collection.fieldSelector };
}

/** Accept header for objects (`''`) or lists (`'List'`) of a collection. */
export function acceptOf(collection: Collection, suffix: '' | 'List'): string {
  if (collection.metadataOnly !== true) return 'application/json';
  return `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1`;
}

/**
 * Visits every object of a consistent snapshot of the collection; pages are fetched one after the other.
 * @returns the resourceVersion to watch from
 * @throws TransientError `SP_KUBE_GONE` if later pages have expired because the list took too long (list again), and
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
    const query = { ...selectionOf(collection), limit: collection.pageSize ?? PAGE_SIZE, continue: token };
    const { json } = await client.request({
      method: 'GET',
      path,
      query,
      accept: acceptOf(collection, 'List'),
      timeoutMs: TIMEOUT_MS,
      ...(collection.lane === undefined ? {} : { lane: collection.lane }),
      signal,
    });
    const page = isRawObject(json) ? json : {};
    resourceVersion ??= page.metadata?.resourceVersion;
    // The server encodes an empty list of metadata as null.
    const items = page['items'] === null ? [] : page['items'];
    if (!Array.isArray(items) || resourceVersion === undefined || resourceVersion === '') {
      throw new TransientError('SP_KUBE_API', `GET ${path}: the response is not a list`);
    }
    await doStepsApart(visitAll(items, visit), TURNS);
    token = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
  } while (token !== undefined);
  return resourceVersion;
}

function* visitAll(items: readonly unknown[], visit: (object: RawObject) => void): Steps<void> {
  for (const item of items) {
    if (isRawObject(item)) visit(item);
    yield;
  }
}

/** Lists in the whole cluster. */
export function listInCluster(client: KubeClient): ListAll {
  return async (collection, visit, signal) => void (await listObjects(client, collection, visit, signal));
}
