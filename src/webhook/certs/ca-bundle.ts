/*
 * Tells API servers whom to trust. In: the names of our webhook configurations and the authorities as PEM. Out: their
 * `caBundle` fields, read and patched. Called by the keeper, again and again: an upgrade that resets the field is mended.
 */
import { FIELD_MANAGER } from '../../api/kube/names.ts';
import { readObject } from '../../cluster/apply.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { isRawObject } from '../../cluster/kube-object.ts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type ObjectRef, objectPath, VALIDATING_WEBHOOK_CONFIGURATIONS } from '../../cluster/paths.ts';

/** Names of cluster-scoped objects; absent: there is none. */
export interface Configurations {
  readonly mutating?: string;
  readonly validating?: string;
}

/** One webhook of a configuration as it is now. */
export interface RegisteredWebhook {
  readonly ref: ObjectRef;
  /** Its place in the list. */
  readonly index: number;
  readonly name: string;
  /** PEM; `''` when none is set. */
  readonly caBundle: string;
}

/** Every webhook of the configurations that exist. @throws as the client's requests, but for 404 */
export async function readWebhooks(
  client: KubeClient,
  configurations: Configurations,
  signal: AbortSignal,
): Promise<readonly RegisteredWebhook[]> {
  const lists = await Promise.all(
    refsOf(configurations).map(async (ref) => {
      const object = await readObject(client, ref, signal);
      const webhooks: unknown = object?.['webhooks'];
      return Array.isArray(webhooks) ? webhooks.map((webhook: unknown, index) => registered(ref, index, webhook)) : [];
    }),
  );
  return lists.flat();
}

/** Sets the `caBundle` of those webhooks whose own differs. @returns how many were changed
 *  @throws RefusedError SP_KUBE_INVALID when a list changed since it was read (the next pass reads it again) */
export async function patchCaBundles(
  client: KubeClient,
  webhooks: readonly RegisteredWebhook[],
  caBundle: string,
  signal: AbortSignal,
): Promise<number> {
  const stale = webhooks.filter((webhook) => webhook.caBundle !== caBundle);
  const value = Buffer.from(caBundle, 'utf8').toString('base64');
  for (const [ref, group] of Map.groupBy(stale, (webhook) => webhook.ref)) {
    const body = group.flatMap(({ index, name }) => [
      // A list that was reordered meanwhile fails the test instead of getting the value in the wrong place.
      { op: 'test', path: `/webhooks/${index}/name`, value: name },
      { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value },
    ]);
    await client.request({
      method: 'PATCH',
      path: objectPath(ref),
      query: { fieldManager: FIELD_MANAGER },
      contentType: 'application/json-patch+json',
      body,
      signal,
    });
  }
  return stale.length;
}

function refsOf({ mutating, validating }: Configurations): readonly ObjectRef[] {
  return [
    ...(mutating === undefined ? [] : [{ resource: MUTATING_WEBHOOK_CONFIGURATIONS, name: mutating }]),
    ...(validating === undefined ? [] : [{ resource: VALIDATING_WEBHOOK_CONFIGURATIONS, name: validating }]),
  ];
}

function registered(ref: ObjectRef, index: number, webhook: unknown): RegisteredWebhook {
  const raw = isRawObject(webhook) ? webhook : {};
  const client: unknown = raw['clientConfig'];
  const caBundle = isRawObject(client) && typeof client['caBundle'] === 'string' ? client['caBundle'] : '';
  return {
    ref,
    index,
    name: typeof raw['name'] === 'string' ? raw['name'] : '',
    caBundle: Buffer.from(caBundle, 'base64').toString('utf8'),
  };
}
