/*
 * The single owner of what each workload should enforce and of what is published for it. The informer of bundles fills it
 * on every replica; the leader adds what it compiled and what was refused. Reconcile, deliveries, status and metrics read it.
 */
import type { PolicyKey, WorkloadKey, WorkloadRef } from '../api/kube/keys.ts';
import type { Finding } from '../errors.ts';

/** Identifies the content of a bundle: its digest, `sha256:` and 64 hexadecimal digits. */
export type Revision = string;

/** `metadata.generation` of a policy; 0 for policies from files. */
export type Generation = number;

/** What the leader compiled last for a workload. */
export interface DesiredBundle {
  /** Absent: nothing is to be published, because the workload needs no bundle or because compiling it failed. */
  readonly revision?: Revision;
  /** UID of the object that must own the published copy; absent: no owner. */
  readonly ownerUid?: string;
  /** Generation of each policy that the bundle contains. */
  readonly policies: ReadonlyMap<PolicyKey, Generation>;
  /** UIDs of the same policies; absent, as for policies from files: none has one. */
  readonly uids?: ReadonlyMap<PolicyKey, string>;
  /** Findings of the compiler, by policy; a policy without findings is absent. */
  readonly findings: ReadonlyMap<PolicyKey, readonly Finding[]>;
  /** The same for two bundles that differ only in the versions of their policies; absent: not known. */
  readonly basis?: string;
}

/** A bundle that the leader compiled before the present one, as far as the policies in it are concerned. */
export type EarlierBundle = Pick<DesiredBundle, 'policies' | 'uids' | 'basis'> & { readonly revision: Revision };

/** Most earlier bundles of a workload that are remembered. */
const MAX_EARLIER = 3;

/** What agents of a workload can load. */
export interface PublishedBundle {
  readonly workload: WorkloadRef;
  /** Absent: the published copy is damaged, and an agent that holds a bundle keeps that one. */
  readonly revision?: Revision;
  /** What pods are annotated with so that the kubelet reads the copy again; absent: the revision. */
  readonly resync?: string;
  /** What another client did to the copies of late; absent: nothing. */
  readonly tampered?: string;
  /** Policies named in the bundle. A policy of which no rule made it into the bundle is missing here. */
  readonly policies: ReadonlyMap<PolicyKey, Generation>;
}

/** The state of one workload. `P` is what a delivery remembers of the published copy. */
export interface WorkloadRecord<P extends PublishedBundle = PublishedBundle> {
  readonly key: WorkloadKey;
  /** Absent: this process has not compiled the workload in the present term; always so on a standby. */
  readonly desired?: DesiredBundle;
  /** What was compiled before in the present term, newest first: agents enforce one of them until they have the desired one. Absent: nothing. */
  readonly earlier?: readonly EarlierBundle[];
  /** Absent: nothing is published. */
  readonly published?: P;
  /** Why the desired bundle could not be published; the published one stays. Absent: it was not refused. */
  readonly refusal?: Finding;
  /** Generation of each policy in the published bundle; complete once the desired revision is the published one. */
  readonly policies: ReadonlyMap<PolicyKey, Generation>;
  /** Since when the bundle waits for the keys of a new issuer, on the process clock; absent: it does not wait. */
  readonly heldSinceMs?: number;
}

/** A record that appeared (`before` undefined), changed or went away (`after` undefined). */
export interface RecordChange<P extends PublishedBundle = PublishedBundle> {
  readonly key: WorkloadKey;
  readonly before: WorkloadRecord<P> | undefined;
  readonly after: WorkloadRecord<P> | undefined;
}

/** Read access, for status, metrics and reports. */
export interface LedgerView<P extends PublishedBundle = PublishedBundle> {
  readonly get: (key: WorkloadKey) => WorkloadRecord<P> | undefined;
  readonly records: () => IterableIterator<WorkloadRecord<P>>;
  /** Calls `listener` after each change that a status or a report shows. Returns the function that unsubscribes. */
  readonly subscribe: (listener: (change: RecordChange<P>) => void) => () => void;
}

/** What reconcile writes. */
export interface DesiredLedger extends LedgerView {
  /** Records what was compiled. A refusal stays until {@link DesiredLedger.accept}. */
  readonly desire: (key: WorkloadKey, desired: DesiredBundle) => void;
  /** Records why the desired bundle was not published. */
  readonly refuse: (key: WorkloadKey, refusal: Finding) => void;
  /** Records that the desired bundle is published: clears the refusal. */
  readonly accept: (key: WorkloadKey) => void;
  /** Records that the workload waits for keys, unless it waits already. @returns since when it waits */
  readonly hold: (key: WorkloadKey, nowMs: number) => number;
  /** Records that the workload waits for no keys. */
  readonly endHold: (key: WorkloadKey) => void;
  /** Forgets everything but what is published. */
  readonly release: (key: WorkloadKey) => void;
  /** Releases every workload: what a leader knew says nothing about a later term. */
  readonly endTerm: () => void;
}

/** The whole ledger. Only a delivery calls {@link WorkloadLedger.setPublished}. */
export interface WorkloadLedger<P extends PublishedBundle = PublishedBundle> extends DesiredLedger, LedgerView<P> {
  readonly get: LedgerView<P>['get'];
  readonly records: LedgerView<P>['records'];
  readonly subscribe: LedgerView<P>['subscribe'];
  /** Records the published copy; undefined: it was removed. */
  readonly setPublished: (key: WorkloadKey, published: P | undefined) => void;
}

const NO_POLICIES: ReadonlyMap<PolicyKey, Generation> = new Map();

/** An empty ledger. A record exists while it says anything; a change costs time in proportion to the policies of its workload. */
export function createWorkloadLedger<P extends PublishedBundle = PublishedBundle>(): WorkloadLedger<P> {
  const recordByKey = new Map<WorkloadKey, WorkloadRecord<P>>();
  const listeners = new Set<(change: RecordChange<P>) => void>();

  const put = (key: WorkloadKey, fields: Fields<P>): void => {
    const before = recordByKey.get(key);
    const after = isEmpty(fields) ? undefined : recordOf(key, fields, publishedPolicies(before, fields));
    if (after === undefined) recordByKey.delete(key);
    else recordByKey.set(key, after);
    if (isSameToReaders(before, after)) return;
    for (const listener of listeners) listener({ key, before, after });
  };
  const fieldsOf = (key: WorkloadKey): Fields<P> => {
    const { desired, earlier, published, refusal, heldSinceMs } = recordByKey.get(key) ?? {};
    return { desired, earlier, published, refusal, heldSinceMs };
  };
  const release = (key: WorkloadKey): void => put(key, { ...NO_FIELDS, published: recordByKey.get(key)?.published });

  return {
    get: (key) => recordByKey.get(key),
    records: () => recordByKey.values(),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    desire: (key, desired) => put(key, { ...fieldsOf(key), desired, earlier: earlierThan(desired, recordByKey.get(key)) }),
    refuse: (key, refusal) => put(key, { ...fieldsOf(key), refusal }),
    accept: (key) => {
      if (recordByKey.get(key)?.refusal !== undefined) put(key, { ...fieldsOf(key), refusal: undefined });
    },
    hold: (key, nowMs) => {
      const heldSinceMs = recordByKey.get(key)?.heldSinceMs ?? nowMs;
      put(key, { ...fieldsOf(key), heldSinceMs });
      return heldSinceMs;
    },
    endHold: (key) => {
      if (recordByKey.get(key)?.heldSinceMs !== undefined) put(key, { ...fieldsOf(key), heldSinceMs: undefined });
    },
    release,
    endTerm: () => {
      for (const key of recordByKey.keys()) release(key);
    },
    setPublished: (key, published) => put(key, { ...fieldsOf(key), published }),
  };
}

/**
 * True until the present leader has compared the published bundle with the cluster state. Until then its findings are not
 * known, and its generations may be those of policies that were deleted and created again.
 */
export function isUnverified(record: WorkloadRecord | undefined): boolean {
  return record?.published !== undefined && record.desired === undefined;
}

/** The bundles that were compiled before `desired`. */
function earlierThan({ revision }: DesiredBundle, before: WorkloadRecord | undefined): readonly EarlierBundle[] | undefined {
  const last = before?.desired;
  if (last?.revision === undefined || last.revision === revision) return before?.earlier;
  const { policies, uids, basis } = last;
  const known: EarlierBundle = {
    revision: last.revision,
    policies,
    ...(uids === undefined ? {} : { uids }),
    ...(basis === undefined ? {} : { basis }),
  };
  return [known, ...(before?.earlier ?? []).filter((one) => one.revision !== last.revision)].slice(0, MAX_EARLIER);
}

/** The fields of a record that are set one by one. */
type Fields<P extends PublishedBundle = PublishedBundle> = {
  readonly [K in 'desired' | 'earlier' | 'published' | 'refusal' | 'heldSinceMs']: WorkloadRecord<P>[K] | undefined;
};

const NO_FIELDS: Fields<never> = {
  desired: undefined,
  earlier: undefined,
  published: undefined,
  refusal: undefined,
  heldSinceMs: undefined,
};

function isEmpty({ desired, published, refusal, heldSinceMs }: Fields): boolean {
  return desired === undefined && published === undefined && refusal === undefined && heldSinceMs === undefined;
}

function recordOf<P extends PublishedBundle>(
  key: WorkloadKey,
  { desired, earlier, published, refusal, heldSinceMs }: Fields<P>,
  policies: WorkloadRecord['policies'],
): WorkloadRecord<P> {
  return {
    key,
    ...(desired === undefined ? {} : { desired }),
    ...(earlier === undefined ? {} : { earlier }),
    ...(published === undefined ? {} : { published }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(heldSinceMs === undefined ? {} : { heldSinceMs }),
    policies,
  };
}

/** The compiler knows all policies of a revision, the bundle itself only those with a rule in it. */
function publishedPolicies(before: WorkloadRecord | undefined, { desired, published }: Fields): ReadonlyMap<PolicyKey, Generation> {
  if (published === undefined) return NO_POLICIES;
  if (published.revision === undefined) return published.policies;
  if (published.revision === desired?.revision) return desired.policies;
  return published.revision === before?.published?.revision ? before.policies : published.policies;
}

function isSameToReaders(before: WorkloadRecord | undefined, after: WorkloadRecord | undefined): boolean {
  return (
    isSamePublication(before?.published, after?.published) &&
    isUnverified(before) === isUnverified(after) &&
    before?.refusal?.message === after?.refusal?.message &&
    sameEntries(before?.policies, after?.policies) &&
    isSameCompilation(before?.desired, after?.desired)
  );
}

function isSameCompilation(before: DesiredBundle | undefined, after: DesiredBundle | undefined): boolean {
  return sameEntries(before?.uids, after?.uids) && sameEntries(before?.findings, after?.findings);
}

function isSamePublication(before: PublishedBundle | undefined, after: PublishedBundle | undefined): boolean {
  const isStillThere = (before === undefined) === (after === undefined);
  return isStillThere && before?.revision === after?.revision && before?.tampered === after?.tampered;
}

function sameEntries(before: ReadonlyMap<PolicyKey, unknown> | undefined, after: ReadonlyMap<PolicyKey, unknown> | undefined): boolean {
  if (before === after) return true;
  if ((before?.size ?? 0) !== (after?.size ?? 0)) return false;
  for (const [key, value] of before ?? []) {
    const other = after?.get(key);
    if (value !== other && (typeof value !== 'object' || JSON.stringify(value) !== JSON.stringify(other))) return false;
  }
  return true;
}
