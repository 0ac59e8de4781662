/*
 * The ConfigMap that carries a bundle: how one is written, and what is read back from one. The ConfigMap delivery applies
 * the former and keeps the latter in the workload ledger.
 */
import { type PolicyKey, parseWorkloadKey, policyKey, type WorkloadRef } from '../api/kube/keys.ts';
import {
  BUNDLE_DIGEST_KEY,
  BUNDLE_GZIP_KEY,
  BUNDLE_KEY,
  BUNDLE_LABEL,
  DIGEST_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  WORKLOAD_LABEL,
} from '../api/kube/names.ts';
import { bundleName, workloadLabelValue } from '../api/kube/workload.ts';
import type { Bundle, EncodedBundle } from '../bundle/bundle.ts';
import { type BundleFiles, type DecodedBundle, decodeBundle } from '../bundle/decode.ts';
import { toConfigMapData } from '../bundle/encode.ts';
import type { AppliedObject } from '../cluster/apply.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { RefusedError } from '../errors.ts';
import type { Provenance, Ruleset } from '../policy/model/program.ts';
import type { Generation, PublishedBundle } from '../status/workload-ledger.ts';
import type { BundleOwner } from './delivery.ts';

/** A bundle's ConfigMap, without its content. */
export interface PublishedConfigMap extends PublishedBundle {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly ownerUids: readonly string[];
  /** Data keys that an agent must not find there. */
  readonly unmanagedKeys: readonly (readonly [field: 'data' | 'binaryData', key: string])[];
}

/** `kind/name` of the workload; the label of the same name may hold a shortened name. */
const WORKLOAD_ANNOTATION = WORKLOAD_LABEL;
const SHORT_DIGEST_LENGTH = 12;

/**
 * The ConfigMap of a bundle, ready to be applied.
 *
 * @throws RefusedError SP_TOO_LARGE when no ConfigMap can hold it
 */
export function toConfigMap(encoded: EncodedBundle, owner: BundleOwner | undefined): AppliedObject {
  const content = toConfigMapData(encoded);
  if (content.kind === 'refused') throw new RefusedError(content.finding.code, content.finding.message);
  const { data, binaryData } = content.data;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: bundleName(encoded.workload),
      namespace: encoded.workload.namespace,
      labels: labelsOf(encoded.workload, encoded.digest),
      annotations: annotationsOf(encoded.workload, encoded.digest),
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner }] }),
    },
    data,
    ...(Object.keys(binaryData).length > 0 ? { binaryData } : {}),
  };
}

/** What the ledger keeps of a ConfigMap; undefined for one that is not a bundle of ours, whatever its labels say. */
export function readConfigMap(raw: RawObject): PublishedConfigMap | undefined {
  const workload = workloadOfConfigMap(raw);
  if (workload === undefined) return undefined;
  const decoded = decodeConfigMap(raw, workload);
  const isIntact = decoded !== undefined && hasOurMetadata(raw, workload, decoded.digest);
  return {
    workload,
    uid: raw.metadata?.uid ?? '',
    resourceVersion: raw.metadata?.resourceVersion ?? '',
    ...(isIntact ? { revision: decoded.digest } : {}),
    policies: decoded === undefined ? new Map<PolicyKey, Generation>() : policiesIn(decoded.bundle),
    ownerUids: ownerUidsOf(raw),
    unmanagedKeys: unmanagedKeysOf(raw),
  };
}

/** The bundle in a ConfigMap of ours. @throws RefusedError when it is damaged */
export function bundleOfConfigMap(raw: RawObject, workload: WorkloadRef): DecodedBundle {
  const data = stringMap(raw['data']);
  const binaryData = stringMap(raw['binaryData']);
  const files: BundleFiles = {
    ...bytes(BUNDLE_KEY, data[BUNDLE_KEY], 'utf8'),
    ...bytes(BUNDLE_DIGEST_KEY, data[BUNDLE_DIGEST_KEY], 'utf8'),
    ...bytes(BUNDLE_GZIP_KEY, binaryData[BUNDLE_GZIP_KEY], 'base64'),
  };
  return decodeBundle(files, workload);
}

/** The workload whose bundle a ConfigMap carries, by its name, labels and annotation; undefined: it is not a bundle of ours. */
export function workloadOfConfigMap(raw: RawObject): WorkloadRef | undefined {
  const { namespace, name, labels = {}, annotations = {} } = raw.metadata ?? {};
  const written = annotations[WORKLOAD_ANNOTATION];
  if (labels[MANAGED_BY_LABEL] !== MANAGED_BY || labels[BUNDLE_LABEL] === undefined) return undefined;
  if (namespace === undefined || written === undefined) return undefined;
  const workload = parseWorkloadKey(`${namespace}/${written}`);
  return name === bundleName(workload) ? workload : undefined;
}

/** True when a published copy is the desired revision, owned as desired, with nothing added. */
export function isAsDesired(
  published: PublishedConfigMap,
  desired: { readonly revision?: string; readonly ownerUid?: string | undefined },
): boolean {
  const { revision, ownerUid } = desired;
  return (
    revision !== undefined &&
    published.revision === revision &&
    published.unmanagedKeys.length === 0 &&
    (ownerUid === undefined ? published.ownerUids.length === 0 : published.ownerUids.includes(ownerUid))
  );
}

function labelsOf(workload: WorkloadRef, digest: string): Readonly<Record<string, string>> {
  return {
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [BUNDLE_LABEL]: digest.slice('sha256:'.length, 'sha256:'.length + SHORT_DIGEST_LENGTH),
    [WORKLOAD_LABEL]: workloadLabelValue(workload.name),
  };
}

function annotationsOf(workload: WorkloadRef, digest: string): Readonly<Record<string, string>> {
  return { [DIGEST_ANNOTATION]: digest, [WORKLOAD_ANNOTATION]: `${workload.kind}/${workload.name}` };
}

function decodeConfigMap(raw: RawObject, workload: WorkloadRef): DecodedBundle | undefined {
  try {
    return bundleOfConfigMap(raw, workload);
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

function hasOurMetadata(raw: RawObject, workload: WorkloadRef, digest: string): boolean {
  const { labels = {}, annotations = {} } = raw.metadata ?? {};
  const holds = (values: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => values[key] === value);
  return (
    // An agent trims the digest; the copy that we write needs no trimming.
    stringMap(raw['data'])[BUNDLE_DIGEST_KEY] === digest &&
    holds(labels, labelsOf(workload, digest)) &&
    holds(annotations, annotationsOf(workload, digest))
  );
}

function unmanagedKeysOf(raw: RawObject): PublishedConfigMap['unmanagedKeys'] {
  const unmanaged = (field: 'data' | 'binaryData', ours: readonly string[]): PublishedConfigMap['unmanagedKeys'] =>
    Object.keys(stringMap(raw[field]))
      .filter((key) => !ours.includes(key))
      .map((key) => [field, key] as const);
  return [...unmanaged('data', [BUNDLE_KEY, BUNDLE_DIGEST_KEY]), ...unmanaged('binaryData', [BUNDLE_GZIP_KEY])];
}

/** The policies that the programs of a bundle name as the source of a rule. */
function policiesIn(bundle: Bundle): ReadonlyMap<PolicyKey, Generation> {
  const policies = new Map<PolicyKey, Generation>();
  const add = ({ source }: { readonly source: Provenance }): void => {
    policies.set(policyKey(source.kind, source.namespace, source.name), source.generation);
  };
  for (const { providers, http, tcp } of bundle.programs) {
    providers.forEach(add);
    for (const ruleset of [http, tcp]) rulesOf(ruleset).forEach(add);
  }
  return policies;
}

function rulesOf({ custom, audit, deny, allow, dryRunDeny, dryRunAllow }: Ruleset): Ruleset['allow']['rules'] {
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
}

function ownerUidsOf(raw: RawObject): readonly string[] {
  const references = raw.metadata?.['ownerReferences'];
  if (!Array.isArray(references)) return [];
  return references.map((reference: { readonly uid?: unknown }) => (typeof reference.uid === 'string' ? reference.uid : ''));
}

function stringMap(value: unknown): Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {};
}

function bytes(key: string, value: string | undefined, encoding: 'utf8' | 'base64'): BundleFiles {
  return value === undefined ? {} : { [key]: Buffer.from(value, encoding) };
}
