/*
 * Reports everything that a cluster with Istio would report when a policy is applied: the CRD stage, the decoder and the
 * webhook.
 */
import type { Finding } from '../../errors.ts';
import { goQuote } from '../go/quote.ts';
import { type DecodeContext, isRecord } from './decode-message.ts';
import { decodeAuthorizationPolicySpec, decodeRequestAuthenticationSpec } from './decode-policy.ts';
import { policyMetadata } from './parse-policy.ts';
import type { Action, PolicyMetadata } from './resources.ts';
import { validateAuthorizationPolicySpec } from './validate-authorization-policy.ts';
import { validateCrd } from './validate-crd.ts';
import { validateRequestAuthenticationSpec } from './validate-request-authentication.ts';
import { validateDryRun, validateInternalAnnotations } from './validate-selector.ts';
import type { AdmissionFinding, ValidationFinding, WebhookReport } from './validation-finding.ts';

const TOP_LEVEL_FIELDS = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);

/** Findings of all stages about a RequestAuthentication; a single error rejects the object as a whole. */
export function validateRequestAuthentication(object: unknown, extent: ValidationExtent = 'as in Istio'): readonly ValidationFinding[] {
  return validate('RequestAuthentication', object, extent, (spec, metadata, report) => {
    const decoded = decodeRequestAuthenticationSpec(spec, report.context);
    return decoded === undefined
      ? undefined
      : afterAnnotations(metadata, undefined, report, () => validateRequestAuthenticationSpec(decoded, report));
  });
}

/** Findings of all stages about an AuthorizationPolicy; a single error rejects the object as a whole. */
export function validateAuthorizationPolicy(object: unknown, extent: ValidationExtent = 'as in Istio'): readonly ValidationFinding[] {
  return validate('AuthorizationPolicy', object, extent, (spec, metadata, report) => {
    const decoded = decodeAuthorizationPolicySpec(spec, report.context);
    if (decoded === undefined) return;
    afterAnnotations(metadata, decoded.action ?? 'ALLOW', report, () => validateAuthorizationPolicySpec(decoded, report));
  });
}

/** Findings of all stages about a policy of either kind; any other kind is an error. */
export function validatePolicy(object: unknown, extent: ValidationExtent = 'as in Istio'): readonly ValidationFinding[] {
  const kind = isRecord(object) ? object['kind'] : undefined;
  if (kind === 'RequestAuthentication') return validateRequestAuthentication(object, extent);
  if (kind === 'AuthorizationPolicy') return validateAuthorizationPolicy(object, extent);
  const named = typeof kind === 'string' ? kind : '(none)';
  return [{ stage: 'webhook', code: 'SP_SCHEMA', severity: 'error', path: 'kind', message: `unrecognized type ${named}` }];
}

/** Whether any of `findings` is an error, which rejects the object. */
export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.severity === 'error');
}

/** How far to look: Istio stops at an object that cannot be decoded, and at its annotations; `everything` goes on to the end. */
export type ValidationExtent = 'as in Istio' | 'everything';

interface Report extends WebhookReport {
  readonly context: DecodeContext;
  readonly extent: ValidationExtent;
}

function validate(
  kind: 'RequestAuthentication' | 'AuthorizationPolicy',
  object: unknown,
  extent: ValidationExtent,
  checkSpec: (spec: unknown, metadata: PolicyMetadata, report: Report) => void,
): readonly ValidationFinding[] {
  const crd = validateCrd(kind, object);
  if (!isRecord(object)) return crd;
  const decodeFindings: AdmissionFinding[] = [];
  const report: Report = { findings: [], context: { path: 'spec', findings: decodeFindings }, extent };
  const metadata = policyMetadata(object);
  checkSpec(object['spec'] ?? {}, metadata, report);
  const decode = decodeFindings.map((finding): ValidationFinding => ({ ...finding, stage: 'decode' }));
  if (extent === 'as in Istio' && hasErrors(decode)) return [...crd, ...decode];
  for (const field of Object.keys(object).filter((name) => !TOP_LEVEL_FIELDS.has(name))) {
    const message = `unknown field ${goQuote(field)} on ${kind} resource ${metadata.namespace}/${metadata.name}`;
    report.findings.push({ stage: 'webhook', code: 'SP_SCHEMA', severity: 'error', path: field, message });
  }
  return [...crd, ...decode, ...report.findings];
}

/** Checks annotations first, and as in Istio the rest only if they are valid. */
function afterAnnotations(metadata: PolicyMetadata, action: Action | undefined, report: Report, rest: () => void): void {
  validateDryRun(metadata, action, report);
  const goesOn = (): boolean => report.extent === 'everything' || !hasErrors(report.findings);
  if (goesOn()) validateInternalAnnotations(metadata, report);
  if (goesOn()) rest();
}
