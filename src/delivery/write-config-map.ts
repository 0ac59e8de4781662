/*
 * Writes one ConfigMap against others who write it, too: it replaces whatever they changed, releases what they made immutable or keep
 * from being deleted, and never touches an object that is not ours.
 */
import { FIELD_MANAGER } from '../api/kube/names.ts';
import type { KubeClient } from '../cluster/client.ts';
import { isRawObject, type RawObject } from '../cluster/kube-object.ts';
import { deleteObject, readObject } from '../cluster/objects.ts';
import { CONFIG_MAPS, collectionPath, type ObjectRef, objectPath } from '../cluster/paths.ts';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';

/** What is known of the ConfigMap before it is written. */
export interface KnownVersion {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** A write. */
export interface ConfigMapWrite {
  readonly client: KubeClient;
  /** With name and namespace; every other field of the present object is dropped. */
  readonly desired: RawObject;
  /** Absent: it is not known to exist. */
  readonly known: KnownVersion | undefined;
  /** Whether a ConfigMap of this name may be replaced. */
  readonly isOurs: (raw: RawObject) => boolean;
  readonly signal: AbortSignal;
}

/** `held`: another client keeps us from writing it. */
export type ConfigMapWritten = { readonly kind: 'written'; readonly raw: RawObject } | { readonly kind: 'held'; readonly reason: string };

/** The object that was written; undefined: another client holds it. */
export function rawOf(written: ConfigMapWritten): RawObject | undefined {
  return written.kind === 'written' ? written.raw : undefined;
}

/** Why a ConfigMap of others is not written. */
export const FOREIGN = 'a ConfigMap that is not ours has its name';

/** Attempts before a ConfigMap counts as held: one each for a stale version, an immutable object and its finalizers, and one more. */
const ATTEMPTS = 5;

/** Creates or replaces the ConfigMap. @throws TransientError, RefusedError for failures that are not about this object */
export async function writeConfigMap(write: ConfigMapWrite): Promise<ConfigMapWritten> {
  let { known } = write;
  let reason = 'it changes all the time';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const raw = await tryWrite(write, known);
    if (raw !== undefined && raw.metadata?.['deletionTimestamp'] === undefined) return { kind: 'written', raw };
    const current = await readObject(write.client, refOf(write.desired), write.signal);
    known = current === undefined ? undefined : versionOf(current);
    if (current === undefined) continue;
    if (!write.isOurs(current)) return { kind: 'held', reason: FOREIGN };
    if (current['immutable'] !== true && current.metadata?.['deletionTimestamp'] === undefined) continue;
    reason = current['immutable'] === true ? 'it is immutable and cannot be deleted' : 'it is being deleted and finalizers keep it';
    if (await release(write, current)) known = undefined;
  }
  return { kind: 'held', reason };
}

/** The stored object; undefined when it is not as it was known to be, or refuses changes. */
async function tryWrite({ client, desired, signal }: ConfigMapWrite, known: KnownVersion | undefined): Promise<RawObject | undefined> {
  const query = { fieldManager: FIELD_MANAGER };
  const path = known === undefined ? collectionPath(CONFIG_MAPS, desired.metadata?.namespace) : objectPath(refOf(desired));
  const body = known === undefined ? desired : { ...desired, metadata: { ...desired.metadata, ...known } };
  try {
    const { json } = await client.request({ method: known === undefined ? 'POST' : 'PUT', path, query, body, lane: 'publish', signal });
    if (!isRawObject(json)) throw new InvariantError('the response to a write of a ConfigMap is not an object');
    return json;
  } catch (error) {
    if (error instanceof TransientError && error.code === 'SP_KUBE_CONFLICT') return undefined;
    if (known !== undefined && error instanceof RefusedError && (error.code === 'SP_KUBE_INVALID' || error.code === 'SP_KUBE_NOT_FOUND')) {
      // Immutable, or gone. Anything else fails again when it is created.
      if (error.code === 'SP_KUBE_NOT_FOUND') return undefined;
      const current = await readObject(client, refOf(desired), signal);
      if (current?.['immutable'] === true || current?.metadata?.uid !== known.uid) return undefined;
    }
    throw error;
  }
}

/** Removes finalizers and deletes the object. @returns true: it is gone */
async function release({ client, desired, signal }: ConfigMapWrite, current: RawObject): Promise<boolean> {
  const path = objectPath(refOf(desired));
  const body = { ...current, metadata: { ...current.metadata, finalizers: [] } };
  const { uid } = versionOf(current);
  try {
    await client.request({ method: 'PUT', path, query: { fieldManager: FIELD_MANAGER }, body, signal });
    if (current.metadata?.['deletionTimestamp'] === undefined) await deleteObject(client, refOf(desired), { uid, signal });
  } catch (error) {
    const code = error instanceof TransientError || error instanceof RefusedError ? error.code : undefined;
    if (code !== 'SP_KUBE_CONFLICT' && code !== 'SP_KUBE_NOT_FOUND') throw error;
  }
  return (await readObject(client, refOf(desired), signal)) === undefined;
}

function versionOf({ metadata }: RawObject): KnownVersion {
  return { uid: metadata?.uid ?? '', resourceVersion: metadata?.resourceVersion ?? '' };
}

function refOf({ metadata }: RawObject): ObjectRef {
  return { resource: CONFIG_MAPS, namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' };
}
