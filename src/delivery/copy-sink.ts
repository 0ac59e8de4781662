/*
 * Takes what the informer of bundles reports into the workload ledger, and finds out what other clients wrote.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import type { ReflectorSink } from '../cluster/reflector.ts';
import { isBefore } from '../cluster/resource-version.ts';
import type { DeliveryParts } from './delivery-parts.ts';
import { type Copy, configMapNameOf, copiesOf, isOutdated, knownCopy, withCopy, withoutCopy, workloadKeyOf } from './published-copies.ts';
import { digestOfKeys } from './slot-config-map.ts';

/** After this time without a newer report, an older version is what the API server has: etcd was restored from a backup. */
const SETTLE_MS = 5_000;

/** The ledger's keys are workloads, the informer's are ConfigMaps. */
export function createCopySink(parts: DeliveryParts): ReflectorSink<Copy> {
  const { ledger, removals } = parts;
  const copyByName = new Map<string, Copy>();
  const take = (name: string, copy: Copy): void => {
    const former = copyByName.get(name);
    copyByName.set(name, copy);
    // A ConfigMap of level 1 may turn out to be that of another kind of workload.
    if (former !== undefined && workloadKeyOf(former) !== workloadKeyOf(copy)) removeFrom(former);
    const key = workloadKeyOf(copy);
    const before = ledger.get(key)?.published;
    if (isOutdated(before, copy)) {
      parts.clock.after(SETTLE_MS, () => {
        if (copyByName.get(name) === copy && isOutdated(ledger.get(key)?.published, copy)) accept(name, copy);
      });
      return;
    }
    accept(name, copy);
  };
  const accept = (name: string, copy: Copy): void => {
    const before = ledger.get(workloadKeyOf(copy))?.published;
    const isKnown = isSameContent(knownCopy(before, copy), copy) || isOwnWrite(parts, copy);
    parts.known.set(name, copy.copy.uid);
    parts.setPublished(workloadKeyOf(copy), withCopy(before, copy.copy.workload, copy));
    if (!isKnown) onForeignWrite(parts, name, copy.copy.workload);
    // A write of an earlier term of this process may arrive late, when the workload needs no bundle any more.
    else if (parts.isFollowed() && !isDesired(parts, copy)) parts.tamperLog.drifted(copy.copy.workload);
  };
  const removeFrom = (copy: Copy): void => {
    const key = workloadKeyOf(copy);
    const before = ledger.get(key)?.published;
    if (before !== undefined) parts.setPublished(key, withoutCopy(before, copy));
  };
  const remove = (name: string, copy: Copy): void => {
    const key = workloadKeyOf(copy);
    const known = knownCopy(ledger.get(key)?.published, copy);
    if (known === undefined) return;
    removals.get(key)?.add(known.uid);
    removeFrom(copy);
    if (isDesired(parts, copy)) onForeignWrite(parts, name, copy.copy.workload);
  };
  // The UID of a ConfigMap of a bundle that is wanted stays known: without its label, the watch reports it as removed.
  const drop = (name: string, copy: Copy): void => {
    copyByName.delete(name);
    remove(name, copy);
    if (!isDesired(parts, copy)) parts.known.delete(name);
  };
  const replaceBelow = (prefix: string, copies: ReadonlyMap<string, Copy>, resourceVersion: string): void => {
    const isGone = (name: string): boolean => name.startsWith(prefix) && !copies.has(name);
    for (const [name, copy] of copyByName) if (isGone(name)) drop(name, copy);
    // Copies that this process wrote and that are gone before any watch event reported them.
    for (const [name, copy] of copiesUntil(ledger, resourceVersion)) if (isGone(name)) remove(name, copy);
    for (const [name, copy] of copies) take(name, copy);
  };
  return {
    replace: (copies, resourceVersion) => replaceBelow('', copies, resourceVersion),
    replaceIn: (namespace, copies, resourceVersion) => replaceBelow(`${namespace}/`, copies, resourceVersion),
    upsert: take,
    remove: (name) => {
      const copy = copyByName.get(name);
      if (copy !== undefined) drop(name, copy);
    },
  };
}

/** On a standby, the leader is the other client. */
function onForeignWrite({ isFollowed, tamperLog }: DeliveryParts, name: string, workload: WorkloadRef): void {
  if (!isFollowed()) return;
  tamperLog.onForeignWrite(name);
  tamperLog.drifted(workload);
}

/** What is published as of a version of the API server, by the names of the ConfigMaps. */
function copiesUntil(ledger: DeliveryParts['ledger'], resourceVersion: string): readonly (readonly [name: string, copy: Copy])[] {
  return [...ledger.records()]
    .flatMap(({ published }) => (published === undefined ? [] : copiesOf(published)))
    .filter(({ copy }) => !isBefore(resourceVersion, copy.resourceVersion))
    .map((copy) => [`${copy.copy.workload.namespace}/${configMapNameOf(copy)}`, copy] as const);
}

/** Whether the workload of the copy needs a bundle. */
function isDesired({ ledger }: DeliveryParts, copy: Copy): boolean {
  return ledger.get(workloadKeyOf(copy))?.desired?.revision !== undefined;
}

/** Whether this process wrote the copy last: the watch may report it before the response to the write arrives. */
function isOwnWrite({ numbers, legacies, signer }: DeliveryParts, copy: Copy): boolean {
  const key = workloadKeyOf(copy);
  if (copy.kind === 'legacy') return legacies.get(key) === copy.copy.fingerprint;
  const { statement, part, keys, isIntact, isTerminating } = copy.copy;
  const isWhole = isIntact && !isTerminating && statement?.parts.some(({ digest }) => digest === part?.digest) === true;
  return isWhole && statement.number === numbers.get(key) && keys === digestOfKeys(signer()?.keys.lines ?? '');
}

/** Whether both have the same content: what we wrote, or a change of metadata that is nothing to us. */
function isSameContent(before: Copy['copy'] | undefined, after: Copy): boolean {
  if (before === undefined || before.uid !== after.copy.uid) return false;
  if (after.kind === 'legacy') return 'fingerprint' in before && before.fingerprint === after.copy.fingerprint;
  const copy = after.copy;
  return (
    'jws' in before &&
    before.jws === copy.jws &&
    before.keys === copy.keys &&
    before.part?.digest === copy.part?.digest &&
    before.isIntact === copy.isIntact &&
    before.isTerminating === copy.isTerminating &&
    before.ownerUids.join() === copy.ownerUids.join()
  );
}
