/*
 * Compiles the bundle of a workload so that it can be published and agents accept it. The budgets make nearly every bundle fit; where pods of
 * one workload differ so much that its programs together do not, the policies of its namespace give way to those of the root namespace.
 */
import { denyAllVersion, denyingVersion, isDenyingVersion } from '../api/istio/denying-version.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import { compressApart, encodeBundle, encodeLegacyBundle, toConfigMapData, whyUnacceptable } from '../bundle/encode.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import { type CompileInput, type CompileResult, compileWorkload } from './compile-workload.ts';

/** A bundle in its wire format, and what compiling it found. */
export interface FittedBundle extends CompileResult {
  readonly encoded: EncodedBundle;
}

/** Compiles the bundle of one workload; with replacements for the policies of its namespace if it would not fit with them. */
export function compileToFit(input: CompileInput): FittedBundle {
  return fitted(input, encoded(compileWorkload(input)));
}

/** The same for a process that must not pause while a large bundle is compressed. */
export async function compileToFitApart(input: CompileInput): Promise<FittedBundle> {
  const whole = encoded(compileWorkload(input));
  await compressApart(whole.encoded);
  const result = fitted(input, whole);
  await compressApart(result.encoded);
  return result;
}

function fitted(input: CompileInput, whole: FittedBundle): FittedBundle {
  const excess = whyUnacceptable(whole.encoded, whole.bundle);
  return excess === undefined ? whole : { ...reduced(input, excess), selecting: whole.selecting };
}

/** The bundle of a workload for its agents that an earlier version injected. */
export interface LegacyCompilation {
  readonly legacy: Pick<EncodedBundle, 'json' | 'digest'>;
  /** About the policies that these agents do not have. */
  readonly findings: readonly PolicyFinding[];
}

/**
 * The same bundle for agents that read one ConfigMap; with replacements for the policies of the namespace if it has more than one part, so
 * that those of the root namespace reach these agents, too.
 */
export function compileLegacy(input: CompileInput, { bundle }: FittedBundle): LegacyCompilation {
  const legacy = encodeLegacyBundle(bundle);
  if (toConfigMapData(legacy).kind === 'data') return { legacy, findings: [] };
  const { bundle: smaller, findings } = reduced(input, 'agents of the version before read at most one ConfigMap, and the bundle has more');
  return { legacy: encodeLegacyBundle(smaller), findings: findings.filter(({ code }) => code === 'SP_OVER_BUDGET') };
}

/** The bundle with what denies at least as much in place of each policy of its namespace. */
function reduced(input: CompileInput, excess: string): FittedBundle {
  const replacements = new Map<Policy, Policy | undefined>();
  const replacementOf = (policy: Policy): Policy | undefined => {
    if (policy.metadata.namespace === input.mesh.rootNamespace || isDenyingVersion(policy)) return policy;
    if (!replacements.has(policy))
      replacements.set(policy, policy.kind === 'RequestAuthentication' ? denyAllVersion(policy) : denyingVersion(policy));
    return replacements.get(policy);
  };
  const policiesFor = (labels: Labels): readonly Policy[] => input.policiesFor(labels).flatMap((policy) => replacementOf(policy) ?? []);
  const compiled = encoded(compileWorkload({ ...input, policiesFor }));
  return { ...compiled, findings: [...compiled.findings, ...[...replacements.keys()].map((policy) => refused(policy, excess))] };
}

function encoded(result: CompileResult): FittedBundle {
  return { ...result, encoded: encodeBundle(result.bundle) };
}

function refused({ kind, metadata: { namespace, name } }: Policy, excess: string): PolicyFinding {
  return {
    policy: { kind, namespace, name },
    code: 'SP_OVER_BUDGET',
    severity: 'error',
    path: '',
    message: `${excess}; what denies at least as much as this policy is enforced on this workload`,
    hint: 'let fewer selectors distinguish the pods of the workload, or make the policies of the namespace smaller',
  };
}
