/*
 * The copies of each workload's bundle in the cluster: what the informer reported and what was written, put together per workload.
 */
import { type PolicyKey, type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { legacyBundleName, slotName } from '../api/kube/workload.ts';
import type { TrustedKeys } from '../bundle/key-list.ts';
import type { Statement } from '../bundle/statement.ts';
import { isBefore } from '../cluster/resource-version.ts';
import type { Generation, PublishedBundle } from '../status/workload-ledger.ts';
import type { LegacyCopy } from './legacy-config-map.ts';
import { policiesOf, type SlotCopy, verifySlot } from './slot-config-map.ts';

/** What is published for a workload. */
export interface PublishedCopies extends PublishedBundle {
  /** By slot. */
  readonly slots: ReadonlyMap<number, SlotCopy>;
  readonly legacy?: LegacyCopy;
  /** The newest statement of which all parts are there; absent: agents keep what they have. */
  readonly current?: Statement;
}

/** Any copy. */
export type Copy = { readonly kind: 'slot'; readonly copy: SlotCopy } | { readonly kind: 'legacy'; readonly copy: LegacyCopy };

/** The copies of one workload, with one of them replaced. */
export function withCopy(before: PublishedCopies | undefined, workload: WorkloadRef, copy: Copy): PublishedCopies {
  if (copy.kind === 'legacy') return assemble(workload, before?.slots ?? new Map(), copy.copy);
  return assemble(workload, new Map([...(before?.slots ?? []), [copy.copy.slot, copy.copy]]), before?.legacy);
}

/** The copies of one workload without one of them; undefined: none is left. */
export function withoutCopy(before: PublishedCopies, removed: Copy): PublishedCopies | undefined {
  const slots = new Map([...before.slots].filter(([, { uid }]) => removed.kind === 'legacy' || uid !== removed.copy.uid));
  const legacy = removed.kind === 'legacy' && before.legacy?.uid === removed.copy.uid ? undefined : before.legacy;
  return slots.size === 0 && legacy === undefined ? undefined : assemble(before.workload, slots, legacy);
}

/** The copies with every statement verified again, after another set of keys became known. */
export function verifiedAgain(before: PublishedCopies, keys: TrustedKeys | undefined, cluster: string): PublishedCopies {
  const slots = new Map([...before.slots].map(([slot, copy]) => [slot, verifySlot(copy, keys, cluster)] as const));
  return assemble(before.workload, slots, before.legacy);
}

/** The slots that hold the current statement and its parts. */
export function slotsInUse({ slots, current }: PublishedCopies): readonly SlotCopy[] {
  return current === undefined ? [] : [...slots.values()].filter(({ statement }) => statement?.number === current.number);
}

/** True when `incoming` is older than the known copy: a watch event from before our own write, or a response from before a watch event. */
export function isOutdated(published: PublishedCopies | undefined, incoming: Copy): boolean {
  const known = knownCopy(published, incoming);
  return known !== undefined && known.uid === incoming.copy.uid && isBefore(incoming.copy.resourceVersion, known.resourceVersion);
}

/** All copies of a workload. */
export function copiesOf({ slots, legacy }: PublishedCopies): readonly Copy[] {
  const ofSlots = [...slots.values()].map((copy): Copy => ({ kind: 'slot', copy }));
  return legacy === undefined ? ofSlots : [...ofSlots, { kind: 'legacy', copy: legacy }];
}

/** Name of the ConfigMap of a copy. */
export function configMapNameOf({ kind, copy }: Copy): string {
  return kind === 'slot' ? slotName(copy.workload, copy.slot) : legacyBundleName(copy.workload.name);
}

/** The copy in the same place; undefined: none is known. */
export function knownCopy(published: PublishedCopies | undefined, { kind, copy }: Copy): Copy['copy'] | undefined {
  return kind === 'slot' ? published?.slots.get(copy.slot) : published?.legacy;
}

/** The key of the workload of a copy. */
export function workloadKeyOf({ copy }: Copy): WorkloadKey {
  return workloadKey(copy.workload);
}

function assemble(workload: WorkloadRef, slots: ReadonlyMap<number, SlotCopy>, legacy: LegacyCopy | undefined): PublishedCopies {
  const copies = [...slots.values()];
  const parts = new Set(copies.map(({ part }) => part?.digest));
  const complete = copies
    .flatMap(({ statement }) => statement ?? [])
    .filter((statement) => statement.parts.every(({ digest }) => parts.has(digest)))
    .sort((one, other) => other.number - one.number);
  const [current] = complete;
  return {
    workload,
    slots,
    ...(legacy === undefined ? {} : { legacy }),
    ...(current === undefined ? {} : { current, revision: current.digest }),
    policies: current === undefined ? new Map() : policiesIn(copies, current),
  };
}

function policiesIn(copies: readonly SlotCopy[], current: Statement): ReadonlyMap<PolicyKey, Generation> {
  const known = copies.find(({ statement, policies }) => statement?.number === current.number && policies.size > 0);
  return (
    known?.policies ??
    policiesOf(
      current,
      copies.flatMap(({ content }) => content ?? []),
    )
  );
}
