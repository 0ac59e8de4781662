/*
 * What is wrong in a directory of manifests: errors of files, findings of policies and of compiling them, each with its position.
 */
import { type PolicyKey, policyKey } from '../api/kube/keys.ts';
import { type Finding, RefusedError } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { ManifestFinding, ManifestObject, Origin } from '../state/manifests.ts';
import { KEY_CONSEQUENCE, type KeyProblem } from '../status/conditions.ts';
import { keyProblems } from '../status/policy-facts.ts';
import type { LedgerView } from '../status/workload-ledger.ts';

/** A finding with the position of its policy in the directory. */
export interface RunFinding extends Finding {
  /** Undefined when the policy is no longer in the directory. */
  readonly origin: Origin | undefined;
  /** Key of the policy; `''` for findings of files. */
  readonly policy: PolicyKey;
}

/** Where findings are read from. */
export interface FindingSources {
  readonly clusterState: ClusterState;
  readonly ledger: LedgerView;
  readonly jwksCache: Pick<JwksCache, 'stateOf'>;
  /** Findings of the files that were read last. */
  readonly ofFiles: readonly ManifestFinding[];
  readonly origins: ReadonlyMap<PolicyKey, Origin>;
}

/** The position of each object by its key, `kind/namespace/name`. */
export function originsOf(objects: readonly ManifestObject[]): ReadonlyMap<PolicyKey, Origin> {
  return new Map(
    objects.map(({ object, origin }) => [policyKey(object.kind, object.metadata.namespace ?? 'default', object.metadata.name), origin]),
  );
}

/** Findings of files, of the newest version of each policy, and of the bundles compiled last. */
export function runFindings({ clusterState, ledger, jwksCache, ofFiles, origins }: FindingSources): readonly RunFinding[] {
  const found: RunFinding[] = ofFiles.map((finding) => ({ ...finding, policy: '' }));
  const add = (policy: PolicyKey, findings: readonly Finding[]): void => {
    for (const finding of findings) found.push({ ...finding, policy, origin: origins.get(policy) });
  };
  for (const { key, findings, refusal, active } of clusterState.policies.values()) {
    add(key, refusal === undefined ? findings : [...findings, refusal]);
    if (active !== undefined) add(key, keyProblems(active, jwksCache).flatMap(keyFinding));
  }
  for (const { desired } of ledger.records()) {
    for (const [policy, findings] of desired?.findings ?? []) {
      // The author of a policy over its budget cannot correct what replaces it.
      if (clusterState.policies.get(policy)?.refusal !== undefined) continue;
      // The key cache knows why keys are missing.
      add(
        policy,
        findings.filter(({ code }) => code !== 'SP_JWKS_UNAVAILABLE'),
      );
    }
  }
  return found;
}

const KEY_CODES = { stale: 'SP_JWKS_FETCH', unavailable: 'SP_JWKS_UNAVAILABLE', 'left-out': 'SP_JWKS' } as const;

function keyFinding({ kind, rule, reason }: KeyProblem): readonly Finding[] {
  if (kind === 'pending') return [];
  return [{ code: KEY_CODES[kind], severity: 'warning', path: `spec.jwtRules[${rule}]`, message: reason, hint: KEY_CONSEQUENCE[kind] }];
}

/** @throws RefusedError SP_MANIFEST when a file has an error, or a policy has an unknown field or is not active because of an error */
export function requireValidStart(clusterState: ClusterState, findings: readonly RunFinding[]): void {
  const isActive = (policy: PolicyKey): boolean => policy !== '' && clusterState.policies.get(policy)?.active !== undefined;
  const isUnknownField = ({ code, message }: Finding): boolean => code === 'SP_SCHEMA' && message.startsWith('unknown field ');
  const errors = findings.filter((finding) => finding.severity === 'error' && (!isActive(finding.policy) || isUnknownField(finding)));
  if (errors.length === 0) return;
  const lines = errors.map(({ origin, policy, path, message, hint }) =>
    [origin === undefined ? '' : `${origin.file}:${origin.line}`, policy, path, hint === undefined ? message : `${message} (${hint})`]
      .filter((part) => part !== '')
      .join(': '),
  );
  throw new RefusedError('SP_MANIFEST', lines.join('\n'));
}
