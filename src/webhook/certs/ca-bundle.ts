/*
 * Reads and patches the `caBundle` of our webhook configurations, so that API servers trust the webhook's certificates. Called
 * on every pass of the rotator, which also restores a field that an upgrade has reset.
 */
import { FIELD_MANAGER } from '../../api/kube/names.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { isRawObject } from '../../cluster/kube-object.ts';
import { readObject } from '../../cluster/objects.ts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type ObjectRef, objectPath, VALIDATING_WEBHOOK_CONFIGURATIONS } from '../../cluster/paths.ts';

/** Names of the webhook configurations; absent: the configuration does not exist. */
export interface Configurations {
  readonly mutating?: string;
  readonly validating?: string;
}

/** One webhook of a configuration. */
export interface RegisteredWebhook {
  readonly ref: ObjectRef;
  /** Index in the list of webhooks. */
  readonly index: number;
  readonly name: string;
  /** PEM; `''` if not set. */
  readonly caBundle: string;
}

/** All webhooks of the existing configurations. @throws like {@link KubeClient.request}, except for 404 */
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

/**
 * Sets the `caBundle` of all webhooks where it differs.
 * @returns number of changed webhooks
 * @throws RefusedError SP_KUBE_INVALID if a list has changed since it was read; the next pass reads it again
 */
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
      // If the list was reordered in the meantime, the test fails and no other webhook is changed.
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
