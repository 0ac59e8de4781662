/*
 * The ConfigMap of one slot: how it is written, and what is read back from one.
 */
import { type PolicyKey, parseWorkloadKey, policyKey, type WorkloadRef } from '../api/kube/keys.ts';
import {
  BUNDLE_LABEL,
  BUNDLE_SLOTS,
  DIGEST_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  SLOT_KEYS_KEY,
  SLOT_PART_KEY,
  SLOT_STATEMENT_KEY,
  WORKLOAD_LABEL,
} from '../api/kube/names.ts';
import { slotName } from '../api/kube/workload.ts';
import type { Bundle } from '../bundle/bundle.ts';
import { parseBundle } from '../bundle/decode.ts';
import { digestOf } from '../bundle/digest.ts';
import type { TrustedKeys } from '../bundle/key-list.ts';
import { fromStoredForm } from '../bundle/slots.ts';
import { BUNDLE_STATEMENT, keyIdOf, type PartRef, type Statement, verifyStatement } from '../bundle/statement.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { apiVersionOf, CONFIG_MAPS } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import type { Provenance, Ruleset } from '../policy/model/program.ts';
import type { Generation } from '../status/workload-ledger.ts';
import { bundleLabels } from './bundle-labels.ts';
import type { BundleOwner } from './delivery.ts';

/** What is remembered of the ConfigMap of a slot. */
export interface SlotCopy {
  readonly workload: WorkloadRef;
  readonly slot: number;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly ownerUids: readonly string[];
  /** The statement as it stands there; `''` without one. */
  readonly jws: string;
  /** Absent: our keys did not sign it, or for something else. */
  readonly statement?: Statement;
  /** Digest of the lists of keys. */
  readonly keys: string;
  /** Absent: the slot has no part. */
  readonly part?: PartRef;
  /** Content of the part, while the bundle needs another one. */
  readonly content?: Buffer;
  /** Policies that the bundle names; empty when the slot does not hold all of it. */
  readonly policies: ReadonlyMap<PolicyKey, Generation>;
  /** Labels, annotations and data keys are as we write them, and it can be changed. */
  readonly isIntact: boolean;
  /** It is being deleted, and finalizers keep it. */
  readonly isTerminating: boolean;
  /** ID of the key that signed; `''` without a statement. */
  readonly kid: string;
}

/** What goes into a slot. */
export interface SlotContent {
  readonly workload: WorkloadRef;
  readonly slot: number;
  readonly jws: string;
  readonly keys: string;
  readonly part: Buffer;
  readonly encoding: Statement['encoding'];
  readonly digest: string;
  readonly owner: BundleOwner | undefined;
}

/** A statement that this process signed: it need not be verified, nor its bundle be parsed, when it is read back. */
export interface OwnStatement {
  readonly jws: string;
  readonly statement: Statement;
  /** The keys that it was signed with. */
  readonly keys: TrustedKeys;
  readonly policies: ReadonlyMap<PolicyKey, Generation>;
}

const OUR_KEYS: ReadonlySet<string> = new Set([SLOT_STATEMENT_KEY, SLOT_KEYS_KEY, SLOT_PART_KEY]);

/** The ConfigMap of a slot. */
export function toSlotConfigMap(content: SlotContent): RawObject {
  const { workload, slot, jws, keys, part, encoding, digest, owner } = content;
  const data = { [SLOT_STATEMENT_KEY]: jws, [SLOT_KEYS_KEY]: keys };
  return {
    apiVersion: apiVersionOf(CONFIG_MAPS),
    kind: CONFIG_MAPS.kind,
    metadata: {
      name: slotName(workload, slot),
      namespace: workload.namespace,
      labels: bundleLabels(workload, digest),
      annotations: annotationsOf(workload, digest),
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner }] }),
    },
    ...(encoding === 'identity'
      ? { data: { ...data, [SLOT_PART_KEY]: part.toString('utf8') } }
      : { data, binaryData: { [SLOT_PART_KEY]: part.toString('base64') } }),
  };
}

/** The workload and slot that a ConfigMap is for, by its name, labels and annotation; undefined: it is not one of ours. */
export function slotOfConfigMap(raw: RawObject): Pick<SlotCopy, 'workload' | 'slot'> | undefined {
  const { namespace, name, labels = {}, annotations = {} } = raw.metadata ?? {};
  if (labels[MANAGED_BY_LABEL] !== MANAGED_BY || labels[BUNDLE_LABEL] === undefined) return undefined;
  const written = annotations[WORKLOAD_LABEL];
  if (namespace === undefined || written?.includes('/') !== true) return undefined;
  const workload = parseWorkloadKey(`${namespace}/${written}`);
  for (let slot = 0; slot < BUNDLE_SLOTS; slot += 1) if (name === slotName(workload, slot)) return { workload, slot };
  return undefined;
}

/** What statements are verified with. */
export interface Verification {
  /** Undefined: nothing can be verified. */
  readonly keys: TrustedKeys | undefined;
  readonly cluster: string;
  /** The last statement about a workload that this process signed; absent: none. */
  readonly ownOf?: (workload: WorkloadRef) => OwnStatement | undefined;
}

/** What is remembered of a ConfigMap; undefined for one that is not ours. */
export function readSlotConfigMap(raw: RawObject, { keys, cluster, ownOf }: Verification): SlotCopy | undefined {
  const identity = slotOfConfigMap(raw);
  if (identity === undefined) return undefined;
  const content = contentOf(raw);
  const own = ownOf?.(identity.workload);
  const isOwn = own !== undefined && own.keys === keys && own.jws === stringMap(raw['data'])[SLOT_STATEMENT_KEY];
  const copy = readCopy(raw, identity, { content, kidOf: isOwn ? keyIdOfOwn : keyIdOf });
  const verified = isOwn ? { ...copy, statement: own.statement } : verifySlot(copy, keys, cluster);
  if (verified.statement === undefined || content === undefined) return verified;
  const isIntact = copy.isIntact && hasOurMetadata(raw, identity.workload, verified.statement.digest);
  if (isOwn && own.statement.parts.some(({ digest }) => digest === copy.part?.digest))
    return { ...verified, isIntact, policies: own.policies };
  if (verified.statement.parts.length > 1) return { ...verified, isIntact, content };
  return { ...verified, isIntact, policies: policiesOf(verified.statement, [content]) };
}

/** What a ConfigMap says, before its statement is verified. */
function readCopy(
  raw: RawObject,
  identity: Pick<SlotCopy, 'workload' | 'slot'>,
  { content, kidOf }: { readonly content: Buffer | undefined; readonly kidOf: (jws: string) => string },
): SlotCopy {
  const data = stringMap(raw['data']);
  const part = content === undefined ? undefined : { digest: digestOf(content), size: content.length };
  return {
    ...identity,
    uid: raw.metadata?.uid ?? '',
    resourceVersion: raw.metadata?.resourceVersion ?? '',
    ownerUids: ownerUidsOf(raw),
    jws: data[SLOT_STATEMENT_KEY] ?? '',
    keys: digestOfKeys(data[SLOT_KEYS_KEY] ?? ''),
    ...(part === undefined ? {} : { part }),
    policies: new Map(),
    isIntact: hasOnlyOurKeys(raw) && raw['immutable'] !== true,
    isTerminating: raw.metadata?.['deletionTimestamp'] !== undefined,
    kid: kidOf(data[SLOT_STATEMENT_KEY] ?? ''),
  };
}

let lastHeader = '';
let lastKid = '';

/** The ID of the key that signed a statement of this process: all statements of one key have the same header. */
function keyIdOfOwn(jws: string): string {
  const header = jws.slice(0, jws.indexOf('.') + 1);
  if (header !== lastHeader) [lastHeader, lastKid] = [header, keyIdOf(jws)];
  return lastKid;
}

let lastLines = '';
let lastDigest = digestOf(lastLines);

/** Digest of lists of keys: those of all bundles are the same, until a key is replaced. */
export function digestOfKeys(lines: string): string {
  if (lines !== lastLines) [lastLines, lastDigest] = [lines, digestOf(lines)];
  return lastDigest;
}

/** The copy with its statement, if `keys` verify it. */
export function verifySlot(copy: SlotCopy, keys: TrustedKeys | undefined, cluster: string): SlotCopy {
  const { statement: _statement, ...rest } = copy;
  if (keys === undefined) return rest;
  const { namespace, kind, name } = copy.workload;
  try {
    // A key may have expired since: what we signed is ours all the same.
    const context = { cluster, namespace, workload: { kind, name }, keys, nowMs: undefined };
    return { ...rest, statement: verifyStatement(BUNDLE_STATEMENT, copy.jws, context) };
  } catch (error) {
    if (error instanceof RefusedError) return rest;
    throw error;
  }
}

/** The bundle of a statement; undefined when `contents` are not all of it. */
export function bundleOfParts(statement: Statement, contents: readonly Buffer[]): Bundle | undefined {
  const parts = new Map(contents.map((content) => [digestOf(content), content]));
  try {
    return parseBundle(fromStoredForm(statement, (digest) => parts.get(digest)));
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

/** The policies that the bundle of a statement names as the source of a rule; empty when `contents` are not all of it. */
export function policiesOf(statement: Statement, contents: readonly Buffer[]): ReadonlyMap<PolicyKey, Generation> {
  const policies = new Map<PolicyKey, Generation>();
  const add = ({ source }: { readonly source: Provenance }): void => {
    policies.set(policyKey(source.kind, source.namespace, source.name), source.generation);
  };
  for (const { providers, http, tcp } of bundleOfParts(statement, contents)?.programs ?? []) {
    providers.forEach(add);
    for (const ruleset of [http, tcp]) rulesOf(ruleset).forEach(add);
  }
  return policies;
}

/** The bytes of the part in a ConfigMap; undefined: it has none. */
export function contentOf(raw: RawObject): Buffer | undefined {
  const text = stringMap(raw['data'])[SLOT_PART_KEY];
  if (text !== undefined) return Buffer.from(text, 'utf8');
  const encoded = stringMap(raw['binaryData'])[SLOT_PART_KEY];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64');
}

function rulesOf({ custom, audit, deny, allow, dryRunDeny, dryRunAllow }: Ruleset): Ruleset['allow']['rules'] {
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
}

function annotationsOf(workload: WorkloadRef, digest: string): Readonly<Record<string, string>> {
  return { [DIGEST_ANNOTATION]: digest, [WORKLOAD_LABEL]: `${workload.kind}/${workload.name}` };
}

function hasOurMetadata(raw: RawObject, workload: WorkloadRef, digest: string): boolean {
  const { labels = {}, annotations = {} } = raw.metadata ?? {};
  const holds = (values: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => values[key] === value);
  return holds(labels, bundleLabels(workload, digest)) && holds(annotations, annotationsOf(workload, digest));
}

function hasOnlyOurKeys(raw: RawObject): boolean {
  return ['data', 'binaryData'].every((field) => Object.keys(stringMap(raw[field])).every((key) => OUR_KEYS.has(key)));
}

function ownerUidsOf(raw: RawObject): readonly string[] {
  const references = raw.metadata?.['ownerReferences'];
  if (!Array.isArray(references)) return [];
  return references.map((reference: { readonly uid?: unknown }) => (typeof reference.uid === 'string' ? reference.uid : ''));
}

function stringMap(value: unknown): Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {};
}
