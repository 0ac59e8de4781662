/*
 * Publishes bundles as ConfigMaps by server-side apply, and only when something differs. The informer of bundles reports
 * what the API server holds; a copy that differs from the desired bundle is reported as drifted.
 */
import { type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { FIELD_MANAGER } from '../api/kube/names.ts';
import { bundleName } from '../api/kube/workload.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import { applyObject, deleteObject, ifFound, readObject } from '../cluster/apply.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { CONFIG_MAPS, type ObjectRef, objectPath } from '../cluster/paths.ts';
import type { ReflectorSink } from '../cluster/reflector.ts';
import { InvariantError, RefusedError } from '../errors.ts';
import type { WorkloadLedger } from '../status/workload-ledger.ts';
import { isAsDesired, type PublishedConfigMap, readConfigMap, toConfigMap, workloadOfConfigMap } from './bundle-config-map.ts';
import type { BundleOwner, Delivery, DeliveryEvent, PublishResult } from './delivery.ts';
import { refuseForeign } from './own-config-map.ts';

/** A delivery through ConfigMaps, and the receiving end of their informer. */
export interface ConfigMapDelivery extends Delivery {
  /** What the informer of ConfigMaps with the bundle label projects objects with. */
  readonly project: (raw: RawObject) => PublishedConfigMap | undefined;
  /** Where that informer reports to. */
  readonly sink: ReflectorSink<PublishedConfigMap>;
}

/** Parts of a ConfigMap delivery. */
export interface ConfigMapDeliveryOptions {
  readonly client: KubeClient;
  readonly ledger: WorkloadLedger<PublishedConfigMap>;
}

/** A delivery for the cluster that `client` talks to. */
export function createConfigMapDelivery({ client, ledger }: ConfigMapDeliveryOptions): ConfigMapDelivery {
  const listeners = new Set<(event: DeliveryEvent) => void>();
  const removals: Removals = new Map();
  /** UID of the copy that was written last, also when the informer no longer selects it, by workload. */
  const uids = new Map<WorkloadKey, string>();
  const project = (raw: RawObject): PublishedConfigMap | undefined => knownVersion(ledger, raw) ?? readConfigMap(raw);
  const onDrift = (workload: WorkloadRef): void => {
    for (const listener of listeners) listener({ kind: 'drifted', workload });
  };
  return {
    publish: async (bundle, { owner }, signal) => {
      const key = workloadKey(bundle.workload);
      const before = ledger.get(key)?.published;
      if (before !== undefined && isAsDesired(before, { revision: bundle.digest, ownerUid: owner?.uid })) return 'unchanged';
      const claim = { ref: refOf(bundle.workload), workload: bundle.workload, knownUid: uids.get(key) };
      if (before === undefined) await refuseForeign(client, claim, signal);
      const removed = new Set<string>();
      removals.set(key, removed);
      try {
        const after = project(await applyBundle(client, { bundle, owner, before }, signal));
        if (after === undefined) throw new InvariantError('the API server returned an applied bundle that is not recognised as one');
        uids.set(key, after.uid);
        // The watch may have reported a later change, or the removal of this copy, before this response arrived.
        if (!removed.has(after.uid) && !isOutdated(ledger.get(key)?.published, after)) ledger.setPublished(key, after);
        return resultOf(before, after);
      } finally {
        removals.delete(key);
      }
    },
    withdraw: async (workload, signal) => {
      const key = workloadKey(workload);
      const before = ledger.get(key)?.published;
      uids.delete(key);
      if (before === undefined) return false;
      const existed = await deleteObject(client, refOf(workload), { ...(before.uid === '' ? {} : { uid: before.uid }), signal });
      if (ledger.get(key)?.published?.uid === before.uid) ledger.setPublished(key, undefined);
      return existed;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    project,
    sink: createBundleSink(ledger, removals, onDrift),
  };
}

/** UIDs of the copies that the watch reported as removed during a write in progress, by workload. */
type Removals = Map<WorkloadKey, Set<string>>;

/** True when `incoming` is older than `known`: a watch event from before our own write, or a response from before a watch event. */
export function isOutdated(known: PublishedConfigMap | undefined, incoming: PublishedConfigMap): boolean {
  if (known === undefined || known.uid !== incoming.uid) return false;
  const [before, after] = [Number(known.resourceVersion), Number(incoming.resourceVersion)];
  return Number.isSafeInteger(before) && Number.isSafeInteger(after) && after < before;
}

/** Spares decoding a bundle that is known already: our own write, or one that did not change between two lists. */
function knownVersion(ledger: WorkloadLedger<PublishedConfigMap>, raw: RawObject): PublishedConfigMap | undefined {
  const workload = workloadOfConfigMap(raw);
  if (workload === undefined) return undefined;
  const known = ledger.get(workloadKey(workload))?.published;
  const { uid, resourceVersion } = raw.metadata ?? {};
  return known !== undefined && known.uid === uid && known.resourceVersion === resourceVersion ? known : undefined;
}

/** The ledger's keys are workloads, the informer's are ConfigMaps, whose names may be shortened. */
function createBundleSink(
  ledger: WorkloadLedger<PublishedConfigMap>,
  removals: Removals,
  onDrift: (workload: WorkloadRef) => void,
): ReflectorSink<PublishedConfigMap> {
  const workloadByName = new Map<string, WorkloadRef>();
  const take = (name: string, published: PublishedConfigMap): void => {
    const key = workloadKey(published.workload);
    workloadByName.set(name, published.workload);
    const before = ledger.get(key)?.published;
    if (isOutdated(before, published)) return;
    ledger.setPublished(key, published);
    if (!isSameCopy(before, published) && !isAsDesired(published, ledger.get(key)?.desired ?? {})) onDrift(published.workload);
  };
  const remove = (key: WorkloadKey, workload: WorkloadRef): void => {
    const before = ledger.get(key)?.published;
    if (before === undefined) return;
    removals.get(key)?.add(before.uid);
    ledger.setPublished(key, undefined);
    if (ledger.get(key)?.desired?.revision !== undefined) onDrift(workload);
  };
  return {
    replace: (copies) => {
      workloadByName.clear();
      for (const [name, published] of copies) take(name, published);
      const listed = new Set([...workloadByName.values()].map(workloadKey));
      for (const { key, published } of ledger.records()) {
        if (published !== undefined && !listed.has(key)) remove(key, published.workload);
      }
    },
    upsert: take,
    remove: (name) => {
      const workload = workloadByName.get(name);
      workloadByName.delete(name);
      if (workload !== undefined) remove(workloadKey(workload), workload);
    },
  };
}

function isSameCopy(before: PublishedConfigMap | undefined, after: PublishedConfigMap): boolean {
  return (
    before !== undefined &&
    before.uid === after.uid &&
    before.revision === after.revision &&
    before.revision !== undefined &&
    before.unmanagedKeys.length === after.unmanagedKeys.length &&
    before.ownerUids.join() === after.ownerUids.join()
  );
}

function resultOf(before: PublishedConfigMap | undefined, after: PublishedConfigMap): PublishResult {
  if (before?.resourceVersion === after.resourceVersion) return 'unchanged';
  return before === undefined ? 'created' : 'updated';
}

interface WriteJob {
  readonly bundle: EncodedBundle;
  readonly owner: BundleOwner | undefined;
  readonly before: PublishedConfigMap | undefined;
}

/** Replaces an immutable ConfigMap. It may be missing from the ledger: without our label it is not watched. */
async function applyBundle(client: KubeClient, { bundle, owner, before }: WriteJob, signal: AbortSignal): Promise<RawObject> {
  const configMap = toConfigMap(bundle, owner);
  const apply = (): Promise<RawObject> => applyObject(client, configMap, { fieldManager: FIELD_MANAGER, force: true, signal });
  try {
    if (before !== undefined) await removeUnmanagedKeys(client, before, signal);
    return await apply();
  } catch (error) {
    if (!(error instanceof RefusedError && error.code === 'SP_KUBE_INVALID')) throw error;
    const ref = refOf(bundle.workload);
    const current = await readObject(client, ref, signal);
    if (current?.['immutable'] !== true) throw error;
    await deleteObject(client, ref, { uid: current.metadata?.uid ?? '', signal });
    return apply();
  }
}

/** Server-side apply leaves keys that other field managers added. */
async function removeUnmanagedKeys(client: KubeClient, before: PublishedConfigMap, signal: AbortSignal): Promise<void> {
  if (before.unmanagedKeys.length === 0) return;
  const body: Record<string, Record<string, null>> = {};
  for (const [field, key] of before.unmanagedKeys) body[field] = { ...body[field], [key]: null };
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
  return { resource: CONFIG_MAPS, namespace: workload.namespace, name: bundleName(workload) };
}
