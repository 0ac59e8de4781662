/*
 * Finds out when another client changes the signed documents of a namespace: the index of selectors, and the record of last good
 * policies. The informer of bundles reports them, too; what this process wrote or read last is compared with what it reports.
 */
import { BUNDLE_LABEL, BUNDLE_NAME_PREFIX, MANAGED_BY_LABEL } from '../api/kube/names.ts';
import { canonicalJson } from '../bundle/canonical-json.ts';
import { digestOf } from '../bundle/digest.ts';
import type { Clock } from '../clock.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { ReflectorSink } from '../cluster/reflector.ts';
import { isBefore } from '../cluster/resource-version.ts';
import { type RateLimited, rateLimited } from './rate-limit.ts';

/** The label that bundles have, too, with the kind of the document as its value. */
export type DocumentKind = 'index' | 'last-valid';

/** What is remembered of the ConfigMap of a document. */
export interface DocumentCopy {
  readonly kind: DocumentKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Digest of everything in it that decides what is read from it, and whether it can be written. */
  readonly fingerprint: string;
}

/** A document that another client changed, added or removed. */
export type DocumentChange = Pick<DocumentCopy, 'kind' | 'namespace' | 'name'>;

const PERIOD_MS = 1_000;
/** After this time without a newer report, an older version is what the API server has: etcd was restored from a backup. */
const SETTLE_MS = 5_000;

interface Tracked {
  /** Undefined: there should be none; `unknown`: a write failed, and may have been stored nevertheless. */
  expected: DocumentCopy | 'unknown' | undefined;
  /** What the informer reported last; undefined: nothing yet, or that it is gone. */
  seen: DocumentCopy | undefined;
  /** UID of the object that the informer reported as gone. */
  goneUid?: string;
  isBeingWritten: boolean;
  /** Another client changed it since this process wrote it. */
  isTampered: boolean;
}

/** Compares what the informer reports with what this process wrote or read last. */
export class DocumentWatch {
  readonly #onTampered: (change: DocumentChange) => void;
  readonly #report: RateLimited<DocumentChange>;
  readonly #clock: Clock;
  readonly #listeners = new Map<(namespace: string) => void, DocumentKind>();
  /** By `namespace/name`. */
  readonly #documents = new Map<string, Tracked>();

  /** Where the informer reports to. */
  readonly sink: ReflectorSink<DocumentCopy> = {
    replace: (copies, resourceVersion) => this.#replaceBelow('', copies, resourceVersion),
    replaceIn: (namespace, copies, resourceVersion) => this.#replaceBelow(`${namespace}/`, copies, resourceVersion),
    upsert: (key, copy) => this.#upsert(key, copy),
    remove: (key) => this.#remove(key),
  };

  /** Expects nothing yet. @param onTampered called when the change of another client was replaced */
  constructor(clock: Clock, onTampered: (change: DocumentChange) => void) {
    this.#clock = clock;
    this.#onTampered = onTampered;
    this.#report = rateLimited(clock, PERIOD_MS, ({ kind, namespace }) => {
      for (const [listener, wanted] of this.#listeners) if (wanted === kind) listener(namespace);
    });
  }

  /** The stored object is as this process wants it. */
  expect(raw: RawObject): void {
    const copy = documentOf(raw);
    if (copy !== undefined) this.#trackedOf(keyOf(copy)).expected = copy;
  }

  /**
   * Writes or deletes a document. What `write` returns is expected from then on; undefined: no document.
   * @throws what `write` throws
   */
  async during(change: DocumentChange, write: () => Promise<RawObject | undefined>): Promise<RawObject | undefined> {
    const key = keyOf(change);
    const tracked = this.#trackedOf(key);
    tracked.isBeingWritten = true;
    tracked.expected = 'unknown';
    try {
      const raw = await write();
      tracked.expected = raw === undefined ? undefined : documentOf(raw);
      if (tracked.isTampered) this.#onTampered(change);
      tracked.isTampered = false;
      return raw;
    } finally {
      tracked.isBeingWritten = false;
      // The informer may not have reported the deletion of a document yet.
      if (tracked.expected !== undefined) this.#compare(key, tracked);
      this.#forget(key, tracked);
    }
  }

  /** Calls `listener` for each change by others, at most once a second for one document. @returns a function that ends the subscription */
  subscribe(kind: DocumentKind, listener: (namespace: string) => void): () => void {
    this.#listeners.set(listener, kind);
    return () => this.#listeners.delete(listener);
  }

  #trackedOf(key: string): Tracked {
    const tracked = this.#documents.get(key) ?? { expected: undefined, seen: undefined, isBeingWritten: false, isTampered: false };
    this.#documents.set(key, tracked);
    return tracked;
  }

  #replaceBelow(prefix: string, copies: ReadonlyMap<string, DocumentCopy>, resourceVersion: string): void {
    for (const [key, tracked] of this.#documents) {
      if (key.startsWith(prefix) && !copies.has(key)) this.#missing(key, tracked, resourceVersion);
    }
    for (const [key, copy] of copies) this.#upsert(key, copy);
  }

  #upsert(key: string, copy: DocumentCopy): void {
    const tracked = this.#trackedOf(key);
    tracked.seen = copy;
    this.#compare(key, tracked);
  }

  #remove(key: string): void {
    const tracked = this.#documents.get(key);
    if (tracked?.seen === undefined) return;
    tracked.goneUid = tracked.seen.uid;
    tracked.seen = undefined;
    this.#compare(key, tracked);
    this.#forget(key, tracked);
  }

  /** It is not in a list. */
  #missing(key: string, tracked: Tracked, resourceVersion: string): void {
    const { expected } = tracked;
    // One that this process wrote and that is gone before any watch event reported it.
    if (typeof expected === 'object' && !isBefore(resourceVersion, expected.resourceVersion)) tracked.seen ??= expected;
    this.#remove(key);
  }

  #compare(key: string, tracked: Tracked, isSettled = false): void {
    const { expected, seen, goneUid, isBeingWritten } = tracked;
    if (expected === 'unknown' || isBeingWritten) return;
    // What is gone may be an object that this process has replaced by another.
    if (seen === undefined ? goneUid === undefined || expected?.uid !== goneUid : expected?.fingerprint === seen.fingerprint) return;
    if (!isSettled && isOlder(seen, expected)) {
      this.#clock.after(SETTLE_MS, () => {
        if (tracked.seen === seen && tracked.expected === expected) this.#compare(key, tracked, true);
      });
      return;
    }
    const subject = seen ?? expected;
    if (subject === undefined) return;
    // On a standby, the leader is the other client.
    const isFollowed = [...this.#listeners.values()].includes(subject.kind);
    tracked.isTampered = isFollowed;
    if (isFollowed) this.#report(key, { kind: subject.kind, namespace: subject.namespace, name: subject.name });
    else tracked.expected = 'unknown';
  }

  #forget(key: string, { expected, seen, isBeingWritten }: Tracked): void {
    if (expected === undefined && seen === undefined && !isBeingWritten) this.#documents.delete(key);
  }
}

/** Whether a report is of a version before the expected one. */
function isOlder(seen: DocumentCopy | undefined, expected: DocumentCopy | undefined): boolean {
  return isBefore(seen?.resourceVersion, expected?.resourceVersion);
}

/** What is remembered of a ConfigMap with the bundle label; undefined: it is not a document. */
export function documentOf(raw: RawObject): DocumentCopy | undefined {
  const { namespace = '', name = '', uid = '', resourceVersion = '', labels = {}, deletionTimestamp } = raw.metadata ?? {};
  const kind = labels[BUNDLE_LABEL];
  if ((kind !== 'index' && kind !== 'last-valid') || !name.startsWith(`${BUNDLE_NAME_PREFIX}${kind}.`)) return undefined;
  const content = [raw['data'] ?? {}, raw['binaryData'] ?? {}, raw['immutable'] === true, labels[MANAGED_BY_LABEL]];
  const fingerprint = digestOf(canonicalJson([...content, deletionTimestamp !== undefined]));
  return { kind, namespace, name, uid, resourceVersion, fingerprint };
}

function keyOf({ namespace, name }: DocumentChange): string {
  return `${namespace}/${name}`;
}
