/*
 * Signs a bundle and writes it into slots: those that it has already, unless another client holds them.
 */
import { workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_SLOTS } from '../api/kube/names.ts';
import { slotName } from '../api/kube/workload.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import { storedFormOf } from '../bundle/encode.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { filesOfSlots } from '../bundle/slots.ts';
import { BUNDLE_STATEMENT, type Statement } from '../bundle/statement.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { RefusedError, TransientError } from '../errors.ts';
import { absorb, type DeliveryParts, type PublishJob } from './delivery-parts.ts';
import { type PublishedCopies, slotsInUse } from './published-copies.ts';
import { digestOfKeys, slotOfConfigMap, toSlotConfigMap } from './slot-config-map.ts';
import { FOREIGN, writeConfigMap } from './write-config-map.ts';

/** One bundle to write. */
export interface SlotJob extends PublishJob {
  readonly signer: Signer;
  readonly before: PublishedCopies | undefined;
  /** Another client changed a copy, so that kubelets may have mounted it. */
  readonly isRepair: boolean;
}

/** A slot that others change more often than this in a minute is used last. */
const HOT_WRITES = 10;

/** Whether the published copies are the bundle, signed with the present key and with nothing added. */
export function isSigned(before: PublishedCopies, { bundle, options, renewBelow }: PublishJob, signer: Signer): boolean {
  const { current } = before;
  if (current === undefined || current.digest !== bundle.digest || current.number < renewBelow) return false;
  const keys = digestOfKeys(signer.keys.lines);
  const ownerUid = options.owner?.uid;
  return slotsInUse(before).every(
    (copy) =>
      copy.isIntact &&
      !copy.isTerminating &&
      copy.keys === keys &&
      copy.kid === signer.kid &&
      current.parts.some(({ digest }) => digest === copy.part?.digest) &&
      (ownerUid === undefined ? copy.ownerUids.length === 0 : copy.ownerUids.includes(ownerUid)),
  );
}

/** A bundle with its statement, ready to be written. */
export interface SignedBundle extends Pick<Statement, 'number' | 'digest' | 'encoding'> {
  readonly statement: Statement;
  readonly jws: string;
  /** The key that signed, and the lists of keys that accompany the statement. */
  readonly kid: string;
  readonly keys: Signer['keys'];
  readonly contents: readonly Buffer[];
  /** What an agent gets, under the names of the mounted volume. */
  readonly files: BundleFiles;
  /** The JSON. */
  readonly chunks: readonly Chunk[];
}

/**
 * Signs a bundle under a number above every earlier one.
 * @param wallMs the wall clock while this process certainly led, so that no later leader signs under a lower number
 * @throws RefusedError SP_TOO_LARGE
 */
export function signBundle(parts: DeliveryParts, { key, bundle, renewBelow }: PublishJob, signer: Signer, wallMs: number): SignedBundle {
  const { workload } = bundle;
  const { contents, ...stored } = storedFormOf(bundle);
  const known = [parts.ledger.get(key)?.published?.current?.number, parts.numbers.get(key), parts.announced.get(key)?.number];
  const last = Math.max(renewBelow - 1, ...known.map((number) => number ?? 0));
  const statement: Omit<Statement, 'cluster'> = {
    schema: BUNDLE_STATEMENT,
    namespace: workload.namespace,
    workload: { kind: workload.kind, name: workload.name },
    number: nextNumber(last, wallMs),
    ...stored,
  };
  const jws = signer.sign(statement);
  const { number, digest, encoding } = statement;
  const files = filesOfSlots(contents.map((part) => ({ jws, keys: signer.keys.lines, part })));
  const { kid, keys } = signer;
  return {
    number,
    digest,
    encoding,
    statement: { ...statement, cluster: signer.cluster },
    jws,
    kid,
    keys,
    contents,
    files,
    chunks: bundle.chunks,
  };
}

/** The bundle of a job that is signed already and not written yet; undefined: it has to be signed. */
export function announcedOf(parts: DeliveryParts, { key, bundle, renewBelow }: PublishJob, signer: Signer): SignedBundle | undefined {
  const known = parts.announced.get(key);
  const isSame = known?.digest === bundle.digest && known.kid === signer.kid && known.keys.lines === signer.keys.lines;
  return isSame && known.number >= renewBelow ? known : undefined;
}

/** @throws RefusedError SP_TOO_LARGE; TransientError SP_KUBE_CONFLICT when other clients hold too many slots */
export async function writeSlots(parts: DeliveryParts, job: SlotJob, signal: AbortSignal): Promise<void> {
  const { key, bundle, signer, before, isRepair, options } = job;
  const { workload } = bundle;
  const signed = announcedOf(parts, job, signer) ?? signBundle(parts, job, signer, parts.clock.wallMs());
  const { number, jws, statement, contents } = signed;
  parts.numbers.set(key, number);
  const { policies } = options;
  if (policies === undefined) parts.signed.delete(key);
  else parts.signed.set(key, { jws, statement, keys: signer.keys, policies });
  parts.onSigned?.(key, signed);
  if (isRepair) parts.resyncs.set(key, `${bundle.digest}#${number}`);
  const waiting = [...contents];
  const reasons: string[] = [];
  for (const slot of slotsByPreference(parts, job)) {
    const [part] = waiting;
    if (part === undefined) break;
    const { encoding, digest } = signed;
    const content = { workload, slot, jws, keys: signer.keys.lines, part, encoding, digest, owner: options.owner };
    const reason = await writeSlot(parts, { key, desired: toSlotConfigMap(content), slot, before }, signal);
    if (reason === undefined) waiting.shift();
    else reasons.push(`${slotName(workload, slot)}: ${reason}`);
  }
  if (reasons.length > 0) parts.tamperLog.report(key, `a ConfigMap of the bundle of ${key} cannot be written: ${reasons.join('; ')}`);
  if (waiting.length > 0) throw cannotWrite(reasons);
}

/** ConfigMaps of others go away without an event; those that are held are tried again. */
function cannotWrite(reasons: readonly string[]): Error {
  const list = reasons.join('; ');
  if (reasons.every((reason) => reason.endsWith(FOREIGN)))
    return new RefusedError('SP_NAME_TAKEN', `rename or delete the ConfigMaps: ${list}`);
  return new TransientError('SP_KUBE_CONFLICT', `too many ConfigMaps of the bundle cannot be written: ${list}`);
}

/** All slots: first those that others leave alone, of these first those in use. */
function slotsByPreference({ tamperLog }: DeliveryParts, { bundle, before }: SlotJob): readonly number[] {
  const { workload } = bundle;
  const inUse = new Set(before === undefined ? [] : slotsInUse(before).map(({ slot }) => slot));
  const rank = (slot: number): number => {
    const isHot = tamperLog.writesTo(`${workload.namespace}/${slotName(workload, slot)}`) > HOT_WRITES;
    return (isHot ? 10 : 0) + (inUse.has(slot) ? 0 : 5) + slot;
  };
  const ranked = Array.from({ length: BUNDLE_SLOTS }, (_, slot) => ({ slot, rank: rank(slot) }));
  return ranked.sort((one, other) => one.rank - other.rank).map(({ slot }) => slot);
}

interface SlotWrite {
  readonly key: string;
  readonly desired: RawObject;
  readonly slot: number;
  readonly before: PublishedCopies | undefined;
}

/** @returns why another client holds the slot; undefined: it is written */
async function writeSlot(
  parts: DeliveryParts,
  { key, desired, slot, before }: SlotWrite,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { namespace = '', name = '' } = desired.metadata ?? {};
  // One without our label and annotations is ours if its UID is that of a ConfigMap of ours.
  const isOurs = (raw: RawObject): boolean => {
    const recorded = slotOfConfigMap(raw);
    const isRecorded = recorded !== undefined && workloadKey(recorded.workload) === key && recorded.slot === slot;
    return isRecorded || parts.known.get(`${namespace}/${name}`) === raw.metadata?.uid;
  };
  const written = await writeConfigMap({ client: parts.client, desired, known: before?.slots.get(slot), isOurs, signal });
  if (written.kind === 'held') return written.reason;
  absorb(parts, key, written.raw);
  return undefined;
}
