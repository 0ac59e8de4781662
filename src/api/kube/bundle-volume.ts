/*
 * The volume that brings a bundle into a pod, as injection writes it and as it is recognized in an admitted pod.
 */
import { AGENT_VOLUMES } from './agent-contract.ts';
import type { WorkloadId } from './keys.ts';
import { BUNDLE_SLOTS, INDEX_COPIES, SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_STATEMENT_KEY } from './names.ts';
import { type Fields, fieldsOf, itemsOf } from './pod-fields.ts';
import { indexName, legacyBundleName, slotName } from './workload.ts';

const FILES = [SLOT_STATEMENT_KEY, SLOT_KEYS_KEY, SLOT_PART_KEY];

/**
 * The volume with the bundle of a workload: a directory for each slot, and for each copy of the namespace's index. Every source is
 * optional, because the controller creates the bundle when it sees the pod, and brings the listed keys only: what others add to a
 * ConfigMap never reaches the pod.
 */
export function bundleVolume(workload: WorkloadId): Fields {
  const slots = Array.from({ length: BUNDLE_SLOTS }, (_, slot) => sourceOf(slotName(workload, slot), String(slot)));
  const indexes = Array.from({ length: INDEX_COPIES }, (_, copy) => sourceOf(indexName(copy), `index/${copy}`));
  return { name: AGENT_VOLUMES.bundle, projected: { sources: [...slots, ...indexes] } };
}

/** The level of an agent with this volume: 2 for {@link bundleVolume}, 1 for that of earlier versions; undefined: any other volume. */
export function levelOfVolume(volume: Fields, workload: WorkloadId): 1 | 2 | undefined {
  const { name, items } = fieldsOf(volume['configMap']);
  if (name === legacyBundleName(workload.name) && items === undefined) return 1;
  return describeSources(volume) === describeSources(bundleVolume(workload)) ? 2 : undefined;
}

function sourceOf(name: string, directory: string): Fields {
  return { configMap: { name, optional: true, items: FILES.map((key) => ({ key, path: `${directory}/${key}` })) } };
}

/** Everything that decides which files the volume has. The API server adds modes. */
function describeSources(volume: Fields): string {
  const sources = itemsOf(fieldsOf(volume['projected'])['sources']);
  return JSON.stringify(
    sources.map((source) => {
      const { name, optional, items } = fieldsOf(source['configMap']);
      return [Object.keys(source), name, optional, itemsOf(items).map(({ key, path }) => [key, path])];
    }),
  );
}
