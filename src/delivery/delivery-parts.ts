/*
 * What the functions of a ConfigMap delivery share.
 */
import { type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import type { Signer } from '../bundle/signer.ts';
import type { Clock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { WorkloadLedger } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type AnnouncedBundles, createAnnouncedBundles } from './announced-bundles.ts';
import type { PublishOptions } from './delivery.ts';
import { readLegacyConfigMap } from './legacy-config-map.ts';
import { type Copy, isOutdated, type PublishedCopies, withCopy } from './published-copies.ts';
import { type OwnStatement, readSlotConfigMap } from './slot-config-map.ts';
import type { TamperLog } from './tamper-log.ts';
import type { SignedBundle } from './write-slots.ts';

/** UIDs of the copies that the watch reported as removed during a write in progress, by workload. */
export type Removals = Map<WorkloadKey, Set<string>>;

/** Parts of a ConfigMap delivery. */
export interface ConfigMapDeliveryOptions {
  readonly client: KubeClient;
  readonly ledger: WorkloadLedger<PublishedCopies>;
  /** Undefined: nothing can be signed; {@link Delivery.publish} then refuses with the reason. */
  readonly signer: () => Signer | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each bundle that another client had changed. */
  readonly onTampered?: () => void;
  /** Called with each bundle before it is written. */
  readonly onSigned?: (workload: WorkloadKey, bundle: SignedBundle) => void;
  /** Called when the bundle of a workload is withdrawn. */
  readonly onWithdrawn?: (workload: WorkloadKey) => void;
  /** Called with each bundle that turned out to be published already. */
  readonly onVerified?: (workload: WorkloadKey, number: number, chunks: readonly Chunk[]) => void;
  /** Whether this process certainly leads now; absent: it always does. */
  readonly isLeading?: () => boolean;
}

/** What the functions of one delivery share. */
export interface DeliveryParts extends ConfigMapDeliveryOptions {
  readonly tamperLog: TamperLog;
  /** Signed and not written yet. */
  readonly announced: AnnouncedBundles;
  readonly removals: Removals;
  /** UIDs of ConfigMaps that this process wrote or saw as ours, by `namespace/name`. */
  readonly known: Map<string, string>;
  /** Number of the last bundle that this process wrote, or tried to, by workload. */
  readonly numbers: Map<WorkloadKey, number>;
  /** The same, of those that the API server has stored. */
  readonly stored: Map<WorkloadKey, number>;
  /** The last statement that this process signed, by workload. */
  readonly signed: Map<WorkloadKey, OwnStatement>;
  /** Fingerprint of the ConfigMap of level 1 that this process wrote last, by workload. */
  readonly legacies: Map<WorkloadKey, string>;
  /** Whether drift is reported to anyone: on the leader. */
  readonly isFollowed: () => boolean;
  /** What pods are annotated with when it is not the revision: a bundle was repaired. */
  readonly resyncs: Map<WorkloadKey, string>;
  /** Called after each change of what is published. */
  readonly onPublished: (key: WorkloadKey) => void;
  readonly setPublished: (key: WorkloadKey, published: PublishedCopies | undefined) => void;
  readonly readCopy: (raw: RawObject) => Copy | undefined;
}

/** One bundle to publish. */
export interface PublishJob {
  readonly key: WorkloadKey;
  readonly bundle: EncodedBundle;
  readonly options: PublishOptions;
  readonly renewBelow: number;
}

/** The parts of a new delivery. */
export function createParts(
  options: ConfigMapDeliveryOptions,
  { tamperLog, isFollowed, onPublished }: Pick<DeliveryParts, 'tamperLog' | 'isFollowed' | 'onPublished'>,
): DeliveryParts {
  const { ledger } = options;
  const resyncs = new Map<WorkloadKey, string>();
  const signed = new Map<WorkloadKey, OwnStatement>();
  const numbers = new Map<WorkloadKey, number>();
  const stored = new Map<WorkloadKey, number>();
  const announced = createAnnouncedBundles((key) => ledger.get(key)?.published?.current?.number ?? 0);
  return {
    ...options,
    tamperLog,
    announced,
    resyncs,
    removals: new Map(),
    known: new Map(),
    numbers,
    stored,
    signed,
    legacies: new Map(),
    isFollowed,
    onPublished,
    readCopy: (raw) => {
      const signer = options.signer();
      const ownOf = (workload: WorkloadRef): OwnStatement | undefined => signed.get(workloadKey(workload));
      const slot = readSlotConfigMap(raw, { keys: signer?.keys, cluster: signer?.cluster ?? '', ownOf });
      if (slot !== undefined) return { kind: 'slot', copy: slot };
      const legacy = readLegacyConfigMap(raw);
      return legacy === undefined ? undefined : { kind: 'legacy', copy: legacy };
    },
    setPublished: (key, published) => {
      if (published === undefined) {
        ledger.setPublished(key, undefined);
        onPublished(key);
        return;
      }
      const number = published.current?.number;
      if (number !== undefined && number === numbers.get(key)) stored.set(key, number);
      const { tampered: _tampered, resync: _resync, ...rest } = published;
      const [tampered, resync] = [tamperLog.reportOf(key), resyncs.get(key)];
      const isRepaired = resync !== undefined && published.revision !== undefined && resync.startsWith(published.revision);
      ledger.setPublished(key, { ...rest, ...(tampered === undefined ? {} : { tampered }), ...(isRepaired ? { resync } : {}) });
      announced.onPublished(key);
      onPublished(key);
    },
  };
}

/** Puts what was written into the ledger, unless the watch has reported something newer, or the removal of it, already. */
export function absorb(parts: DeliveryParts, key: WorkloadKey, raw: RawObject): void {
  const copy = parts.readCopy(raw);
  if (copy === undefined || parts.removals.get(key)?.has(copy.copy.uid) === true) return;
  const { namespace = '', name = '' } = raw.metadata ?? {};
  parts.known.set(`${namespace}/${name}`, copy.copy.uid);
  const before = parts.ledger.get(key)?.published;
  if (!isOutdated(before, copy)) parts.setPublished(key, withCopy(before, copy.copy.workload, copy));
}
