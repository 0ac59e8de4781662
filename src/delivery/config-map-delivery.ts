/*
 * Publishes signed bundles in slots, one ConfigMap each, and only when something differs. The informer of bundles reports what the API
 * server holds; a copy that another client changed is reported as drifted, and written again, in another slot if that client holds it.
 */
import { type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { legacyBundleName, slotName } from '../api/kube/workload.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { deleteObject, readObject } from '../cluster/objects.ts';
import { CONFIG_MAPS, type ObjectRef } from '../cluster/paths.ts';
import type { ReflectorSink } from '../cluster/reflector.ts';
import { RefusedError, TransientError } from '../errors.ts';
import type { WorkloadLedger } from '../status/workload-ledger.ts';
import type { AnnouncedBundles } from './announced-bundles.ts';
import { createCopySink } from './copy-sink.ts';
import type { Delivery, DeliveryEvent, PublishOptions, PublishResult } from './delivery.ts';
import { absorb, type ConfigMapDeliveryOptions, createParts, type DeliveryParts, type PublishJob } from './delivery-parts.ts';
import type { DocumentChange } from './document-watch.ts';
import { fingerprintOf, readLegacyConfigMap, toLegacyConfigMap } from './legacy-config-map.ts';
import {
  type Copy,
  configMapNameOf,
  copiesOf,
  type PublishedCopies,
  slotsInUse,
  verifiedAgain,
  withoutCopy,
  workloadKeyOf,
} from './published-copies.ts';
import { type SlotCopy, slotOfConfigMap } from './slot-config-map.ts';
import { createTamperLog } from './tamper-log.ts';
import { writeConfigMap } from './write-config-map.ts';
import { announcedOf, isSigned, signBundle, writeSlots } from './write-slots.ts';

/** A delivery through ConfigMaps, and the receiving end of their informer. */
export interface ConfigMapDelivery extends Delivery {
  /** What the informer of ConfigMaps with the bundle label projects objects with. */
  readonly project: (raw: RawObject) => Copy | undefined;
  /** Where that informer reports to. */
  readonly sink: ReflectorSink<Copy>;
  /** Whether signed bundles exist, also of unknown keys. */
  readonly hasBundles: () => boolean;
  /** Number of the published bundle of a workload; 0: none. */
  readonly numberOf: (workload: WorkloadRef) => number;
  /** Calls `listener` whenever the number of a workload's published bundle may have changed. @returns a function that ends the subscription */
  readonly subscribeNumbers: (listener: (workload: WorkloadKey) => void) => () => void;
  /** Makes every bundle that was signed before now out of date: agents may know newer ones than the cluster, which was restored. */
  readonly renewAll: () => void;
  /** The same for one bundle, which is then published again: an agent knows a newer one than the cluster. @param number that the agent knows */
  readonly renew: (workload: WorkloadRef, number: number) => void;
  /**
   * Signs a bundle and keeps it for agents that hold a stream, unless it is published already. To be called before {@link Delivery.publish}, which
   * writes the same bytes. Does nothing when it cannot be signed, or this process may not lead any more.
   */
  readonly announce: (bundle: EncodedBundle, options: PublishOptions) => void;
  /** What is announced and not published yet. */
  readonly announced: Pick<AnnouncedBundles, 'get' | 'subscribe'>;
  /** To be called when this process ceases to lead: what it announced is the next leader's to decide. */
  readonly endTerm: () => void;
  /** Reports, with the bundles of its namespace, that another client changed a document which was written again. */
  readonly reportTampering: (change: DocumentChange) => void;
  /** To be called when other keys are known: verifies all copies again. */
  readonly onKeysChanged: () => void;
}

/** A delivery for the cluster that `client` talks to. */
export function createConfigMapDelivery(options: ConfigMapDeliveryOptions): ConfigMapDelivery {
  const { ledger, clock } = options;
  const [events, numbers] = [createListeners<DeliveryEvent>(), createListeners<WorkloadKey>()];
  let renewBelow = 0;
  /** By workload, the lowest number that is not out of date, since a call of `renew`. */
  const renewals = new Map<WorkloadKey, number>();
  const onDrift = (workload: WorkloadRef): void => events.call({ kind: 'drifted', workload });
  const tamperLog = createTamperLog({ clock, onReport: (key) => parts.setPublished(key, ledger.get(key)?.published), onDrift });
  const parts = createParts(options, { tamperLog, isFollowed: () => events.size() > 0, onPublished: numbers.call });
  const jobOf = (bundle: EncodedBundle, publishOptions: PublishOptions): PublishJob => {
    const key = workloadKey(bundle.workload);
    return { key, bundle, options: publishOptions, renewBelow: Math.max(renewBelow, renewals.get(key) ?? 0) };
  };
  return {
    announce: (bundle, publishOptions) => announce(parts, jobOf(bundle, publishOptions)),
    announced: parts.announced,
    endTerm: () => parts.announced.delete(),
    publish: async (bundle, publishOptions, signal) => {
      const key = workloadKey(bundle.workload);
      parts.removals.set(key, new Set());
      try {
        const belowOwn = renewals.get(key) ?? 0;
        const result = await publish(parts, jobOf(bundle, publishOptions), signal);
        if (renewals.get(key) === belowOwn) renewals.delete(key);
        return result;
      } finally {
        parts.removals.delete(key);
      }
    },
    withdraw: (workload, signal) => {
      renewals.delete(workloadKey(workload));
      return withdraw(parts, workload, signal);
    },
    subscribe: events.subscribe,
    project: (raw) => knownVersion(ledger, raw) ?? parts.readCopy(raw),
    sink: createCopySink(parts),
    hasBundles: () => [...ledger.records()].some(({ published }) => [...(published?.slots.values() ?? [])].some(({ jws }) => jws !== '')),
    numberOf: (workload) => ledger.get(workloadKey(workload))?.published?.current?.number ?? 0,
    subscribeNumbers: numbers.subscribe,
    renewAll: () => {
      renewBelow = clock.wallMs();
    },
    renew: (workload, number) => {
      renewals.set(workloadKey(workload), Math.max(number + 1, clock.wallMs()));
      onDrift(workload);
    },
    reportTampering: (change) => reportChangedDocument(parts, change),
    onKeysChanged: () => verifyAll(parts),
  };
}

interface Listeners<T> {
  readonly subscribe: (listener: (value: T) => void) => () => void;
  readonly call: (value: T) => void;
  readonly size: () => number;
}

function createListeners<T>(): Listeners<T> {
  const listeners = new Set<(value: T) => void>();
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    call: (value) => {
      for (const listener of listeners) listener(value);
    },
    size: () => listeners.size,
  };
}

function verifyAll({ signer: presentSigner, ledger, setPublished }: DeliveryParts): void {
  const signer = presentSigner();
  for (const { key, published } of ledger.records()) {
    if (published !== undefined) setPublished(key, verifiedAgain(published, signer?.keys, signer?.cluster ?? ''));
  }
}

function reportChangedDocument({ onTampered, logger, ledger, tamperLog }: DeliveryParts, { namespace, name }: DocumentChange): void {
  onTampered?.();
  logger.warn({ namespace, configMap: name }, 'document changed by another client; it was written again');
  const message = `another client changed the ConfigMap ${name} of namespace ${namespace}`;
  for (const { key, published } of ledger.records()) if (published?.workload.namespace === namespace) tamperLog.report(key, message);
}

async function publish(parts: DeliveryParts, job: PublishJob, signal: AbortSignal): Promise<PublishResult> {
  const { key, bundle, options } = job;
  const signer = parts.signer();
  if (signer === undefined) throw new RefusedError('SP_KEYS_MISSING', 'there are no signing keys, so nothing is published');
  const before = parts.ledger.get(key)?.published;
  const isRepair = reportTampering(parts, key, before);
  let result: PublishResult = 'unchanged';
  // Agents may enforce what was announced, whatever is published.
  if (before === undefined || parts.announced.get(key) !== undefined || !isSigned(before, job, signer)) {
    await writeSlots(parts, { ...job, signer, before, isRepair }, signal);
    result = isRepair ? 'repaired' : before?.current === undefined ? 'created' : 'updated';
  }
  await removeLeftovers(parts, key, signal);
  try {
    const isLegacyWritten = await publishLegacy(parts, { key, workload: bundle.workload, options }, signal);
    return result === 'unchanged' && isLegacyWritten ? 'updated' : result;
  } catch (error) {
    if (options.onLegacyFailed === undefined) throw error;
    options.onLegacyFailed(error);
    return result;
  }
}

function announce(parts: DeliveryParts, job: PublishJob): void {
  // In this order: a process that is suspended in between signs under a number of the time when it led.
  const wallMs = parts.clock.wallMs();
  const signer = parts.signer();
  if (signer === undefined || parts.isLeading?.() === false) return;
  const { key } = job;
  const before = parts.ledger.get(key)?.published;
  if (parts.announced.get(key) === undefined && before !== undefined && isSigned(before, job, signer)) {
    parts.onVerified?.(key, before.current?.number ?? 0, job.bundle.chunks);
    return;
  }
  if (announcedOf(parts, job, signer) !== undefined) return;
  try {
    parts.announced.set(key, signBundle(parts, job, signer, wallMs));
  } catch (error) {
    // To publish it fails in the same way, and that is reported.
    if (!(error instanceof RefusedError)) throw error;
  }
}

/** @returns true: a copy in use is not as we wrote it */
function reportTampering(parts: DeliveryParts, key: WorkloadKey, before: PublishedCopies | undefined): boolean {
  const changed = [...(before?.slots.values() ?? [])].filter((copy) => isTampered(parts, key, copy));
  if (before === undefined || changed.length === 0) return false;
  const names = changed.map(({ workload, slot }) => slotName(workload, slot)).join(', ');
  parts.onTampered?.();
  parts.logger.warn({ workload: key, configMaps: names }, 'bundle changed by another client; it is written again');
  parts.tamperLog.report(key, `another client changed the ConfigMap ${names} of the bundle of ${key}`);
  return true;
}

function isTampered({ stored }: DeliveryParts, key: WorkloadKey, { statement, part, isIntact, isTerminating }: SlotCopy): boolean {
  if (isTerminating) return false;
  if (!isIntact || statement === undefined || part === undefined) return true;
  if (!statement.parts.some(({ digest }) => digest === part.digest)) return true;
  // One that we signed, but not last: another client wrote an earlier one again.
  return statement.number < (stored.get(key) ?? 0);
}

/** Deletes copies in slots that the current bundle does not use. One that is held stays: agents ignore it. */
async function removeLeftovers(parts: DeliveryParts, key: WorkloadKey, signal: AbortSignal): Promise<void> {
  const published = parts.ledger.get(key)?.published;
  if (published?.current === undefined) return;
  const used = new Set(slotsInUse(published));
  for (const copy of published.slots.values()) {
    if (!used.has(copy) && !copy.isTerminating) await removeCopy(parts, { kind: 'slot', copy }, signal);
  }
}

interface LegacyJob {
  readonly key: WorkloadKey;
  readonly workload: WorkloadRef;
  readonly options: PublishOptions;
}

/** @returns true when something was written */
async function publishLegacy(parts: DeliveryParts, { key, workload, options }: LegacyJob, signal: AbortSignal): Promise<boolean> {
  const before = parts.ledger.get(key)?.published?.legacy;
  if (options.legacy === undefined) {
    if (before !== undefined) await removeCopy(parts, { kind: 'legacy', copy: before }, signal);
    return before !== undefined;
  }
  const desired = toLegacyConfigMap(workload, options.legacy, options.owner);
  const fingerprint = fingerprintOf(desired);
  if (before?.fingerprint === fingerprint) return false;
  parts.legacies.set(key, fingerprint);
  const isOurs = (raw: RawObject): boolean => {
    const kind = readLegacyConfigMap(raw)?.workload.kind;
    return kind === '' || kind === workload.kind;
  };
  const written = await writeConfigMap({ client: parts.client, desired, known: before, isOurs, signal });
  if (written.kind === 'held') {
    parts.tamperLog.report(key, `the ConfigMap ${legacyBundleName(workload.name)} of ${key} cannot be written: ${written.reason}`);
    return false;
  }
  absorb(parts, key, written.raw);
  return true;
}

async function withdraw(parts: DeliveryParts, workload: WorkloadRef, signal: AbortSignal): Promise<boolean> {
  const key = workloadKey(workload);
  const before = parts.ledger.get(key)?.published;
  parts.announced.delete(key);
  parts.onWithdrawn?.(key);
  const existed: boolean[] = [];
  for (const copy of before === undefined ? [] : copiesOf(before)) existed.push(await removeCopy(parts, copy, signal));
  parts.resyncs.delete(key);
  parts.numbers.delete(key);
  parts.stored.delete(key);
  parts.signed.delete(key);
  parts.legacies.delete(key);
  return existed.includes(true);
}

async function removeCopy(parts: DeliveryParts, removed: Copy, signal: AbortSignal): Promise<boolean> {
  const { workload, uid } = removed.copy;
  const ref = { resource: CONFIG_MAPS, namespace: workload.namespace, name: configMapNameOf(removed) };
  const existed = await deleteCopy(parts, { ref, uid }, signal);
  const key = workloadKeyOf(removed);
  const before = parts.ledger.get(key)?.published;
  if (before !== undefined) parts.setPublished(key, withoutCopy(before, removed));
  return existed;
}

/** Spares reading a copy that is known already: our own write, or one that did not change between two lists. */
function knownVersion(ledger: WorkloadLedger<PublishedCopies>, raw: RawObject): Copy | undefined {
  const identity = slotOfConfigMap(raw);
  if (identity === undefined) return undefined;
  const copy = ledger.get(workloadKey(identity.workload))?.published?.slots.get(identity.slot);
  const { uid, resourceVersion } = raw.metadata ?? {};
  return copy !== undefined && copy.uid === uid && copy.resourceVersion === resourceVersion ? { kind: 'slot', copy } : undefined;
}

/** @returns false when it does not exist, or another object has the name by now */
async function deleteCopy(
  { client }: DeliveryParts,
  { ref, uid }: { readonly ref: ObjectRef; readonly uid: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await deleteObject(client, ref, { ...(uid === '' ? {} : { uid }), signal });
  } catch (error) {
    if (!(error instanceof TransientError && error.code === 'SP_KUBE_CONFLICT')) throw error;
    const current = await readObject(client, ref, signal);
    if (current !== undefined && current.metadata?.uid === uid) throw error;
    return false;
  }
}
