/*
 * Which ConfigMaps the controller may overwrite. A name alone says nothing: where the admission policies are not installed, anyone
 * who may write ConfigMaps can choose it, and an object of others must never be overwritten, let alone deleted.
 */
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { readObject } from '../cluster/apply.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { ObjectRef } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import { workloadOfConfigMap } from './bundle-config-map.ts';

/** A ConfigMap that is about to be written although the informer does not know it. */
export interface Claim {
  readonly ref: ObjectRef;
  readonly workload: WorkloadRef;
  /** UID of the copy that this process wrote or saw last; undefined: none. */
  readonly knownUid: string | undefined;
}

/** @throws RefusedError SP_NAME_TAKEN when an object of others has the name */
export async function refuseForeign(client: KubeClient, { ref, workload, knownUid }: Claim, signal: AbortSignal): Promise<void> {
  const current = await readObject(client, ref, signal);
  if (current === undefined || isSameWorkload(workloadOfConfigMap(current), workload)) return;
  // Ours with its labels removed.
  if (knownUid !== undefined && current.metadata?.uid === knownUid) return;
  throw new RefusedError('SP_NAME_TAKEN', `the ConfigMap ${ref.name} exists and is not a bundle of Sallyport; rename or delete it`);
}

function isSameWorkload(recorded: WorkloadRef | undefined, workload: WorkloadRef): boolean {
  return recorded !== undefined && workloadKey(recorded) === workloadKey(workload);
}
