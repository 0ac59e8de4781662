/*
 * What a bundle's ConfigMap looks like and what of it is compared. In: an encoded bundle, or a ConfigMap as the API server
 * holds it. Out: the object to apply, and fingerprints that are equal exactly when nothing has to be written. Called by the
 * ConfigMap sink and its reflector.
 */
import { createHash } from 'node:crypto';
import type { WorkloadRef } from '../api/kube/keys.ts';
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
import type { EncodedBundle } from '../bundle/bundle.ts';
import { toConfigMapData } from '../bundle/encode.ts';
import type { AppliedObject } from '../cluster/apply.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { RefusedError } from '../errors.ts';
import type { BundleOwner } from './sink.ts';

/** A bundle's ConfigMap, without its content. */
export interface ObservedBundle {
  readonly workload: WorkloadRef;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Of the content, the labels and the annotations that are ours. */
  readonly fingerprint: string;
  readonly ownerUids: readonly string[];
  /** Data keys that are not ours. */
  readonly strangeKeys: readonly (readonly [field: 'data' | 'binaryData', key: string])[];
}

/** A ConfigMap as it should be. */
export interface DesiredBundle {
  readonly object: AppliedObject;
  readonly fingerprint: string;
  readonly owner: BundleOwner | undefined;
}

/** Full name of the workload; the label of the same name may hold a shortened one. */
const WORKLOAD_ANNOTATION = WORKLOAD_LABEL;
const SHORT_DIGEST_LENGTH = 12;
const OUR_KEYS: readonly string[] = [BUNDLE_KEY, BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY];

/**
 * The ConfigMap of a bundle.
 *
 * @throws RefusedError SP_TOO_LARGE when no ConfigMap can hold it
 */
export function desiredBundle(encoded: EncodedBundle, owner: BundleOwner | undefined): DesiredBundle {
  const content = toConfigMapData(encoded);
  if (content.kind === 'refused') throw new RefusedError(content.finding.code, content.finding.message);
  const { data, binaryData } = content.data;
  const hasBinary = Object.keys(binaryData).length > 0;
  const labels = {
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [BUNDLE_LABEL]: encoded.digest.slice('sha256:'.length, 'sha256:'.length + SHORT_DIGEST_LENGTH),
    [WORKLOAD_LABEL]: workloadLabelValue(encoded.workload.name),
  };
  const annotations = { [DIGEST_ANNOTATION]: encoded.digest, [WORKLOAD_ANNOTATION]: encoded.workload.name };
  const object: AppliedObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: bundleName(encoded.workload.name),
      namespace: encoded.workload.namespace,
      labels,
      annotations,
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner }] }),
    },
    data,
    ...(hasBinary ? { binaryData } : {}),
  };
  return { object, fingerprint: fingerprintOf({ labels, annotations, data, binaryData }), owner };
}

/** What the sink remembers of a ConfigMap; undefined for one that is not a bundle of ours, whatever its labels say. */
export function observeBundle(raw: RawObject): ObservedBundle | undefined {
  const { namespace, name, labels = {}, annotations = {} } = raw.metadata ?? {};
  const workloadName = annotations[WORKLOAD_ANNOTATION];
  if (namespace === undefined || workloadName === undefined || name !== bundleName(workloadName)) return undefined;
  const data = textMap(raw['data']);
  const binaryData = textMap(raw['binaryData']);
  const strange = (field: 'data' | 'binaryData', values: Readonly<Record<string, string>>): ObservedBundle['strangeKeys'] =>
    Object.keys(values)
      .filter((key) => !OUR_KEYS.includes(key))
      .map((key) => [field, key] as const);
  return {
    workload: { namespace, name: workloadName },
    uid: raw.metadata?.uid ?? '',
    resourceVersion: raw.metadata?.resourceVersion ?? '',
    fingerprint: fingerprintOf({ labels, annotations, data, binaryData }),
    ownerUids: ownerUidsOf(raw),
    strangeKeys: [...strange('data', data), ...strange('binaryData', binaryData)],
  };
}

/** Does nothing have to be written? */
export function isAsDesired(observed: ObservedBundle, desired: DesiredBundle): boolean {
  const { owner } = desired;
  return (
    observed.fingerprint === desired.fingerprint &&
    observed.strangeKeys.length === 0 &&
    (owner === undefined ? observed.ownerUids.length === 0 : observed.ownerUids.includes(owner.uid))
  );
}

interface Content {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, string>>;
}

function fingerprintOf(content: Content): string {
  const hash = createHash('sha256');
  const take = (name: string, value: string | undefined): void => {
    hash.update(`${name}\0${value === undefined ? '-' : `${Buffer.byteLength(value)}:${value}`}\0`);
  };
  for (const label of [MANAGED_BY_LABEL, BUNDLE_LABEL, WORKLOAD_LABEL]) take(label, content.labels[label]);
  for (const annotation of [DIGEST_ANNOTATION, WORKLOAD_ANNOTATION]) take(annotation, content.annotations[annotation]);
  for (const key of OUR_KEYS) {
    take(key, content.data[key]);
    take(key, content.binaryData[key]);
  }
  return hash.digest('base64');
}

function ownerUidsOf(raw: RawObject): readonly string[] {
  const references = raw.metadata?.['ownerReferences'];
  if (!Array.isArray(references)) return [];
  return references.map((reference: { readonly uid?: unknown }) => (typeof reference.uid === 'string' ? reference.uid : ''));
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {};
}
