/*
 * The first stage of validation: whether the API server accepts the object given the CRD. Findings use the API server's
 * messages, as `kubectl apply` prints them.
 */
import type * as z from 'zod';
import { goTypeError } from '../go/json.ts';
import { goQuote } from '../go/quote.ts';
import { SECURITY_GROUP, SECURITY_VERSIONS } from '../kube/names.ts';
import { describeValue, isRecord } from './decode-message.ts';
import { authorizationPolicySpecSchema } from './schema/authorization-policy-schema.ts';
import { CEL_ISSUE } from './schema/cel-rule.ts';
import { requestAuthenticationSpecSchema } from './schema/request-authentication-schema.ts';
import { BROKEN_LIMIT, LIMITS, type StringLimits } from './schema/string-schema.ts';
import type { ValidationFinding } from './validation-finding.ts';

type Issue = z.core.$ZodIssue;

/** Twice the depth of the schemas; anything nested deeper belongs to an unknown field and is ignored. */
const MAX_DEPTH = 16;

/** Findings of the CRD stage; empty: the API server accepts the object. */
export function validateCrd(kind: 'RequestAuthentication' | 'AuthorizationPolicy', object: unknown): readonly ValidationFinding[] {
  if (!isRecord(object)) return [crdError('SP_SCHEMA', '', 'must be an object')];
  const apiVersion = object['apiVersion'];
  const findings: ValidationFinding[] = [];
  if (!SECURITY_VERSIONS.some((version) => apiVersion === `${SECURITY_GROUP}/${version}`)) {
    const message = `no kind ${kind} in version ${goQuote(typeof apiVersion === 'string' ? apiVersion : '')}; served are ${SECURITY_VERSIONS.map((version) => `${SECURITY_GROUP}/${version}`).join(', ')}`;
    findings.push(crdError('SP_SCHEMA', 'apiVersion', message));
  }
  findings.push(...metadataFindings(object['metadata']));
  const status = object['status'] ?? undefined;
  if (status !== undefined && !isRecord(status)) findings.push(crdError('SP_SCHEMA', 'status', typeMessage('status', status, 'object')));
  const spec = withoutNulls(object['spec'] ?? undefined);
  if (spec === undefined) return findings;
  const schema = kind === 'RequestAuthentication' ? requestAuthenticationSpecSchema : authorizationPolicySpecSchema;
  const result = schema.safeParse(spec);
  if (!result.success) findings.push(...result.error.issues.flatMap((issue) => findingOf(issue, spec) ?? []));
  return findings;
}

/** Labels and annotations must be strings; in YAML `true` and `1` are strings only in quotes. */
function metadataFindings(metadata: unknown): readonly ValidationFinding[] {
  if (!isRecord(metadata)) return [];
  return ['annotations', 'labels'].flatMap((member) => {
    const map = metadata[member] ?? {};
    const fail = (path: string, value: unknown, wanted: string): ValidationFinding => ({
      ...crdError('SP_SCHEMA', path, `expected ${wanted === 'string' ? 'a string' : 'an object'}, found ${describeValue(value)}`),
      admissionMessage: goTypeError(value, wanted).replace('Go value', `Go struct field ObjectMeta.${member}`),
      hint: 'write the value in quotes',
    });
    if (!isRecord(map)) return [fail(`metadata.${member}`, map, 'map[string]string')];
    const wrong = Object.entries(map).filter(([, value]) => value !== null && typeof value !== 'string');
    return wrong.map(([key, value]) => fail(`metadata.${member}[${key}]`, value, 'string'));
  });
}

/** Undefined for an issue that is not one: zod also counts the characters of a string that should have been an array. */
function findingOf(issue: Issue, spec: unknown): ValidationFinding | undefined {
  const value = issue.path.reduce<unknown>((parent, step) => (parent as Readonly<Record<PropertyKey, unknown>> | undefined)?.[step], spec);
  if (issue.code === 'too_big' && !Array.isArray(value)) return undefined;
  const isCel = issue.code === 'custom' && issue.params?.[CEL_ISSUE] === true;
  const path = pathOf(issue.path);
  return crdError(isCel ? 'SP_CEL' : 'SP_SCHEMA', path, messageOf(issue, value, path));
}

function messageOf(issue: Issue, value: unknown, path: string): string {
  switch (issue.code) {
    case 'custom':
      return customMessage(issue.message, issue.params ?? {}, value, path);
    case 'invalid_type':
      return value === undefined ? 'Required value' : typeMessage(path, value, issue.expected === 'record' ? 'object' : issue.expected);
    case 'too_big':
      return `Too many: ${(value as readonly unknown[]).length}: must have at most ${issue.maximum} items`;
    case 'invalid_value':
      if (typeof value !== 'string') return typeMessage(path, value, 'string');
      return `Unsupported value: ${goQuote(value)}: supported values: ${issue.values.map((one) => JSON.stringify(one)).join(', ')}`;
    default:
      return `Invalid value: ${goQuote(typeName(value))}: ${issue.message}`;
  }
}

function customMessage(text: string, params: Readonly<Record<string, unknown>>, value: unknown, path: string): string {
  if (params[CEL_ISSUE] === true) return celMessage(text, params['isUnevaluated'] === true, value);
  const limits = params[LIMITS] as StringLimits | undefined;
  switch (params[BROKEN_LIMIT]) {
    case 'max':
      return `Too long: may not be more than ${limits?.max} bytes`;
    case 'min':
      return `Invalid value: ${goQuote(String(value))}: ${path} in body should be at least ${limits?.min} chars long`;
    case 'pattern':
      return `Invalid value: ${goQuote(String(value))}: ${path} in body should match '${limits?.pattern?.source}'`;
    default:
      return text;
  }
}

function typeMessage(path: string, value: unknown, wanted: string): string {
  const type = goQuote(typeName(value));
  return `Invalid value: ${type}: ${path} in body must be of type ${wanted}: ${type}`;
}

/** Quotes the value if it is a string, and only its type if CEL could not evaluate the rule. */
function celMessage(text: string, isUnevaluated: boolean, value: unknown): string {
  if (typeof value !== 'string') return `Invalid value: ${text}`;
  return `Invalid value: ${isUnevaluated ? '"string"' : goQuote(value)}: ${text}`;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 1e21 ? 'integer' : 'number';
  return Array.isArray(value) ? 'array' : typeof value;
}

function pathOf(path: readonly PropertyKey[]): string {
  const isIndexed = (step: PropertyKey, index: number): boolean => typeof step === 'number' || path[index - 1] === 'matchLabels';
  return path.reduce<string>(
    (parent, step, index) => (isIndexed(step, index) ? `${parent}[${String(step)}]` : `${parent}.${String(step)}`),
    'spec',
  );
}

/** Removes members that are null, like the API server before validation; elements of arrays stay. */
function withoutNulls(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => withoutNulls(item, depth + 1));
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member, depth + 1)]));
}

function crdError(code: 'SP_SCHEMA' | 'SP_CEL', path: string, message: string): ValidationFinding {
  return { stage: 'crd', code, severity: 'error', path, message };
}
