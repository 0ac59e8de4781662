/*
 * The webhook stage's checks that both kinds share: selector, target references, dry-run annotation, internal annotations.
 * @see istio pkg/config/validation: validateOneOfSelectorType, validateWorkloadSelector, validatePolicyTargetReference
 */

import { goQuote } from '../go/quote.ts';
import { DRY_RUN_ANNOTATION } from '../kube/names.ts';
import type { DecodedTargetReference, DecodedTargets } from './decode-policy.ts';
import type { Action, PolicyMetadata, WorkloadSelector } from './resources.ts';
import { type WebhookReport, webhookError, webhookWarning } from './validation-finding.ts';

const INTERNAL_ANNOTATIONS: readonly (readonly [name: string, reason: string])[] = [
  ['internal.istio.io/webhook-always-reject', 'rejecting'],
  ['internal.istio.io/parent-namespace', 'this may not be set by users'],
  ['internal.istio.io/parents', 'this may not be set by users'],
];

const GATEWAY_GROUP = 'gateway.networking.k8s.io';
const ALLOWED_TARGETS: readonly { readonly group: string; readonly kind: string }[] = [
  { group: 'core', kind: 'Service' },
  { group: 'networking.istio.io', kind: 'ServiceEntry' },
  { group: GATEWAY_GROUP, kind: 'Gateway' },
  { group: GATEWAY_GROUP, kind: 'GatewayClass' },
];
const ALLOWED_TARGETS_TEXT =
  'core/v1/Service networking.istio.io/v1/ServiceEntry gateway.networking.k8s.io/v1/Gateway gateway.networking.k8s.io/v1/GatewayClass';
/** Strings that Go's strconv.ParseBool accepts. */
const GO_BOOLEANS = new Set(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Checks selector and target references. */
export function validateTargets(spec: DecodedTargets, report: WebhookReport): void {
  const refs = spec.targetRefs ?? [];
  const given = [spec.selector !== undefined, spec.targetRef !== undefined, refs.length > 0].filter(Boolean).length;
  if (given > 1) webhookError(report, 'SP_TARGET_REF', 'spec', 'only one of targetRefs or workloadSelector can be set');
  if (spec.selector !== undefined) validateSelector(spec.selector, report);
  if (spec.targetRef !== undefined) validateTarget(spec.targetRef, 'spec.targetRef', report);
  for (const [index, ref] of refs.entries()) validateTarget(ref, `spec.targetRefs[${index}]`, report);
}

/** Checks the dry-run annotation. @param action undefined for a kind without actions, which must not have the annotation */
export function validateDryRun(metadata: PolicyMetadata, action: Action | undefined, report: WebhookReport): void {
  const value = metadata.annotations?.[DRY_RUN_ANNOTATION];
  if (value === undefined) return;
  const where = `${metadata.namespace}/${metadata.name}`;
  const path = `metadata.annotations[${DRY_RUN_ANNOTATION}]`;
  if (action === undefined) {
    webhookError(report, 'SP_ANNOTATION', path, `${where} has unsupported annotation ${DRY_RUN_ANNOTATION}, please remove the annotation`);
  } else if (action !== 'ALLOW' && action !== 'DENY') {
    const message = `the annotation ${DRY_RUN_ANNOTATION} currently only supports action ALLOW/DENY, found action ${action} in ${where}`;
    webhookError(report, 'SP_ANNOTATION', path, message);
  } else if (!GO_BOOLEANS.has(value)) {
    const invalid = `${where} has annotation ${DRY_RUN_ANNOTATION} with invalid value (${value}): `;
    webhookError(report, 'SP_ANNOTATION', path, {
      message: `${invalid}expected true or false`,
      admissionMessage: `${invalid}strconv.ParseBool: parsing ${goQuote(value)}: invalid syntax`,
    });
  }
}

/** Checks that the policy has no annotation that Istio reserves for its own objects. */
export function validateInternalAnnotations(metadata: PolicyMetadata, report: WebhookReport): void {
  for (const [name, reason] of INTERNAL_ANNOTATIONS) {
    if (metadata.annotations?.[name] === undefined) continue;
    webhookError(report, 'SP_ANNOTATION', `metadata.annotations[${name}]`, `${goQuote(name)} annotation found, ${reason}`);
    return;
  }
}

function validateSelector(selector: WorkloadSelector, report: WebhookReport): void {
  const entries = Object.entries(selector.matchLabels ?? {});
  if (entries.length === 0) webhookWarning(report, 'SP_SELECTOR', 'spec.selector', 'workload selector specified without labels');
  for (const [key, value] of entries) {
    const path = `spec.selector.matchLabels[${key}]`;
    const quoted = goQuote(`${key}=${value}`);
    if (key === '') webhookError(report, 'SP_SELECTOR', path, `empty key is not supported in selector: ${quoted}`);
    if (key.includes('*') || value.includes('*')) {
      webhookError(report, 'SP_SELECTOR', path, `wildcard is not supported in selector: ${quoted}`);
    }
  }
}

function validateTarget(ref: DecodedTargetReference, path: string, report: WebhookReport): void {
  const group = ref.group ?? '';
  const kind = ref.kind ?? '';
  if ((ref.name ?? '') === '') webhookError(report, 'SP_TARGET_REF', `${path}.name`, 'targetRef name must be set');
  if ((ref.namespace ?? '') !== '') {
    const message = 'targetRef namespace must not be set; cross namespace referencing is not supported';
    webhookError(report, 'SP_TARGET_REF', `${path}.namespace`, message);
  }
  if (!ALLOWED_TARGETS.some((target) => target.group === (group === '' ? 'core' : group) && target.kind === kind)) {
    webhookError(report, 'SP_TARGET_REF', `${path}.kind`, `targetRef must be to one of [${ALLOWED_TARGETS_TEXT}] but was ${group}/${kind}`);
  }
}
