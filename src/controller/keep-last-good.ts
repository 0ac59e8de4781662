/*
 * Records the last good versions of policies whose newest version is not enforced, and recalls them when a process starts: a DENY on one path
 * that is edited into something invalid then denies that path after a restart, and not everything.
 */
import { objectKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { LastGoodStore } from '../delivery/last-good-store.ts';
import { TransientError } from '../errors.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import { needsRecord } from '../state/last-valid.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createWorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, runWorkers } from '../workqueue/workers.ts';
import { untilRead } from './until-read.ts';

/** Parts of both directions. */
export interface KeepLastGoodOptions {
  readonly store: LastGoodStore;
  readonly clusterState: ClusterState;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** So that no record outlives the key that signed it. */
const RENEW_MS = 24 * 60 * 60_000;

/** Recalls every record, before policies are read; retries until it succeeds or `signal` aborts. */
export async function recallLastGood({ store, clusterState, clock, logger }: KeepLastGoodOptions, signal: AbortSignal): Promise<void> {
  const records = await untilRead(() => store.read(signal), { what: 'last good policies', clock, logger }, signal);
  for (const [namespace, manifests] of records ?? []) clusterState.recall(namespace, manifests);
}

/** Keeps the records as they should be until `signal` aborts. One process at a time. */
export async function keepLastGood({ store, clusterState, clock, logger }: KeepLastGoodOptions, signal: AbortSignal): Promise<void> {
  const queue = createWorkQueue({ clock, groupOf: (namespace) => namespace, maxDelayMs: MAX_RETRY_DELAY_MS });
  const unsubscribe = clusterState.policies.subscribe(({ before, after }) => {
    const namespace = (after ?? before)?.namespace;
    if (namespace !== undefined && (needsRecord(before) || needsRecord(after))) queue.add(namespace);
  });
  let cancelRenewal = (): void => undefined;
  const renew = (): void => {
    for (const entry of clusterState.policies.values()) if (needsRecord(entry)) queue.add(entry.namespace, 'low');
    cancelRenewal = clock.after(RENEW_MS, renew);
  };
  // Another process may have led while a policy became invalid, or was deleted.
  renew();
  for (const namespace of await recorded(store, signal)) queue.add(namespace, 'low');
  const stopFollowing = store.subscribe((namespace) => queue.add(namespace));
  const handle = async (namespace: string, workSignal: AbortSignal): Promise<undefined> => {
    // Kubernetes deletes what is in a namespace that is being deleted.
    if (clusterState.namespaces.get(objectKey('', namespace))?.terminating === true) return;
    await store.write(namespace, clusterState.lastGoodOf(namespace), workSignal);
  };
  await runWorkers({ queue, handle, logger, concurrency: 1 }, signal);
  cancelRenewal();
  stopFollowing();
  unsubscribe();
  queue.close();
}

/** Namespaces with a record; none when they cannot be read now, because a later change of them is recorded all the same. */
async function recorded(store: LastGoodStore, signal: AbortSignal): Promise<Iterable<string>> {
  try {
    return (await store.read(signal)).keys();
  } catch (error) {
    if (error instanceof TransientError || signal.aborted) return [];
    throw error;
  }
}
