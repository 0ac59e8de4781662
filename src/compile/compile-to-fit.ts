/*
 * Compiles the bundle of a workload so that it can be published and agents accept it. The budgets make nearly every bundle fit; where pods of
 * one workload differ so much that its programs together do not, the policies of its namespace give way to those of the root namespace.
 */
import { denyAllVersion, denyingVersion, isDenyingVersion } from '../api/istio/denying-version.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import { encodeBundle, whyUnacceptable } from '../bundle/encode.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import { type CompileInput, type CompileResult, compileWorkload } from './compile-workload.ts';

/** A bundle in its wire format, and what compiling it found. */
export interface FittedBundle extends CompileResult {
  readonly encoded: EncodedBundle;
}

/** Compiles the bundle of one workload; with replacements for the policies of its namespace if it would not fit with them. */
export function compileToFit(input: CompileInput): FittedBundle {
  const whole = encoded(compileWorkload(input));
  const excess = whyUnacceptable(whole.encoded, whole.bundle);
  if (excess === undefined) return whole;
  const replacements = new Map<Policy, Policy | undefined>();
  const replacementOf = (policy: Policy): Policy | undefined => {
    if (policy.metadata.namespace === input.mesh.rootNamespace || isDenyingVersion(policy)) return policy;
    if (!replacements.has(policy))
      replacements.set(policy, policy.kind === 'RequestAuthentication' ? denyAllVersion(policy) : denyingVersion(policy));
    return replacements.get(policy);
  };
  const policiesFor = (labels: Labels): readonly Policy[] => input.policiesFor(labels).flatMap((policy) => replacementOf(policy) ?? []);
  const reduced = encoded(compileWorkload({ ...input, policiesFor }));
  return {
    ...reduced,
    findings: [...reduced.findings, ...[...replacements.keys()].map((policy) => refused(policy, excess))],
    selecting: whole.selecting,
  };
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
