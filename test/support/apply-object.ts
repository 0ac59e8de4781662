/*
 * Brings manifests into a cluster with server-side apply, which the product does not use.
 */
import type { KubeClient } from '../../src/cluster/client.ts';
import { isRawObject, type RawObject, type WrittenObject } from '../../src/cluster/kube-object.ts';
import { objectPath, type Resource } from '../../src/cluster/paths.ts';

/** Applies an object, also over fields of other managers, and returns it as stored. */
export async function applyObject(client: KubeClient, object: WrittenObject): Promise<RawObject> {
  const { name, namespace } = object.metadata;
  const { json } = await client.request({
    method: 'PATCH',
    path: objectPath({ resource: resourceOf(object), name, ...(namespace === undefined ? {} : { namespace }) }),
    query: { fieldManager: 'test', force: true },
    body: object,
    contentType: 'application/apply-patch+yaml',
  });
  if (!isRawObject(json)) throw new Error(`the response to an apply of ${object.kind} ${name} is not an object`);
  return json;
}

function resourceOf({ apiVersion, kind, metadata }: WrittenObject): Resource {
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`;
  return { group, version, kind, plural, namespaced: metadata.namespace !== undefined };
}
