/*
 * Validation on admission. In: the review of a RequestAuthentication or AuthorizationPolicy. Out: a refusal in Istio's own
 * words, or Istio's warnings. Called by the server.
 */
import { admissionWarnings, denialMessage } from '../api/istio/admission-error.ts';
import { validatePolicy } from '../api/istio/validate-policy.ts';
import type { AdmissionAnswer, AdmissionRequest } from './admission.ts';

/** An object that is being deleted is let through: refusing would only keep its finalizers from being removed. */
export function reviewPolicy(request: AdmissionRequest): AdmissionAnswer {
  const { object } = request;
  if (object === undefined || object.metadata?.['deletionTimestamp'] !== undefined) return { allowed: true };
  const findings = validatePolicy(object);
  const message = denialMessage(object.kind ?? '', request.namespace, object.metadata?.name ?? '', findings);
  return { allowed: message === undefined, warnings: admissionWarnings(findings), ...(message === undefined ? {} : { message }) };
}
