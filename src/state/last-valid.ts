/*
 * The last good versions of policies whose newest version is not enforced. They are recorded, because nothing else knows them after a restart.
 */
import { acceptPolicy, type PolicySource } from '../api/istio/accept-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import { toManifest } from '../api/istio/to-manifest.ts';
import { type PolicyKey, policyKeyOf } from '../api/kube/keys.ts';
import type { PolicyEntry } from './cluster-state.ts';

/** Whether the last good version of a policy is not the one that the API server or the file has. */
export function needsRecord(entry: Pick<PolicyEntry, 'isValid' | 'candidate' | 'lastGood'> | undefined): boolean {
  if (entry?.lastGood === undefined) return false;
  return !(entry.isValid && entry.candidate === entry.lastGood);
}

/** The last good versions to record for the policies among `entries`, sorted by their keys. */
export function versionsToRecord(entries: readonly PolicyEntry[]): readonly object[] {
  return entries
    .filter(needsRecord)
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .flatMap(({ lastGood }) => (lastGood === undefined ? [] : [toManifest(lastGood)]));
}

/**
 * Recorded versions by policy. One that is not valid is left out: the record is checked like any policy.
 * @param namespace of the record; policies of any other are left out
 */
export function readRecord(namespace: string, manifests: readonly unknown[], source: PolicySource): ReadonlyMap<PolicyKey, Policy> {
  const found = new Map<PolicyKey, Policy>();
  for (const manifest of manifests) {
    const { active, isValid } = acceptPolicy(undefined, manifest, source);
    if (active !== undefined && isValid && active.metadata.namespace === namespace) found.set(policyKeyOf(active), active);
  }
  return found;
}
