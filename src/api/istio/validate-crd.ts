/*
 * The first layer: would the API server take the object, given the CRD? Raw object in, findings with the API server's words
 * out. Called by validate-policy.
 */
import type * as z from 'zod';
import { SECURITY_GROUP, SECURITY_VERSIONS } from '../kube/names.ts';
import { isRecord } from './decode-message.ts';
import { authorizationPolicySpecSchema } from './schema/authorization-policy-schema.ts';
import { CEL_ISSUE } from './schema/cel-rule.ts';
import { requestAuthenticationSpecSchema } from './schema/request-authentication-schema.ts';
import type { ValidationFinding } from './validation-finding.ts';

type Issue = z.core.$ZodIssue;

/** Findings of the CRD layer; none: the API server would take the object. */
export function validateCrd(kind: 'RequestAuthentication' | 'AuthorizationPolicy', object: unknown): readonly ValidationFinding[] {
  if (!isRecord(object)) return [crdError('SP_SCHEMA', '', 'must be an object')];
  const apiVersion = object['apiVersion'];
  const findings: ValidationFinding[] = [];
  if (!SECURITY_VERSIONS.some((version) => apiVersion === `${SECURITY_GROUP}/${version}`)) {
    const message = `no kind ${kind} in version ${JSON.stringify(apiVersion ?? '')}; served are ${SECURITY_VERSIONS.map((version) => `${SECURITY_GROUP}/${version}`).join(', ')}`;
    findings.push(crdError('SP_SCHEMA', 'apiVersion', message));
  }
  const spec = withoutNulls(object['spec'] ?? undefined);
  if (spec === undefined) return findings;
  const schema = kind === 'RequestAuthentication' ? requestAuthenticationSpecSchema : authorizationPolicySpecSchema;
  const result = schema.safeParse(spec);
  if (!result.success) findings.push(...result.error.issues.map((issue) => findingOf(issue, spec)));
  return findings;
}

function findingOf(issue: Issue, spec: unknown): ValidationFinding {
  const value = issue.path.reduce<unknown>((parent, step) => (parent as Readonly<Record<PropertyKey, unknown>> | undefined)?.[step], spec);
  const isCel = issue.code === 'custom' && issue.params?.[CEL_ISSUE] === true;
  return crdError(isCel ? 'SP_CEL' : 'SP_SCHEMA', pathOf(issue.path), messageOf(issue, value));
}

function messageOf(issue: Issue, value: unknown): string {
  const shown = typeof value === 'object' && value !== null ? typeName(value) : JSON.stringify(value);
  switch (issue.code) {
    case 'custom':
      return `Invalid value: ${shown}: ${issue.message}`;
    case 'invalid_type':
      if (value === undefined) return 'Required value';
      return `Invalid value: "${typeName(value)}": must be of type ${issue.expected === 'record' ? 'object' : issue.expected}: "${typeName(value)}"`;
    case 'too_small':
      return `Invalid value: ${shown}: should be at least ${issue.minimum} chars long`;
    case 'too_big':
      if (Array.isArray(value)) return `Too many: ${value.length}: must have at most ${issue.maximum} items`;
      return `Too long: may not be more than ${issue.maximum} bytes`;
    case 'invalid_format':
      return `Invalid value: ${shown}: should match '${'pattern' in issue && issue.pattern !== undefined ? issue.pattern.slice(1, -1) : ''}'`;
    case 'invalid_value':
      return `Unsupported value: ${shown}: supported values: ${issue.values.map((one) => JSON.stringify(one)).join(', ')}`;
    default:
      return `Invalid value: ${shown}: ${issue.message}`;
  }
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function pathOf(path: readonly PropertyKey[]): string {
  const isIndexed = (step: PropertyKey, index: number): boolean => typeof step === 'number' || path[index - 1] === 'matchLabels';
  return path.reduce<string>(
    (parent, step, index) => (isIndexed(step, index) ? `${parent}[${String(step)}]` : `${parent}.${String(step)}`),
    'spec',
  );
}

/** The API server takes members that are null out before it validates; elements of lists stay. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member)]));
}

function crdError(code: 'SP_SCHEMA' | 'SP_CEL', path: string, message: string): ValidationFinding {
  return { stage: 'crd', code, severity: 'error', path, message };
}
