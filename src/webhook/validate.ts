/*
 * Validation on admission. In: the review of a RequestAuthentication or AuthorizationPolicy, and the mesh settings. Out: a refusal in Istio's own
 * words, or Istio's warnings and then those of lint. Called by the server.
 */
import { admissionWarnings, denialMessage } from '../api/istio/admission-error.ts';
import { parsePolicy } from '../api/istio/parse-policy.ts';
import { validatePolicy } from '../api/istio/validate-policy.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { lintPolicy } from '../lint/lint-policies.ts';
import type { AdmissionAnswer, AdmissionRequest } from './admission.ts';

/** An object that is being deleted is let through: refusing would only keep its finalizers from being removed. */
export function reviewPolicy(request: AdmissionRequest, mesh: MeshConfig): AdmissionAnswer {
  const { object } = request;
  if (object === undefined || object.metadata?.['deletionTimestamp'] !== undefined) return { allowed: true };
  const findings = validatePolicy(object);
  const name: unknown = object.metadata?.name;
  const message = denialMessage(object.kind ?? '', request.namespace, typeof name === 'string' ? name : '', findings);
  if (message !== undefined) return { allowed: false, warnings: admissionWarnings(findings), message };
  return { allowed: true, warnings: [...admissionWarnings(findings), ...lintWarnings(object, mesh)] };
}

/** Of the policy alone: what else is in the cluster is not known here. */
function lintWarnings(object: unknown, mesh: MeshConfig): readonly string[] {
  const { value } = parsePolicy(object);
  if (value === undefined) return [];
  return lintPolicy(value, mesh)
    .filter(({ severity }) => severity === 'warning')
    .map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`);
}
