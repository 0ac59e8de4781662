/*
 * Validates a policy on admission: denies it with Istio's exact message, or allows it with Istio's warnings followed by those of
 * lint.
 */
import { admissionWarnings, denialMessage } from '../api/istio/admission-error.ts';
import { parsePolicy } from '../api/istio/parse-policy.ts';
import { refusedByEnvoy } from '../api/istio/refused-by-envoy.ts';
import type { Policy } from '../api/istio/resources.ts';
import { validatePolicy } from '../api/istio/validate-policy.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { lintPolicy } from '../lint/lint-policies.ts';
import { findUnservedPorts } from '../lint/unserved-ports.ts';
import { findUnknownProvider } from '../policy/lower/unknown-provider.ts';
import type { AdmissionRequest, AdmissionResponse } from './admission.ts';

/** What a policy is compared with. */
export interface PolicyContext {
  readonly mesh: MeshConfig;
  /** Ports of the pods that the policy would select; undefined: not known. */
  readonly portsFor: (policy: Policy) => ReadonlySet<number> | undefined;
  /** Why the policy would be over its budget with all others of its namespace; undefined: it would not. */
  readonly whyOverBudget: (policy: Policy) => string | undefined;
}

/**
 * Allows a valid policy with warnings, or denies it with Istio's message. An object that is being deleted is always allowed:
 * a denial would only prevent the removal of its finalizers.
 */
export function reviewPolicy(request: AdmissionRequest, context: PolicyContext): AdmissionResponse {
  const { object } = request;
  if (object === undefined || object.metadata?.['deletionTimestamp'] !== undefined) return { allowed: true };
  const findings = validatePolicy(object);
  const name: unknown = object.metadata?.name;
  const message = denialMessage(object.kind ?? '', request.namespace, typeof name === 'string' ? name : '', findings);
  if (message !== undefined) return { allowed: false, warnings: admissionWarnings(findings), message };
  const { value: policy } = parsePolicy(object);
  const excess = policy === undefined ? undefined : context.whyOverBudget(policy);
  // Of a tenant's policies the controller refuses one by one; those of the root namespace must never have to give way.
  if (excess !== undefined && request.namespace === context.mesh.rootNamespace) {
    return {
      allowed: false,
      warnings: admissionWarnings(findings),
      message: `the policy is over the budget of the root namespace: ${excess}`,
    };
  }
  const budgetWarnings = excess === undefined ? [] : [`the policy may be over its budget: ${excess}`];
  return {
    allowed: true,
    warnings: [...admissionWarnings(findings), ...budgetWarnings, ...(policy === undefined ? [] : lintWarnings(policy, context))],
  };
}

/** Warnings about the policy on its own (also what Istio admits and the controller refuses), its provider and the pods that it selects: other policies are not compared. */
function lintWarnings(policy: Policy, { mesh, portsFor }: PolicyContext): readonly string[] {
  const provider = findUnknownProvider(policy, mesh);
  const findings: readonly Finding[] = [
    ...refusedByEnvoy(policy),
    ...(provider === undefined ? [] : [provider]),
    ...findUnservedPorts(policy, { served: () => portsFor(policy) }),
    ...lintPolicy(policy, mesh),
  ];
  return findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`);
}
