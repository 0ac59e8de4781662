/*
 * Validates a policy on admission: denies it with Istio's exact message, or allows it with Istio's warnings followed by those of
 * lint.
 */
import { admissionWarnings, denialMessage } from '../api/istio/admission-error.ts';
import { parsePolicy } from '../api/istio/parse-policy.ts';
import { validatePolicy } from '../api/istio/validate-policy.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { lintPolicy } from '../lint/lint-policies.ts';
import type { AdmissionRequest, AdmissionResponse } from './admission.ts';

/**
 * Allows a valid policy with warnings, or denies it with Istio's message. An object that is being deleted is always allowed:
 * a denial would only prevent the removal of its finalizers.
 */
export function reviewPolicy(request: AdmissionRequest, mesh: MeshConfig): AdmissionResponse {
  const { object } = request;
  if (object === undefined || object.metadata?.['deletionTimestamp'] !== undefined) return { allowed: true };
  const findings = validatePolicy(object);
  const name: unknown = object.metadata?.name;
  const message = denialMessage(object.kind ?? '', request.namespace, typeof name === 'string' ? name : '', findings);
  if (message !== undefined) return { allowed: false, warnings: admissionWarnings(findings), message };
  return { allowed: true, warnings: [...admissionWarnings(findings), ...lintWarnings(object, mesh)] };
}

/** Lint warnings about the policy on its own: the webhook does not know the other policies. */
function lintWarnings(object: unknown, mesh: MeshConfig): readonly string[] {
  const { value } = parsePolicy(object);
  if (value === undefined) return [];
  return lintPolicy(value, mesh)
    .filter(({ severity }) => severity === 'warning')
    .map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`);
}
