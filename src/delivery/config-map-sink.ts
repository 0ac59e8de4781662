/*
 * Bundles into ConfigMaps. In: encoded bundles, and what a reflector sees of the ConfigMaps. Out: server-side applies, only
 * when something differs; word of every bundle that somebody else changed or deleted. Only the leader calls apply and remove.
 */
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { FIELD_MANAGER } from '../api/kube/names.ts';
import { bundleName } from '../api/kube/workload.ts';
import { applyObject, deleteObject, ifFound, readObject } from '../cluster/apply.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { CONFIG_MAPS, type ObjectRef, objectPath } from '../cluster/paths.ts';
import { InvariantError, RefusedError } from '../errors.ts';
import { createStore, type Store } from '../state/store.ts';
import { type DesiredBundle, desiredBundle, isAsDesired, type ObservedBundle, observeBundle } from './observed-bundle.ts';
import type { ApplyResult, BundleSink } from './sink.ts';

export interface ConfigMapSink extends BundleSink {
  /** To be fed by a reflector on ConfigMaps with the bundle label. Keys are those of workloads, not of ConfigMaps. */
  readonly observed: Store<ObservedBundle>;
  readonly subscribe: (listener: (workload: WorkloadRef) => void) => () => void;
}

/** A sink for the cluster that `client` talks to. */
export function createConfigMapSink(client: KubeClient): ConfigMapSink {
  const observed = createStore<ObservedBundle>({
    keyOf: (bundle) => workloadKey(bundle.workload),
    indexes: {},
    same: (before, after) =>
      before.fingerprint === after.fingerprint &&
      before.strangeKeys.length === after.strangeKeys.length &&
      before.ownerUids.join() === after.ownerUids.join(),
  });
  const desired = new Map<string, DesiredBundle>();
  const written = new Map<string, string>();

  return {
    observed,
    apply: async (encoded, context, signal) => {
      const key = workloadKey(encoded.workload);
      const wanted = desiredBundle(encoded, context.owner);
      desired.set(key, wanted);
      const before = observed.get(key);
      if (before !== undefined && isAsDesired(before, wanted)) return 'unchanged';
      const after = await write(client, { workload: encoded.workload, wanted, before }, signal);
      const isNews = written.get(key) !== after.resourceVersion && before?.resourceVersion !== after.resourceVersion;
      written.set(key, after.resourceVersion);
      // The watch may have brought a later change by somebody else before this answer.
      if (!isOutdated(observed.get(key), after)) observed.upsert(after);
      return resultOf(before, isNews);
    },
    remove: async (workload, signal) => {
      const key = workloadKey(workload);
      desired.delete(key);
      written.delete(key);
      const before = observed.get(key);
      if (before === undefined) return false;
      const existed = await deleteObject(client, refOf(workload), { ...(before.uid === '' ? {} : { uid: before.uid }), signal });
      if (observed.get(key)?.uid === before.uid) observed.remove(key);
      return existed;
    },
    list: () => [...observed.values()].map((bundle) => bundle.workload),
    subscribe: (listener) =>
      observed.subscribe(({ key, before, after }) => {
        const wanted = desired.get(key);
        const workload = (after ?? before)?.workload;
        if (workload === undefined) return;
        // A bundle that nobody asked for is somebody's too: its workload is looked at and the bundle removed.
        const isRight = wanted === undefined ? after === undefined : after !== undefined && isAsDesired(after, wanted);
        if (!isRight) listener(workload);
      }),
  };
}

/** Is `incoming` older than what is known? Then a watch is behind a write of our own, or the answer to a write behind the watch. */
export function isOutdated(known: ObservedBundle | undefined, incoming: ObservedBundle): boolean {
  if (known === undefined || known.uid !== incoming.uid) return false;
  const [before, after] = [Number(known.resourceVersion), Number(incoming.resourceVersion)];
  return Number.isSafeInteger(before) && Number.isSafeInteger(after) && after < before;
}

function resultOf(before: ObservedBundle | undefined, isNews: boolean): ApplyResult {
  if (!isNews) return 'unchanged';
  return before === undefined ? 'created' : 'updated';
}

interface WriteJob {
  readonly workload: WorkloadRef;
  readonly wanted: DesiredBundle;
  readonly before: ObservedBundle | undefined;
}

async function write(client: KubeClient, job: WriteJob, signal: AbortSignal): Promise<ObservedBundle> {
  const raw = await writeOver(client, job, signal);
  const after = observeBundle(raw);
  if (after === undefined) throw new InvariantError('an applied bundle is not recognised as one');
  return after;
}

/** One that somebody froze is replaced. It need not have been seen to be so: without its label no watch tells of it. */
async function writeOver(client: KubeClient, { workload, wanted, before }: WriteJob, signal: AbortSignal): Promise<RawObject> {
  const apply = (): Promise<RawObject> => applyObject(client, wanted.object, { fieldManager: FIELD_MANAGER, force: true, signal });
  try {
    if (before !== undefined) await removeStrangeKeys(client, before, signal);
    return await apply();
  } catch (error) {
    if (!(error instanceof RefusedError && error.code === 'SP_KUBE_INVALID')) throw error;
    const ref = refOf(workload);
    const frozen = await readObject(client, ref, signal);
    if (frozen?.['immutable'] !== true) throw error;
    await deleteObject(client, ref, { uid: frozen.metadata?.uid ?? '', signal });
    return apply();
  }
}

/** Server-side apply leaves what others put in. */
async function removeStrangeKeys(client: KubeClient, before: ObservedBundle, signal: AbortSignal): Promise<void> {
  if (before.strangeKeys.length === 0) return;
  const body: Record<string, Record<string, null>> = {};
  for (const [field, key] of before.strangeKeys) body[field] = { ...body[field], [key]: null };
  await ifFound(
    client.request({
      method: 'PATCH',
      path: objectPath(refOf(before.workload)),
      query: { fieldManager: FIELD_MANAGER },
      body,
      contentType: 'application/merge-patch+json',
      signal,
    }),
  );
}

function refOf(workload: WorkloadRef): ObjectRef {
  return { resource: CONFIG_MAPS, namespace: workload.namespace, name: bundleName(workload.name) };
}
