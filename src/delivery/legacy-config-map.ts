/*
 * The ConfigMap of agents that an earlier version injected (level 1): one unsigned document, under a name that holds no kind. It is
 * published only while such agents exist.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import {
  BUNDLE_LABEL,
  DIGEST_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  WORKLOAD_KIND_ANNOTATION,
  WORKLOAD_LABEL,
} from '../api/kube/names.ts';
import { legacyBundleName } from '../api/kube/workload.ts';
import { canonicalJson } from '../bundle/canonical-json.ts';
import { digestOf } from '../bundle/digest.ts';
import { toConfigMapData } from '../bundle/encode.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { apiVersionOf, CONFIG_MAPS } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import { bundleLabels } from './bundle-labels.ts';
import type { BundleOwner, LegacyBundle } from './delivery.ts';

/** What is remembered of a ConfigMap of level 1. */
export interface LegacyCopy {
  readonly workload: WorkloadRef;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Digest of everything in it that we write. */
  readonly fingerprint: string;
}

/** The ConfigMap of level 1. @throws RefusedError SP_TOO_LARGE */
export function toLegacyConfigMap(workload: WorkloadRef, bundle: LegacyBundle, owner: BundleOwner | undefined): RawObject {
  const content = toConfigMapData(bundle);
  if (content.kind === 'refused') throw new RefusedError(content.finding.code, content.finding.message);
  const { data, binaryData } = content.data;
  return {
    apiVersion: apiVersionOf(CONFIG_MAPS),
    kind: CONFIG_MAPS.kind,
    metadata: {
      name: legacyBundleName(workload.name),
      namespace: workload.namespace,
      labels: bundleLabels(workload, bundle.digest),
      annotations: { [DIGEST_ANNOTATION]: bundle.digest, [WORKLOAD_LABEL]: workload.name, [WORKLOAD_KIND_ANNOTATION]: workload.kind },
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner }] }),
    },
    data,
    ...(Object.keys(binaryData).length > 0 ? { binaryData } : {}),
  };
}

/** What is remembered of a ConfigMap; undefined: it is not one of ours of level 1. One without a kind is of the version before. */
export function readLegacyConfigMap(raw: RawObject): LegacyCopy | undefined {
  const { namespace, name, labels = {}, annotations = {}, uid = '', resourceVersion = '' } = raw.metadata ?? {};
  const workloadName = annotations[WORKLOAD_LABEL];
  if (namespace === undefined || workloadName === undefined || name !== legacyBundleName(workloadName)) return undefined;
  if (labels[MANAGED_BY_LABEL] !== MANAGED_BY) return undefined;
  const workload = { namespace, kind: annotations[WORKLOAD_KIND_ANNOTATION] ?? '', name: workloadName };
  return { workload, uid, resourceVersion, fingerprint: fingerprintOf(raw) };
}

/** Equal for equal content, whatever the API server added. */
export function fingerprintOf(raw: RawObject): string {
  const { labels = {}, annotations = {} } = raw.metadata ?? {};
  const pick = (values: Readonly<Record<string, string>>, names: readonly string[]): readonly unknown[] =>
    names.map((name) => values[name]);
  return digestOf(
    canonicalJson([
      raw['data'] ?? {},
      raw['binaryData'] ?? {},
      raw['immutable'] === true,
      pick(labels, [MANAGED_BY_LABEL, BUNDLE_LABEL, WORKLOAD_LABEL]),
      pick(annotations, [DIGEST_ANNOTATION, WORKLOAD_LABEL, WORKLOAD_KIND_ANNOTATION]),
    ]),
  );
}
